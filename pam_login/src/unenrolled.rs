//! Who is not enrolled: asked like everybody, let in for a while, or let in to enrol.

use otp_core::day::Day;
use otp_core::rules::{Then, Unenrolled};
use otp_core::store::enrolment::Before;
use otp_core::totp::UnixTime;
use pam_ffi::MessageStyle;

use crate::authenticate::{Failure, Login};
use crate::enrol::mark::Mark;
use crate::host::Host;
use crate::options::Options;
use crate::outcome::Outcome;

/// What awaits somebody who is not enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The question that everybody is asked, and a refusal.
    Asked,
    /// Let in.
    Pass,
    /// Let in until the end of this day, and told so.
    PassUntil(Day),
    /// Let in to enrol.
    Enrol,
}

impl Way {
    /// By rule, line and day. An open rule enrols before `nullok` lets pass: it is the stricter of the two,
    /// and was written for these people. Where there is a last day, `nullok` ends with it.
    #[must_use]
    pub fn of(then: Then, about: Unenrolled, options: &Options, now: UnixTime) -> Self {
        let over = about.until.is_some_and(|day| day.is_over(now));
        match (then, about.until) {
            (Then::Skip | Then::Deny, _) => Self::Asked,
            (Then::Optional, _) => Self::Pass,
            (Then::Require, _) if over => Self::Asked,
            (Then::Require, _) if about.open && options.enrol => Self::Enrol,
            (Then::Require, Some(day)) => Self::PassUntil(day),
            (Then::Require, None) if options.nullok => Self::Pass,
            (Then::Require, None) => Self::Asked,
        }
    }

    /// Goes it, with somebody who is certainly not enrolled. `None`: the dialogue is next.
    ///
    /// # Errors
    /// [`Failure::NameService`] when nobody can say whose name it is; [`Failure::HandOn`].
    pub(crate) fn take(
        self,
        host: &mut impl Host,
        options: &Options,
        login: &Login,
        silent: bool,
    ) -> Result<Option<Outcome>, Failure> {
        let subject = login.subject();
        match self {
            Self::Asked => Ok(None),
            Self::Pass => {
                subject.ignored(host, "not_enrolled");
                Ok(Some(Outcome::NotEnrolledAllowed))
            }
            Self::PassUntil(day) => {
                subject.ignored(host, &format!("not_enrolled until={day}"));
                if !options.quiet && !silent {
                    let text = format!(
                        "This login wants a verification code after {day}, and you have none set up yet. Ask your administrator."
                    );
                    // Somebody who cannot be told is still in.
                    let _ = host.send(MessageStyle::TextInfo, &text);
                }
                Ok(Some(Outcome::NotEnrolledAllowed))
            }
            // Only under the name that the system has for them: enrolled under another spelling, they would
            // not be enrolled under their own.
            Self::Enrol if login.has_its_own_name(host)? => {
                Mark::new(Before::NoAccount)
                    .leave(host, login)
                    .map_err(Failure::HandOn)?;
                subject.admitted_by_rule(host);
                Ok(Some(Outcome::AdmittedToEnrol))
            }
            Self::Enrol => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_awaits_people_by_rule_line_and_day() {
        let day = Day::parse("2027-03-31");
        let (before, after) = (UnixTime(1_800_000_000), UnixTime(1_806_537_600));
        let until = day.map_or(Way::Asked, Way::PassUntil);
        let plain = Unenrolled::default();
        let dated = Unenrolled {
            until: day,
            open: false,
        };
        let open = Unenrolled {
            until: None,
            open: true,
        };
        let both = Unenrolled {
            until: day,
            open: true,
        };
        for (about, line, expected_before, expected_after) in [
            (plain, "", Way::Asked, Way::Asked),
            (plain, "nullok", Way::Pass, Way::Pass),
            (plain, "enrol", Way::Asked, Way::Asked),
            (dated, "", until, Way::Asked),
            (dated, "nullok", until, Way::Asked),
            (dated, "enrol", until, Way::Asked),
            (open, "", Way::Asked, Way::Asked),
            (open, "nullok", Way::Pass, Way::Pass),
            (open, "enrol", Way::Enrol, Way::Enrol),
            (open, "nullok enrol", Way::Enrol, Way::Enrol),
            (both, "", until, Way::Asked),
            (both, "nullok", until, Way::Asked),
            (both, "enrol", Way::Enrol, Way::Asked),
            (both, "nullok enrol", Way::Enrol, Way::Asked),
        ] {
            let options = Options::parse(line.split_whitespace()).unwrap();
            let way = |then, now| Way::of(then, about, &options, now);
            let seen = (way(Then::Require, before), way(Then::Require, after));
            assert_eq!(
                seen,
                (expected_before, expected_after),
                "{about:?} {line:?}"
            );
            for now in [before, after] {
                assert_eq!(way(Then::Optional, now), Way::Pass);
                assert_eq!(way(Then::Deny, now), Way::Asked);
            }
        }
    }
}
