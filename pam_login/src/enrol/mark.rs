//! What the auth entry leaves on the PAM handle for the two entries after it.
//!
//! It names the user, the service and what was there of the user, so that a handle that changes hands, or an
//! account that changes meanwhile, is noticed. It lives in the memory of this handle and nowhere else: a
//! process that never was let in by our auth entry has none.

use std::ffi::CStr;

use otp_core::state::service_key;
use otp_core::store::enrolment::Before;

use crate::authenticate::Login;
use crate::host::Host;

const NAME: &CStr = c"pam_otpgate enrolment";
/// What no mark of anybody's begins with.
const SPENT: &str = "spent";

/// Somebody was let in to enrol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// What was there of them.
    pub before: Before,
    /// Whether the account entry has asked for the enrolment.
    pub asked: bool,
}

impl Mark {
    /// By an invite, or by an open rule.
    #[must_use]
    pub fn new(before: Before) -> Self {
        Self {
            before,
            asked: false,
        }
    }

    /// Leaves it on the handle, for this user at this service.
    ///
    /// # Errors
    /// What libpam answered.
    pub fn leave(self, host: &mut impl Host, login: &Login) -> Result<(), pam_ffi::ReturnCode> {
        host.keep(NAME, &self.text(login))
    }

    /// Takes it off. What cannot be taken off stays for this user and this handle only.
    pub fn remove(host: &mut impl Host) {
        host.forget(NAME);
    }

    /// Makes it one that is nobody's: one mark, one try, and an account entry that is asked again must not take
    /// a dialogue that broke off for a login without one.
    pub fn spend(host: &mut impl Host) {
        // What cannot be replaced is taken off, so that the password entry tries nothing twice.
        if host.keep(NAME, SPENT).is_err() {
            host.forget(NAME);
        }
    }

    /// Whether there is one, whosever.
    #[must_use]
    pub fn is_there(host: &impl Host) -> bool {
        host.kept(NAME).is_some()
    }

    /// The one that was left for this user at this service.
    #[must_use]
    pub fn of(host: &impl Host, login: &Login) -> Option<Self> {
        let kept = host.kept(NAME)?;
        let text = std::str::from_utf8(&kept).ok()?;
        let mut words = text.split(' ');
        let asked = match words.next()? {
            "asked" => true,
            "admitted" => false,
            _ => return None,
        };
        let before = match words.next()? {
            "open" => Before::NoAccount,
            generation => Before::Invited {
                generation: generation.parse().ok()?,
            },
        };
        let mark = Self { before, asked };
        // Everything that stands behind: compared as it was written.
        (mark.text(login) == text).then_some(mark)
    }

    /// The `by=` of the log.
    #[must_use]
    pub fn way(self) -> &'static str {
        match self.before {
            Before::NoAccount => "open_rule",
            Before::Invited { .. } => "invite",
        }
    }

    /// No part of it holds a space: a user's name is encoded.
    fn text(self, login: &Login) -> String {
        let asked = if self.asked { "asked" } else { "admitted" };
        let before = match self.before {
            Before::NoAccount => "open".to_owned(),
            Before::Invited { generation } => generation.to_string(),
        };
        let (service, user) = (service_key(&login.service), login.user.file_name());
        format!("{asked} {before} {service:016x} {user}")
    }
}
