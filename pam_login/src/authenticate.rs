//! The auth entry: what happens at a login.

use otp_core::answer::{Answer, NotEvaluated};
use otp_core::clock::Clock;
use otp_core::config::{Config, ConfigError, GoogleAuthenticatorFiles};
use otp_core::policy::{Accepted, Attempt, Proof, Verdict};
use otp_core::recovery;
use otp_core::rules::{self, Then};
use otp_core::source::Origin;
use otp_core::store::enrolment::Before;
use otp_core::store::{FilesStore, Store as _, StoreError};
use otp_core::user_name::UserName;
use otp_core::verifier::Verifier;
use pam_ffi::{Item, MessageStyle, Priority, ReturnCode};

use crate::delivery::{Courier, Typed};
use crate::enrol::mark::Mark;
use crate::google_authenticator::Line;
use crate::host::Host;
use crate::log::{self, Subject};
use crate::options::{
    CODE_PROMPT, COMBINED_PROMPT, FAIL_DELAY, FirstPass, Options, PASSWORD_PROMPT,
};
use crate::outcome::Outcome;
use crate::unenrolled::Way;

/// Asks for a code and says whether it lets in.
pub fn authenticate(
    host: &mut impl Host,
    options: &Options,
    silent: bool,
    clock: &impl Clock,
) -> Outcome {
    let login = match Login::read(host) {
        Ok(login) => login,
        Err(failure) => return failure.report(host, None),
    };
    let subject = login.subject();
    // Of an earlier try in the same handle.
    Mark::remove(host);
    if !options.no_delay {
        host.fail_delay(FAIL_DELAY);
    }
    match ask_and_verify(host, options, &login, &subject, silent, clock) {
        Ok(Answered::Verdict(verdict)) => conclude(host, &login, &verdict, options.quiet || silent),
        Ok(Answered::Concluded(outcome)) => outcome,
        Err(failure) => failure.report(host, Some(&subject)),
    }
}

/// How the question went.
enum Answered {
    /// It was asked, or found answered in the password.
    Verdict(Verdict),
    /// It did not have to be asked, or all has been said about it.
    Concluded(Outcome),
}

/// The whole story of a login: configuration, rule, store, who need not be asked, dialogue, verdict.
fn ask_and_verify(
    host: &mut impl Host,
    options: &Options,
    login: &Login,
    subject: &Subject,
    silent: bool,
    clock: &impl Clock,
) -> Result<Answered, Failure> {
    let config = Config::load(options.config.as_deref())?;
    let (then, rule) = login.ruling(&config, host)?;
    if options.debug {
        host.log(
            Priority::Debug,
            &format!("otpgate: debug rule={then:?} {options:?}"),
        );
    }
    if then == Then::Skip {
        subject.ignored(host, "skip_rule");
        return Ok(Answered::Concluded(Outcome::Skipped));
    }
    let by_option = options.files.any();
    let own_file = Line {
        options,
        config: &config,
        then,
        user: &login.raw_user,
        source: login.origin.source(),
        subject,
        quiet: options.quiet || silent,
        fallback: (!by_option).then_some(login),
    };
    if by_option {
        let outcome = own_file.authenticate(own_file.find(host), host, clock)?;
        return Ok(Answered::Concluded(outcome));
    }
    let store = FilesStore::open(&config.state_dir)?;
    let falls_back = config.google_authenticator_files == GoogleAuthenticatorFiles::Fallback;
    let way = Way::of(then, config.unenrolled(rule), options, clock.now());
    let matters = falls_back || way != Way::Asked;
    let not_enrolled = matters && login.is_surely_not_enrolled(&store, host);
    if not_enrolled && falls_back {
        let found = own_file.find(host);
        if !found.is_absent() {
            let outcome = own_file.authenticate(found, host, clock)?;
            return Ok(Answered::Concluded(outcome));
        }
    }
    if not_enrolled && let Some(outcome) = way.take(host, options, login, silent)? {
        return Ok(Answered::Concluded(outcome));
    }
    let denied = then == Then::Deny;
    let verifier = Verifier::new(&store, &config.parameters);
    let place = (login.origin.source(), login.service.as_str());
    if let Some(seconds) = options.grace
        && !denied
        && matches!(
            verifier.in_grace(&login.user, place, seconds, clock),
            Ok(true)
        )
    {
        subject.in_grace(host);
        return Ok(Answered::Concluded(Outcome::Accepted));
    }
    let dialogue = Dialogue {
        login,
        options,
        denied,
        config: &config,
        clock,
    };
    dialogue.run(host).map(Answered::Verdict)
}

