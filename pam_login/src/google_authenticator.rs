//! A login by the user's own `~/.google_authenticator`: the same questions in the same order as
//! pam_google_authenticator.so, the same file afterwards.
//!
//! Two ways lead here: a line with `secret=` or another option of that module, and a user who is not
//! enrolled but has such a file. `find` says which file it is; the dialogue is below.

mod find;

use std::io;

use otp_core::clock::Clock;
use otp_core::config::Config;
use otp_core::rules::Then;
use otp_core::source::Source;
use otp_core::store::google_authenticator::decide::{
    Attempt, Candidate, Glance, InFront, Refusal, Verdict, candidates, glance,
};
use otp_core::store::google_authenticator::guesses::{Guard, Guesses};
use otp_core::store::google_authenticator::text::SecretFile;
use otp_core::store::google_authenticator::{AsUser, Settled, UsersFile, stand_in};
use otp_core::store::{FilesStore, Problem, StoreError};
use otp_core::user_name::UserName;
use pam_ffi::identity::Identity;
use pam_ffi::{Item, MessageStyle};
use zeroize::Zeroizing;

use crate::authenticate::{Failure, Login};
use crate::delivery::{Courier, Typed};
use crate::host::Host;
use crate::log::Subject;
use crate::options::{CODE_PROMPT, COMBINED_PROMPT, FirstPass, Options, PASSWORD_PROMPT};
use crate::outcome::Outcome;
pub(crate) use find::Found;

/// What a login by a user's own file needs.
pub(crate) struct Line<'a> {
    /// The line in pam.d.
    pub(crate) options: &'a Options,
    /// The configuration.
    pub(crate) config: &'a Config,
    /// What the rules say.
    pub(crate) then: Then,
    /// The user, as libpam has the name.
    pub(crate) user: &'a [u8],
    /// From where.
    pub(crate) source: Source,
    /// For the log.
    pub(crate) subject: &'a Subject,
    /// No messages.
    pub(crate) quiet: bool,
    /// Whose login it is, where the file counts only as long as this user is not enrolled.
    pub(crate) fallback: Option<&'a Login>,
}

