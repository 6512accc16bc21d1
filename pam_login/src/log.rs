//! The log: one line per decision, `key=value`, stable. Scripts and people read it; what each reason means
//! stands in `examples/README.md`.
//!
//! No code, password or secret is ever in it, and no user name that nobody knows: people type passwords
//! at the wrong prompt. Asking the system whether it knows a name takes longer for one that it does not,
//! so that is done only where no verdict is given; a refused user who is not enrolled is `unknown` here,
//! and named in the application's own line beside it.

use std::fmt::{self, Write as _};

use otp_core::policy::{Accepted, Proof, Refusal};
use otp_core::shown::{Shown, Word};
use otp_core::source::Origin;
use otp_core::store::google_authenticator::decide;
use otp_core::user_name::UserName;
use pam_ffi::Priority;

use crate::host::Host;

/// Who logs in where, as every line names it.
#[derive(Debug, Clone)]
pub struct Subject {
    raw_user: Vec<u8>,
    user: UserName,
    origin: Origin,
    service: String,
}

impl Subject {
    /// This user, from there, at this PAM service.
    #[must_use]
    pub fn new(raw_user: &[u8], origin: Origin, service: &str) -> Self {
        let (raw_user, user) = (raw_user.to_vec(), UserName::new(raw_user));
        Self {
            raw_user,
            user,
            origin,
            service: service.to_owned(),
        }
    }

    pub(crate) fn line(&self, result: &str, named: bool) -> String {
        let user = if named {
            self.user.file_name()
        } else {
            "unknown"
        };
        let service = Word(&self.service);
        format!(
            "otpgate: result={result} user={user} source={} service={service}",
            self.origin
        )
    }

    /// A code let somebody in.
    pub fn accepted(&self, host: &mut impl Host, accepted: &Accepted) {
        let mut line = self.line("accepted", true);
        // Writing to a String cannot fail.
        let _ = match &accepted.proof {
            Proof::Token {
                id,
                kind,
                resynchronised,
            } => {
                let note = if *resynchronised {
                    " resynchronised=yes"
                } else {
                    ""
                };
                write!(line, " token={id} kind={}{note}", kind.name())
            }
            Proof::Recovery { left } => {
                write!(line, " token=recovery kind=recovery left={left}")
            }
            Proof::Invite { left, .. } => {
                write!(line, " token=invite kind=invite left={left}")
            }
        };
        host.log(Priority::Info, &line);
    }

    /// A rule lets somebody in to enrol.
    pub fn admitted_by_rule(&self, host: &mut impl Host) {
        let line = format!("{} kind=open_rule", self.line("accepted", true));
        host.log(Priority::Info, &line);
    }

    /// An earlier success lets somebody in.
    pub fn in_grace(&self, host: &mut impl Host) {
        host.log(
            Priority::Info,
            &format!("{} kind=grace", self.line("accepted", true)),
        );
    }

    /// Somebody is refused.
    pub fn refused(&self, host: &mut impl Host, refusal: &Refusal) {
        let mut line = self.line("refused", *refusal != Refusal::NotEnrolled);
        let _ = write!(line, " reason={}", refusal.reason());
        let _ = match refusal {
            Refusal::OutOfWindow { token }
            | Refusal::Expired { token }
            | Refusal::OtherSource { token } => write!(line, " token={token}"),
            Refusal::WatermarkAhead { token } => {
                write!(line, " token={token} cure=\"otpgate resync {}\"", self.user)
            }
            Refusal::Throttled { until } => write!(line, " until={}", until.0),
            Refusal::Locked => write!(line, " cure=\"otpgate unlock {}\"", self.user),
            _ => Ok(()),
        };
        host.log(Priority::Notice, &line);
    }

    /// A code of the user's own file let somebody in.
    pub fn accepted_by_file(&self, host: &mut impl Host, proof: decide::Proof) {
        let kind = match proof {
            decide::Proof::Totp => "totp",
            decide::Proof::Hotp => "hotp",
            decide::Proof::Scratch => "scratch",
        };
        let line = self.line("accepted", true);
        let line = format!("{line} token=google_authenticator kind={kind}");
        host.log(Priority::Info, &line);
    }

    /// Somebody is refused by a user's own file, or has none.
    pub fn refused_by_file(&self, host: &mut impl Host, refusal: decide::Refusal) {
        // Who has no file is not named: nobody may be of that name.
        let line = self.line("refused", refusal != decide::Refusal::NoFile);
        let reason = match refusal {
            decide::Refusal::NoFile => "no_file",
            decide::Refusal::Wrong => "wrong",
            decide::Refusal::Replayed | decide::Refusal::LastCode => "replayed",
            decide::Refusal::Throttled { until } => {
                let line = format!("{line} reason=throttled until={}", until.0);
                return host.log(Priority::Notice, &line);
            }
            decide::Refusal::Locked => {
                let line = format!("{line} reason=locked cure=\"otpgate unlock {}\"", self.user);
                return host.log(Priority::Notice, &line);
            }
            decide::Refusal::RateLimited => "rate_limited",
            decide::Refusal::BadRateLimit => "bad_line detail=\"RATE_LIMIT\"",
            decide::Refusal::BadOption(key) => {
                let line = format!("{line} reason=bad_line detail=\"{key}\"");
                return host.log(Priority::Notice, &line);
            }
            decide::Refusal::NoSecret => "no_secret",
            decide::Refusal::NotRecorded => "not_recorded",
        };
        host.log(Priority::Notice, &format!("{line} reason={reason}"));
    }

    /// A rule denies, and nobody was asked.
    pub fn denied(&self, host: &mut impl Host) {
        let line = format!(
            "{} reason=denied_by_rule",
            self.line("refused", self.exists(host))
        );
        host.log(Priority::Notice, &line);
    }

    /// Whether the system knows the user. Not on the way to a verdict: see above.
    fn exists(&self, host: &impl Host) -> bool {
        matches!(host.canonical_name(&self.raw_user), Ok(Some(_)))
    }

    /// Nobody is asked.
    pub fn ignored(&self, host: &mut impl Host, reason: &str) {
        let line = format!(
            "{} reason={reason}",
            self.line("ignored", self.exists(host))
        );
        host.log(Priority::Info, &line);
    }

    /// Something of the host's is wrong. `detail` names what, where and the cure.
    pub fn failed(&self, host: &mut impl Host, reason: &str, detail: &dyn fmt::Display) {
        let line = self.line("error", self.exists(host));
        host.log(
            Priority::Error,
            &format!("{line} reason={reason} detail={}", Quoted(detail)),
        );
    }
}

/// The line for what is wrong before anybody is known.
pub fn error_line(reason: &str, detail: &dyn fmt::Display) -> String {
    format!(
        "otpgate: result=error reason={reason} detail={}",
        Quoted(detail)
    )
}

/// A text in double quotes; those inside become single ones, so that a reader finds the end.
pub struct Quoted<'a>(pub &'a dyn fmt::Display);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string().replace('"', "'");
        write!(f, "\"{}\"", Shown(&text))
    }
}
