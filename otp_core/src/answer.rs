//! What came back from the prompt: parsed once at the border, then trusted.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::hotp::{Code, Digits};
use crate::recovery::{PRINTED_LENGTH, RecoveryCode};

/// Longest answer that is looked at, in bytes.
pub const LONGEST: usize = 512;

/// An answer to `Verification code: `.
#[derive(Debug, Clone)]
pub enum Answer {
    /// 6 to 8 digits.
    Code(Code),
    /// A recovery code.
    Recovery(RecoveryCode),
    /// Neither of these: wrong, and counted as wrong.
    Unrecognised,
    /// A password with a code at its end, from the first-pass modes.
    Combined(Combined),
    /// Not an answer to the question: refused without being evaluated or counted.
    NotEvaluated(NotEvaluated),
}

/// Why an answer is not evaluated. None of these is a guess, and counting them would let sshd's own
/// filler, or a client that repeats the password, use up the owner's free failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotEvaluated {
    /// The conversation gave nothing at all.
    Missing,
    /// Only white space.
    Empty,
    /// More than [`LONGEST`] bytes.
    TooLong,
    /// sshd answers `\b\n\r\177INCORRECT` for users whom it will not admit.
    ControlBytes,
    /// sshd's `password` method answers every hidden prompt with the password.
    Password,
    /// A first-pass password that does not end with a code.
    NoCode,
    /// A rule denies this login.
    Denied,
}

impl NotEvaluated {
    /// The `reason=` of the log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "no_answer",
            Self::Empty => "empty_answer",
            Self::TooLong => "answer_too_long",
            Self::ControlBytes => "control_bytes",
            Self::Password => "answered_with_password",
            Self::NoCode => "no_code_in_password",
            Self::Denied => "denied_by_rule",
        }
    }
}

impl fmt::Display for NotEvaluated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl Answer {
    /// Reads what was typed. `password` is PAM_AUTHTOK, which a code prompt must not be answered with.
    #[must_use]
    pub fn parse(typed: Option<&[u8]>, password: Option<&[u8]>) -> Self {
        match check(typed) {
            Err(reason) => Self::NotEvaluated(reason),
            Ok(typed) => {
                // An empty password is what `nullok` in pam_unix leaves; no answer equals it.
                if password.is_some_and(|password| bool::from(password.ct_eq(typed))) {
                    return Self::NotEvaluated(NotEvaluated::Password);
                }
                Self::parse_text(typed.trim_ascii())
            }
        }
    }

    fn parse_text(text: &[u8]) -> Self {
        // Room for all of it at once: growing would leave a piece of what was typed on the heap.
        let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
        digits.extend(text.iter().filter(|byte| !b" -".contains(byte)));
        if let Some(code) = Code::parse(&digits) {
            return Self::Code(code);
        }
        RecoveryCode::parse(text).map_or(Self::Unrecognised, Self::Recovery)
    }

    /// Reads a password that should end with a code (`try_first_pass`, `use_first_pass`, `forward_pass`).
    #[must_use]
    pub fn parse_combined(typed: Option<&[u8]>) -> Self {
        match check(typed) {
            Err(reason) => Self::NotEvaluated(reason),
            Ok(typed) => {
                let combined = Combined(Zeroizing::new(typed.to_vec()));
                let any_code = Digits::ALL
                    .iter()
                    .any(|digits| combined.code(*digits).is_some());
                if any_code || combined.recovery_code().is_some() {
                    Self::Combined(combined)
                } else {
                    Self::NotEvaluated(NotEvaluated::NoCode)
                }
            }
        }
    }
}

fn check(typed: Option<&[u8]>) -> Result<&[u8], NotEvaluated> {
    let typed = typed.ok_or(NotEvaluated::Missing)?;
    if typed.len() > LONGEST {
        return Err(NotEvaluated::TooLong);
    }
    let trimmed = typed.trim_ascii();
    if trimmed.is_empty() {
        return Err(NotEvaluated::Empty);
    }
    if trimmed.iter().any(u8::is_ascii_control) {
        return Err(NotEvaluated::ControlBytes);
    }
    Ok(typed)
}

/// A password with a code behind it. Where the cut lies depends on the user's devices, so the policy
/// looks at each possible end.
#[derive(Clone)]
pub struct Combined(Zeroizing<Vec<u8>>);

