//! Our line belongs behind the one that checks the password, unless it is the one that asks for it.

use super::finding::Finding;
use super::pam_library::Step;
use super::pam_modules::checks_password;
use super::pam_stack::{Context, Service, is_started_by_anybody, ours};
use super::pam_walk::{asked_after_wrong_password, is_ours};
use super::pam_wrong_password;
use super::pamd::Module;
use super::setup_pam::named_config;

/// With these our line stands in for the one that checks the password.
const TAKES_PASSWORD: [&str; 4] = [
    "ask_password",
    "forward_pass",
    "use_first_pass",
    "try_first_pass",
];

/// What is wrong with the place of our line in the auth stack.
pub(super) fn check(service: &Service<'_>, context: &Context<'_>) -> Vec<Finding> {
    let Some(line) = Line::first(service, context) else {
        return Vec::new();
    };
    if let Some(finding) = line.open_to_the_caller() {
        return vec![finding];
    }
    let goes_on = line.sent_after_wrong_password();
    let misplaced = line.misplaced(goes_on.is_some());
    goes_on.into_iter().chain(misplaced).collect()
}

/// The first line of ours in a service's auth stack, and what surrounds it.
struct Line<'a> {
    service: &'a str,
    step: &'a Step,
    module: &'a Module,
    /// A line in front of it checks a password.
    after_password: bool,
    /// A line behind it does.
    before_password: bool,
    /// What refuses a login whose password was wrong, where that is asked for a code first.
    refused_by: Option<&'a Step>,
    /// Whether one of our lines has codes sent.
    sends: bool,
    has_other_factor: bool,
}

impl<'a> Line<'a> {
    fn first(service: &'a Service<'_>, context: &Context<'_>) -> Option<Self> {
        let steps = &service.auth.steps;
        let at = steps.iter().position(is_ours)?;
        let (step, module) = ours(&service.auth).next()?;
        Some(Self {
            service: service.name,
            step,
            module,
            after_password: steps.iter().take(at).any(checks_password),
            before_password: steps.iter().skip(at).any(checks_password),
            refused_by: asked_after_wrong_password(steps).and_then(|at| steps.get(at)),
            sends: ours(&service.auth).any(|(_, module)| sends_codes(module, context)),
            has_other_factor: (context.has_other_factor)(service.name),
        })
    }

    fn edit(&self) -> String {
        format!("sudoedit +{} {}", self.step.line, self.step.file.display())
    }

    /// Whether there is nothing else that a stranger would have to know before codes are sent.
    fn sends_to_strangers(&self) -> bool {
        self.sends && !self.has_other_factor
    }

    /// The caller of some programs may send them SIGSTOP, and whoever was not asked for a password needs none for
    /// that.
    fn open_to_the_caller(&self) -> Option<Finding> {
        let takes_password = TAKES_PASSWORD
            .into_iter()
            .find(|option| self.module.has_option(option));
        let is_behind =
            self.after_password && takes_password.is_none() && self.refused_by.is_none();
        if !is_started_by_anybody(self.service) || is_behind {
            return None;
        }
        let how = match takes_password {
            Some(option) => format!("with {option:?} the code is judged before the password"),
            None if self.after_password => {
                "a wrong password does not end the login before our line".to_owned()
            }
            None => "the code is asked for before any password is checked".to_owned(),
        };
        let goes_on = self.refused_by.filter(|_| takes_password.is_none());
        let cure = match (self.after_password || self.before_password, goes_on) {
            (true, Some(refused_by)) => pam_wrong_password::cure(self.step, refused_by),
            (true, None) => format!(
                "{}    # move the line directly behind the one that checks the password, without {}",
                self.edit(),
                TAKES_PASSWORD.join(", ")
            ),
            (false, _) => self.code_alone_cure(),
        };
        let service = self.service;
        Some(Finding::error(
            "pam-code-before-password",
            self.step.place(),
            format!(
                "In {service} {how}: any local user can stop this program while it holds the lock of another user's state, which keeps that user out, or let it guess without knowing the password."
            ),
            cure,
        ))
    }

    /// Where nothing is sent, being asked all the same costs a stranger's guesses, and does not tell which of the two
    /// was wrong: as distributions mean it that put a substack there.
    fn sent_after_wrong_password(&self) -> Option<Finding> {
        let refused_by = self.refused_by.filter(|_| self.sends_to_strangers())?;
        let finding = pam_wrong_password::finding(self.service, self.step, refused_by);
        Some(finding)
    }

    /// `goes_on`: whether it was said already that a wrong password does not end the login.
    fn misplaced(&self, goes_on: bool) -> Option<Finding> {
        let place = self.step.place();
        let asks_password =
            self.module.has_option("ask_password") || self.module.has_option("forward_pass");
        let move_behind = || {
            format!(
                "{}    # move the line directly behind the one that checks the password",
                self.edit()
            )
        };
        match (self.after_password, self.before_password) {
            (true, _) if self.module.has_option("ask_password") => Some(Finding::warning(
                "pam-password-twice",
                place,
                "\"ask_password\" asks for the password, which a line above has asked for already: people type it twice.",
                format!("{}    # take \"ask_password\" out", self.edit()),
            )),
            (false, true) if self.sends_to_strangers() => Some(Finding::error(
                "pam-code-before-password",
                place,
                "Codes are sent before any password was checked: a user name is enough to have them sent, until none are left but for the owner's known addresses.",
                move_behind(),
            )),
            (false, true) if !asks_password => Some(Finding::warning(
                "pam-code-before-password",
                place,
                "The code is asked for before the password, so anybody can make guesses that count against an account, without knowing its password.",
                move_behind(),
            )),
            (false, false) if goes_on => None,
            (false, false) if self.sends_to_strangers() => Some(Finding::error(
                "pam-code-before-password",
                place,
                format!(
                    "Nothing in {} checks a password, and codes are sent: a user name is enough to have them sent, until none are left but for the owner's known addresses.",
                    self.service
                ),
                self.code_alone_cure(),
            )),
            (false, false) if !self.has_other_factor => Some(Finding::warning(
                "pam-code-alone",
                place,
                format!(
                    "Nothing in {} checks a password: the code is the only thing PAM asks for.",
                    self.service
                ),
                self.code_alone_cure(),
            )),
            _ => None,
        }
    }

    fn code_alone_cure(&self) -> String {
        if self.service == "sshd" {
            return "echo 'AuthenticationMethods publickey,keyboard-interactive' > /etc/ssh/sshd_config.d/01-key-and-code.conf    # then: otpgate check, then: systemctl reload ssh".to_owned();
        }
        format!("{}    # put \"@include common-auth\" above it", self.edit())
    }
}

/// Nothing is sent to anybody in front of a prompt that takes the password too, or where there is no prompt.
fn sends_codes(module: &Module, context: &Context<'_>) -> bool {
    (context.sends_codes)(named_config(module))
        && !module.has_option("forward_pass")
        && !module.has_option("use_first_pass")
}