/// Logs the verdict, and tells those who are in what they should know.
fn conclude(host: &mut impl Host, login: &Login, verdict: &Verdict, quiet: bool) -> Outcome {
    let subject = &login.subject();
    match verdict {
        Verdict::Accepted(
            accepted @ Accepted {
                proof: Proof::Invite { generation, .. },
                ..
            },
        ) => {
            let mark = Mark::new(Before::Invited {
                generation: *generation,
            });
            if let Err(code) = mark.leave(host, login) {
                return Failure::HandOn(code).report(host, Some(subject));
            }
            subject.accepted(host, accepted);
            Outcome::AdmittedToEnrol
        }
        Verdict::Accepted(accepted) => {
            subject.accepted(host, accepted);
            if let Some(left) = accepted.recovery_left.filter(|left| *left < recovery::FEW)
                && !quiet
            {
                warn_of_few_recovery_codes(host, left);
            }
            Outcome::Accepted
        }
        Verdict::Refused(refusal) => {
            subject.refused(host, refusal);
            Outcome::Refused
        }
    }
}

/// After any login, for whoever loses the phone needs them then. OpenSSH keeps the text until the session
/// begins and shows it on a terminal; SFTP and commands do not see it, so nothing depends on its being read.
fn warn_of_few_recovery_codes(host: &mut impl Host, left: usize) {
    let text = format!("Recovery codes left: {left}. Ask your administrator for new ones.");
    // Somebody who cannot be told is still in.
    let _ = host.send(MessageStyle::TextInfo, &text);
}

/// Who logs in where.
#[derive(Debug)]
pub struct Login {
    raw_user: Vec<u8>,
    /// The user.
    pub user: UserName,
    /// The PAM service.
    pub service: String,
    /// From where.
    pub origin: Origin,
}

impl Login {
    /// Asks libpam.
    ///
    /// # Errors
    /// [`Failure::Conversation`] when libpam has no user name and cannot ask for one.
    pub fn read(host: &mut impl Host) -> Result<Self, Failure> {
        let raw_user = host.user().map_err(Failure::Conversation)?;
        let service = host.item(Item::Service).unwrap_or_default();
        let rhost = host.item(Item::Rhost);
        let ssh_connection = host.environment("SSH_CONNECTION");
        let tty = host.item(Item::Tty);
        Ok(Self {
            user: UserName::new(&raw_user),
            raw_user,
            service: String::from_utf8_lossy(&service).into_owned(),
            origin: Origin::from_pam(rhost.as_deref(), ssh_connection.as_deref(), tty.as_deref()),
        })
    }

    /// What the rules say.
    ///
    /// # Errors
    /// [`Failure::NameService`] when a rule depends on users or groups that cannot be looked up.
    pub fn rule(&self, config: &Config, host: &impl Host) -> Result<Then, Failure> {
        self.ruling(config, host).map(|(then, _)| then)
    }

    /// The same, with the number of the rule that says it, if it is one.
    ///
    /// # Errors
    /// As [`Login::rule`].
    pub fn ruling(
        &self,
        config: &Config,
        host: &impl Host,
    ) -> Result<(Then, Option<usize>), Failure> {
        let rules = &config.rules;
        let mut names = vec![self.raw_user.clone()];
        if rules.iter().any(|rule| rule.users.is_some()) {
            let canonical = host
                .canonical_name(&self.raw_user)
                .map_err(Failure::NameService)?;
            names.extend(canonical.filter(|name| *name != self.raw_user));
        }
        let login = rules::Login {
            names: &names,
            service: &self.service,
            origin: self.origin,
        };
        let groups = || {
            let named = rules
                .iter()
                .filter_map(|rule| rule.groups.as_ref())
                .flatten();
            host.groups(
                &self.raw_user,
                &named.map(String::as_str).collect::<Vec<_>>(),
            )
        };
        rules::first_match(rules, &login, groups).map_err(Failure::NameService)
    }

    /// Whether it is certain that nobody is enrolled under any spelling of this name. What cannot be said
    /// for certain is no "no": such a login is asked for a code, and refused.
    pub(crate) fn is_surely_not_enrolled(&self, store: &FilesStore, host: &impl Host) -> bool {
        if !matches!(store.is_enrolled(&self.user), Ok(false)) {
            return false;
        }
        match host.canonical_name(&self.raw_user) {
            // Some name services know ALICE and alice@example.org as alice, who may be enrolled.
            Ok(Some(name)) if name != self.raw_user => {
                matches!(store.is_enrolled(&UserName::new(&name)), Ok(false))
            }
            Ok(_) => true,
            Err(_) => false,
        }
    }

    /// Whether the system knows a user of exactly this name.
    pub(crate) fn has_its_own_name(&self, host: &impl Host) -> Result<bool, Failure> {
        let name = host
            .canonical_name(&self.raw_user)
            .map_err(Failure::NameService)?;
        Ok(name.as_deref() == Some(&self.raw_user))
    }

    /// As the log names it.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject::new(&self.raw_user, self.origin, &self.service)
    }
}