impl Line<'_> {
    /// Looks for the user's file.
    pub(crate) fn find(&self, host: &impl Host) -> Found {
        find::find(self, host)
    }

    /// Asks for a code and says whether it lets in.
    pub(crate) fn authenticate(
        &self,
        found: Found,
        host: &mut impl Host,
        clock: &impl Clock,
    ) -> Result<Outcome, Failure> {
        let own = match found {
            Found::RefusedAtOnce(why) => {
                self.subject.failed(host, "user_option", &why);
                return Ok(Outcome::Refused);
            }
            Found::Absent(why) => {
                if self.may_pass() {
                    self.subject.ignored(host, "not_enrolled");
                    return Ok(Outcome::NotEnrolledAllowed);
                }
                self.subject.failed(host, "no_file", &why);
                None
            }
            Found::Unusable(why) => {
                self.subject.failed(host, "file", &why);
                None
            }
            Found::File(own, text) => match self.before_asking(host, &own, &text, clock) {
                Some(outcome) => return Ok(outcome),
                None => Some(own),
            },
        };
        let mut dialogue = Dialogue {
            line: self,
            own,
            clock,
            counted: false,
        };
        dialogue.run(host)
    }

    fn may_pass(&self) -> bool {
        self.then == Then::Optional || (self.then == Then::Require && self.options.nullok)
    }

    fn denied(&self) -> bool {
        self.then == Then::Deny
    }

    /// Whoever is enrolled while the question stands is judged by the store from then on: a code that an
    /// import took over would count once here and once there.
    fn still_counts(&self, host: &impl Host) -> bool {
        let not_enrolled = |login: &Login| {
            FilesStore::open(&self.config.state_dir)
                .is_ok_and(|store| login.is_surely_not_enrolled(&store, host))
        };
        self.fallback.is_none_or(not_enrolled)
    }

    /// Who is over the limit is not asked, and neither is who logged in lately.
    fn before_asking(
        &self,
        host: &mut impl Host,
        own: &OwnFile,
        text: &SecretFile,
        clock: &impl Clock,
    ) -> Option<Outcome> {
        let rhost = host.item(Item::Rhost).filter(|_| !self.denied());
        let grace = rhost.as_deref().zip(self.options.grace);
        match glance(text, grace, clock.now()) {
            Glance::Ask => None,
            Glance::Grace => {
                self.subject.in_grace(host);
                Some(Outcome::Accepted)
            }
            // Others may have filled it.
            Glance::OverLimit if self.knows_the_source(own, clock) => None,
            Glance::OverLimit => {
                let attempt = self.attempt(&[], None, false);
                let settled = own.settle(host, self, &attempt, clock);
                // Counted, and refused whatever the limit says by now: there is no code to be right.
                let _ = self.finish(host, &own.counted_as, settled, &attempt, clock);
                Some(Outcome::Refused)
            }
            Glance::Malformed => {
                self.subject.refused_by_file(host, Refusal::BadRateLimit);
                Some(Outcome::Refused)
            }
        }
    }

    fn knows_the_source(&self, own: &OwnFile, clock: &impl Clock) -> bool {
        Guesses::open(&self.config.state_dir)
            .is_ok_and(|guesses| guesses.know(&own.counted_as, self.source, clock.now()))
    }

    /// Under whose name failures are counted.
    fn guard<'b>(&'b self, user: &'b UserName) -> Guard<'b> {
        Guard {
            state_dir: &self.config.state_dir,
            user,
            source: self.source,
            limits: &self.config.parameters.limits,
        }
    }

    fn attempt<'b>(
        &self,
        candidates: &'b [Candidate],
        rhost: Option<&'b [u8]>,
        counted: bool,
    ) -> Attempt<'b> {
        Attempt {
            candidates: if self.denied() { &[] } else { candidates },
            counted,
            known: false,
            remember: rhost.filter(|_| self.options.grace.is_some()),
        }
    }

    /// Logs how an attempt ended, tells the user what keeps it from being recorded, and makes a refusal cost
    /// what every refusal costs.
    fn finish(
        &self,
        host: &mut impl Host,
        counted_as: &UserName,
        settled: Result<Settled, StoreError>,
        attempt: &Attempt<'_>,
        clock: &impl Clock,
    ) -> Verdict {
        let (verdict, replaced) = match settled {
            Ok(settled) => {
                if let Some(error) = &settled.not_recorded {
                    self.subject.failed(host, "not_recorded", error);
                    self.tell(host, error);
                }
                (settled.verdict, settled.replaced)
            }
            Err(error) => {
                self.subject.failed(host, "file", &error);
                (Verdict::Refused(Refusal::NotRecorded), false)
            }
        };
        match verdict {
            Verdict::Accepted { proof, .. } => self.subject.accepted_by_file(host, proof),
            Verdict::Refused(refusal) => {
                self.subject.refused_by_file(host, refusal);
                if !replaced {
                    // Only the cost hangs on it.
                    let _ = stand_in::replace(&self.guard(counted_as), attempt, clock);
                }
            }
        }
        verdict
    }

    /// What is wrong with the file system is nothing that the user did, and only an administrator can help.
    fn tell(&self, host: &mut impl Host, error: &StoreError) {
        let Problem::Io { error, .. } = &error.problem else {
            return;
        };
        let text = match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => "Read-only file system",
            io::ErrorKind::StorageFull => "No space left on device",
            io::ErrorKind::QuotaExceeded => "Disk quota exceeded",
            _ => return,
        };
        if !self.quiet {
            let text = format!("Error \"{text}\" while writing config");
            let _ = host.send(MessageStyle::ErrorMsg, &text);
        }
    }
}

/// A user's file, and as whom it is touched.
pub(crate) struct OwnFile {
    file: UsersFile,
    identity: Identity,
    /// The name that failures are counted under: one for all spellings that lead to the file.
    counted_as: UserName,
}

impl OwnFile {
    fn settle(
        &self,
        host: &impl Host,
        line: &Line<'_>,
        attempt: &Attempt<'_>,
        clock: &impl Clock,
    ) -> Result<Settled, StoreError> {
        let user = AsOwner {
            host,
            identity: &self.identity,
        };
        let guard = line.guard(&self.counted_as);
        let still_counts = || line.still_counts(host);
        self.file
            .settle(&user, &guard, attempt, &still_counts, clock)
    }
}

/// The host process, touching files as their owner.
struct AsOwner<'a, H> {
    host: &'a H,
    identity: &'a Identity,
}

impl<H: Host> AsUser for AsOwner<'_, H> {
    fn run<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        self.host.acting_as(self.identity, work)
    }
}

/// The questions, and the verdict over the answers.
struct Dialogue<'a, C> {
    line: &'a Line<'a>,
    /// None for those who have no file, or none that can be used: they are asked all the same.
    own: Option<OwnFile>,
    clock: &'a C,
    /// Whether this login stands in the rate limit.
    counted: bool,
}

