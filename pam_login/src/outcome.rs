//! Outcomes, and the one table that turns them into PAM codes.

use pam_ffi::ReturnCode;

/// How a call of the module ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// A right code, and its use is on the disk.
    Accepted,
    /// Wrong, replayed, throttled, locked, disabled, unknown, or no answer to the question.
    Refused,
    /// Not enrolled, and the rules or `nullok` allow that.
    NotEnrolledAllowed,
    /// Let in to enrol, by an invite or an open rule. Not a login: the account entry says what is missing.
    AdmittedToEnrol,
    /// The account entry: the enrolment is due, the application has to call the password entry.
    EnrolmentDue,
    /// The password entry, asked whether it will do something: it will.
    EnrolmentReady,
    /// The password entry: a device is stored.
    Enrolled,
    /// The password entry: nothing is stored.
    NotEnrolled,
    /// A `skip` rule; or an entry that has nothing to say.
    Skipped,
    /// A `deny` rule, at the account entry.
    Denied,
    /// The application could not ask, or the person hung up.
    ConversationFailed,
    /// The store could not be read or committed.
    StoreFailed,
    /// A bad option or configuration.
    Misconfigured,
    /// A defect of ours.
    Panicked,
}

impl Outcome {
    /// Every outcome with its PAM code. PAM_IGNORE stands beside two of them and never beside an error:
    /// a module that says "ignore" on errors lets people in (CVE-2025-23013).
    pub const TABLE: [(Self, ReturnCode); 14] = [
        (Self::Accepted, ReturnCode::SUCCESS),
        (Self::Refused, ReturnCode::AUTH_ERR),
        (Self::NotEnrolledAllowed, ReturnCode::IGNORE),
        (Self::AdmittedToEnrol, ReturnCode::SUCCESS),
        (Self::EnrolmentDue, ReturnCode::NEW_AUTHTOK_REQD),
        (Self::EnrolmentReady, ReturnCode::SUCCESS),
        (Self::Enrolled, ReturnCode::SUCCESS),
        (Self::NotEnrolled, ReturnCode::AUTHTOK_ERR),
        (Self::Skipped, ReturnCode::IGNORE),
        (Self::Denied, ReturnCode::PERM_DENIED),
        // Not CONV_ERR: sshd treats that as its own failure. The log keeps the difference.
        (Self::ConversationFailed, ReturnCode::AUTH_ERR),
        (Self::StoreFailed, ReturnCode::AUTHINFO_UNAVAIL),
        (Self::Misconfigured, ReturnCode::SERVICE_ERR),
        (Self::Panicked, ReturnCode::SYSTEM_ERR),
    ];

    /// The PAM code of this outcome.
    #[must_use]
    pub fn code(self) -> ReturnCode {
        let entry = Self::TABLE.iter().find(|(outcome, _)| *outcome == self);
        entry.map_or(ReturnCode::SYSTEM_ERR, |(_, code)| *code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_and_ignore_stand_beside_what_they_are_for_and_nothing_else() {
        for (outcome, code) in Outcome::TABLE {
            assert_eq!(outcome.code(), code, "{outcome:?}");
            let lets_in = code == ReturnCode::SUCCESS || code == ReturnCode::IGNORE;
            let may = matches!(
                outcome,
                Outcome::Accepted
                    | Outcome::NotEnrolledAllowed
                    | Outcome::Skipped
                    | Outcome::AdmittedToEnrol
                    | Outcome::EnrolmentReady
                    | Outcome::Enrolled
            );
            assert_eq!(lets_in, may, "{outcome:?} is {code}");
        }
    }

    #[test]
    fn no_outcome_stands_twice() {
        for (position, (outcome, _)) in Outcome::TABLE.iter().enumerate() {
            let before = Outcome::TABLE.iter().take(position);
            assert!(
                before.clone().all(|(other, _)| other != outcome),
                "{outcome:?}"
            );
        }
    }
}