/// Why there is no verdict.
#[derive(Debug)]
pub enum Failure {
    /// The application could not ask.
    Conversation(ReturnCode),
    /// The password, or the mark of an enrolment, could not be handed on.
    HandOn(ReturnCode),
    /// The configuration.
    Config(ConfigError),
    /// The name service.
    NameService(std::io::Error),
    /// The store.
    Store(StoreError),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    /// Logs what is wrong, and says how the call ended.
    pub fn report(&self, host: &mut impl Host, subject: Option<&Subject>) -> Outcome {
        let (outcome, reason, detail) = match self {
            Self::Conversation(code) => (
                Outcome::ConversationFailed,
                "conversation_failed",
                format!("the application answered {code}"),
            ),
            Self::HandOn(code) => (
                Outcome::StoreFailed,
                "password_not_handed_on",
                format!("libpam answered {code}"),
            ),
            Self::Config(error) => (
                Outcome::Misconfigured,
                "bad_configuration",
                error.to_string(),
            ),
            Self::NameService(error) => (
                Outcome::StoreFailed,
                "name_service",
                format!("a rule needs to know the user: {error}"),
            ),
            Self::Store(error) => (Outcome::StoreFailed, "store", error.to_string()),
        };
        match subject {
            Some(subject) => subject.failed(host, reason, &detail),
            None => {
                host.log(Priority::Error, &log::error_line(reason, &detail));
            }
        }
        outcome
    }
}

/// The questions, and the verdict over the answers.
struct Dialogue<'a, C> {
    login: &'a Login,
    options: &'a Options,
    denied: bool,
    config: &'a Config,
    clock: &'a C,
}

impl<C: Clock> Dialogue<'_, C> {
    /// First the password that was typed already, where the options say so; then the prompt.
    fn run(&self, host: &mut impl Host) -> Result<Verdict, Failure> {
        if self.options.ask_password && host.password().is_none() {
            let password = self.ask(host, MessageStyle::PromptEchoOff, PASSWORD_PROMPT)?;
            host.set_password(password.as_deref().map_or(b"", Vec::as_slice))
                .map_err(Failure::HandOn)?;
        }
        let password = host.password();
        if self.options.first_pass != FirstPass::Ignore {
            let typed = password.as_deref().map(Vec::as_slice);
            let verdict = self.verify_combined(host, Answer::parse_combined(typed))?;
            if matches!(verdict, Verdict::Accepted(_)) || self.options.first_pass == FirstPass::Use
            {
                return Ok(verdict);
            }
        }
        let style = if self.options.echo_code {
            MessageStyle::PromptEchoOn
        } else {
            MessageStyle::PromptEchoOff
        };
        let default = if self.options.forward_pass {
            COMBINED_PROMPT
        } else {
            CODE_PROMPT
        };
        let text = self.options.authtok_prompt.as_deref().unwrap_or(default);
        if self.options.forward_pass {
            let typed = self.ask(host, style, text)?;
            let typed = typed.as_deref().map(Vec::as_slice);
            return self.verify_combined(host, Answer::parse_combined(typed));
        }
        let answer = self.answer(host, style, text, password.as_deref().map(Vec::as_slice))?;
        self.verify(answer)
    }

    fn answer(
        &self,
        host: &mut impl Host,
        style: MessageStyle,
        text: &str,
        password: Option<&[u8]>,
    ) -> Result<Answer, Failure> {
        let courier = Courier {
            login: self.login,
            options: self.options,
            denied: self.denied,
            config: self.config,
            clock: self.clock,
        };
        let typed = courier.ask(host, password, |host| self.ask(host, style, text))?;
        Ok(Answer::parse(typed.as_deref().map(Vec::as_slice), password))
    }

    fn ask(&self, host: &mut impl Host, style: MessageStyle, text: &str) -> Result<Typed, Failure> {
        host.send(style, text).map_err(Failure::Conversation)
    }

    /// Verifies a password with a code at its end; with `forward_pass` the password is handed on.
    fn verify_combined(&self, host: &mut impl Host, answer: Answer) -> Result<Verdict, Failure> {
        let combined = match &answer {
            Answer::Combined(combined) => Some(combined.clone()),
            _ => None,
        };
        let verdict = self.verify(answer)?;
        if let (Verdict::Accepted(Accepted { code_length, .. }), Some(combined)) =
            (&verdict, combined)
            && self.options.forward_pass
        {
            host.set_password(combined.password(*code_length))
                .map_err(Failure::HandOn)?;
        }
        Ok(verdict)
    }

    fn verify(&self, answer: Answer) -> Result<Verdict, Failure> {
        let answer = if self.denied {
            Answer::NotEvaluated(NotEvaluated::Denied)
        } else {
            answer
        };
        let attempt = Attempt {
            answer,
            source: self.login.origin.source(),
            service: &self.login.service,
            remember: self.options.grace.is_some(),
            invites: self.options.enrol,
        };
        // Opened after the answer: while a person typed, the store may have been put back from a backup, and
        // a handle from before would go on using up codes in the old one.
        let store = FilesStore::open(&self.config.state_dir)?;
        let verifier = Verifier::new(&store, &self.config.parameters);
        Ok(verifier.verify(&self.login.user, &attempt, self.clock)?)
    }
}