impl<C: Clock> Dialogue<'_, C> {
    /// First the password that was typed already, where the options say so; then the prompt.
    fn run(&mut self, host: &mut impl Host) -> Result<Outcome, Failure> {
        let options = self.line.options;
        if options.ask_password && host.password().is_none() {
            let password = host.send(MessageStyle::PromptEchoOff, PASSWORD_PROMPT);
            let password = self.heard(host, password)?;
            host.set_password(password.as_deref().map_or(b"", Vec::as_slice))
                .map_err(Failure::HandOn)?;
        }
        if options.first_pass != FirstPass::Ignore
            && let Some(outcome) = self.look_into_password(host)?
        {
            return Ok(outcome);
        }
        let style = if options.echo_code {
            MessageStyle::PromptEchoOn
        } else {
            MessageStyle::PromptEchoOff
        };
        let default = if options.forward_pass {
            COMBINED_PROMPT
        } else {
            CODE_PROMPT
        };
        let text = options.authtok_prompt.as_deref().unwrap_or(default);
        let typed = self.ask(host, style, text)?.unwrap_or_default();
        let in_front = if options.forward_pass {
            InFront::Anything
        } else {
            InFront::Nothing
        };
        let verdict = self.verify(host, &typed, in_front);
        self.conclude(host, verdict, &typed)
    }

    /// Nothing is sent to people with a file of their own. Where codes are sent to people who are enrolled, the
    /// name of a channel is asked again of these too, or it would tell who is who.
    fn ask(
        &mut self,
        host: &mut impl Host,
        style: MessageStyle,
        text: &str,
    ) -> Result<Typed, Failure> {
        let line = self.line;
        let Some(login) = line.fallback.filter(|_| !line.options.forward_pass) else {
            let typed = host.send(style, text);
            return self.heard(host, typed);
        };
        let courier = Courier {
            login,
            options: line.options,
            denied: line.denied(),
            config: line.config,
            clock: self.clock,
        };
        let password = host.password();
        let password = password.as_deref().map(Vec::as_slice);
        courier.ask(host, password, |host| {
            let typed = host.send(style, text);
            self.heard(host, typed)
        })
    }

    /// A dialogue that fails was an attempt all the same, or hanging up would make guesses free.
    fn heard<T>(
        &mut self,
        host: &mut impl Host,
        answer: Result<T, pam_ffi::ReturnCode>,
    ) -> Result<T, Failure> {
        answer.map_err(|code| {
            let _ = self.verify(host, b"", InFront::Nothing);
            Failure::Conversation(code)
        })
    }

    /// The outcome, when there is nothing more to ask.
    fn look_into_password(&mut self, host: &mut impl Host) -> Result<Option<Outcome>, Failure> {
        let only = self.line.options.first_pass == FirstPass::Use;
        let password = host.password().unwrap_or_default();
        if !only && candidates(&password, InFront::Anything).is_empty() {
            return Ok(None);
        }
        let verdict = self.verify(host, &password, InFront::Anything);
        match verdict {
            Verdict::Refused(refusal) if !only && !refusal.is_final() => Ok(None),
            verdict => self.conclude(host, verdict, &password).map(Some),
        }
    }

    fn verify(&mut self, host: &mut impl Host, typed: &[u8], in_front: InFront) -> Verdict {
        let candidates = candidates(typed, in_front);
        let rhost = host.item(Item::Rhost);
        let attempt = self
            .line
            .attempt(&candidates, rhost.as_deref(), self.counted);
        self.counted = true;
        let nobody = UserName::new(self.line.user);
        let (counted_as, settled) = match &self.own {
            Some(own) => {
                let settled = own.settle(host, self.line, &attempt, self.clock);
                (&own.counted_as, settled)
            }
            None => {
                // Only the cost hangs on it.
                let _ = stand_in::count(&self.line.guard(&nobody), &attempt, self.clock);
                (&nobody, Ok(Settled::refused(Refusal::NoFile)))
            }
        };
        self.line
            .finish(host, counted_as, settled, &attempt, self.clock)
    }

    /// With `forward_pass` what stands in front of the code is the password.
    fn conclude(
        &self,
        host: &mut impl Host,
        verdict: Verdict,
        typed: &Zeroizing<Vec<u8>>,
    ) -> Result<Outcome, Failure> {
        let Verdict::Accepted { length, .. } = verdict else {
            return Ok(Outcome::Refused);
        };
        if self.line.options.forward_pass {
            let end = typed.len().saturating_sub(length);
            host.set_password(typed.get(..end).unwrap_or_default())
                .map_err(Failure::HandOn)?;
        }
        Ok(Outcome::Accepted)
    }
}