impl Combined {
    /// The last `digits` bytes, when they are digits.
    #[must_use]
    pub fn code(&self, digits: Digits) -> Option<Code> {
        let (_, end) = self
            .0
            .split_at_checked(self.0.len().checked_sub(digits.count())?)?;
        Code::parse(end)
    }

    /// The last 29 bytes, when they are a recovery code as it was printed. Other spellings would make
    /// most long passwords look like one.
    #[must_use]
    pub fn recovery_code(&self) -> Option<RecoveryCode> {
        let (_, end) = self
            .0
            .split_at_checked(self.0.len().checked_sub(PRINTED_LENGTH)?)?;
        let dashes_in_place = end
            .iter()
            .enumerate()
            .all(|(position, byte)| (position % 6 == 5) == (*byte == b'-') && *byte != b' ');
        RecoveryCode::parse(end).filter(|_| dashes_in_place)
    }

    /// What stands before the last `code_length` bytes: the password to hand on.
    #[must_use]
    pub fn password(&self, code_length: usize) -> &[u8] {
        let end = self.0.len().saturating_sub(code_length);
        self.0.get(..end).unwrap_or_default()
    }
}

impl fmt::Debug for Combined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Combined(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(typed: &[u8]) -> String {
        match Answer::parse(Some(typed), Some(b"hunter2")) {
            Answer::Code(code) => code.expose().to_string(),
            Answer::Recovery(_) => "recovery".into(),
            Answer::Unrecognised => "unrecognised".into(),
            Answer::Combined(_) => "combined".into(),
            Answer::NotEvaluated(reason) => reason.to_string(),
        }
    }

    #[test]
    fn answers_by_what_was_typed() {
        for (typed, expected) in [
            (&b"123456"[..], "123456"),
            (b" 123 456\t\n", "123456"),
            (b"123-456", "123456"),
            (b"1 2-3 45678", "12345678"),
            (b"12345", "unrecognised"),
            (b"123456789", "unrecognised"),
            (b"12345a", "unrecognised"),
            ("１２３４５６".as_bytes(), "unrecognised"),
            (b"\xff\xfe123456", "unrecognised"),
            (b"0123a bcdef ghjkm npqrs tvw10", "recovery"),
            (b"", "empty_answer"),
            (b" \t ", "empty_answer"),
            (b"\x08\n\r\x7fINCORRECT", "control_bytes"),
            (b"123\x00456", "control_bytes"),
            (b"123\t456", "control_bytes"),
            (b"hunter2", "answered_with_password"),
            (&[b'1'; 513], "answer_too_long"),
            (&[b'1'; 512], "unrecognised"),
        ] {
            assert_eq!(
                kind(typed),
                expected,
                "{:?}",
                String::from_utf8_lossy(typed)
            );
        }
        assert!(matches!(
            Answer::parse(None, None),
            Answer::NotEvaluated(NotEvaluated::Missing)
        ));
    }

    #[test]
    fn a_password_of_digits_is_not_taken_for_a_code() {
        let answer = Answer::parse(Some(b"123456"), Some(b"123456"));
        assert!(matches!(
            answer,
            Answer::NotEvaluated(NotEvaluated::Password)
        ));
    }

    #[test]
    fn combined_answers_are_cut_at_the_code() {
        let Answer::Combined(combined) = Answer::parse_combined(Some(b"pass word12345678")) else {
            panic!("not combined");
        };
        let [six, _, eight] = Digits::ALL;
        assert_eq!(*combined.code(six).unwrap().expose(), "345678");
        assert_eq!(*combined.code(eight).unwrap().expose(), "12345678");
        assert_eq!(combined.password(8), b"pass word");
        assert!(combined.recovery_code().is_none());
    }

    #[test]
    fn combined_recovery_codes_stand_as_printed() {
        let with = |end: &str| Answer::parse_combined(Some(format!("hunter2{end}").as_bytes()));
        let Answer::Combined(combined) = with("0123A-BCDEF-GHJKM-NPQRS-TVWXY") else {
            panic!("not combined");
        };
        assert!(combined.recovery_code().is_some());
        assert_eq!(combined.password(PRINTED_LENGTH), b"hunter2");
        let without_dashes = with("0123ABCDEFGHJKMNPQRSTVWXY");
        assert!(matches!(
            without_dashes,
            Answer::NotEvaluated(NotEvaluated::NoCode)
        ));
    }
}
