//! What was typed: a line with the password, if there is one, then the answer.

use otp_core::answer::{Answer, LONGEST, NotEvaluated};
use otp_core::hotp::Digits;
use otp_core::recovery::{PRINTED_LENGTH, RecoveryCode};

pub fn answer(data: &[u8]) {
    let (typed, password) = match crate::split_at_byte(data, b'\n') {
        (password, Some(typed)) => (typed, Some(password)),
        (typed, None) => (typed, None),
    };
    plain(typed, password);
    combined(typed);
}

fn plain(typed: &[u8], password: Option<&[u8]>) {
    let answer = Answer::parse(Some(typed), password);
    let trimmed = typed.trim_ascii();
    let digits: Vec<u8> = trimmed
        .iter()
        .copied()
        .filter(|byte| !b" -".contains(byte))
        .collect();
    let is_code = (6..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    match (&answer, not_a_guess(typed)) {
        (Answer::NotEvaluated(reason), Some(expected)) => assert_eq!(*reason, expected),
        (Answer::NotEvaluated(NotEvaluated::Password), None) => assert_eq!(password, Some(typed)),
        (_, None) if password == Some(typed) => panic!("the password is taken for a code"),
        (Answer::Code(code), None) => assert_eq!(code.expose().as_bytes(), digits),
        (_, None) if is_code => panic!("a code is not taken for one"),
        (Answer::Recovery(code), None) => {
            let again = RecoveryCode::parse(code.expose().as_bytes()).unwrap();
            assert_eq!(*again.expose(), *code.expose());
        }
        (Answer::Unrecognised, None) => assert!(RecoveryCode::parse(trimmed).is_none()),
        (answer, expected) => panic!("{answer:?}, expected {expected:?}"),
    }
}

/// Why it is no answer, whatever the password is.
fn not_a_guess(typed: &[u8]) -> Option<NotEvaluated> {
    let trimmed = typed.trim_ascii();
    if typed.len() > LONGEST {
        Some(NotEvaluated::TooLong)
    } else if trimmed.is_empty() {
        Some(NotEvaluated::Empty)
    } else if trimmed.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
        Some(NotEvaluated::ControlBytes)
    } else {
        None
    }
}

fn combined(typed: &[u8]) {
    match (Answer::parse_combined(Some(typed)), not_a_guess(typed)) {
        (Answer::NotEvaluated(reason), Some(expected)) => assert_eq!(reason, expected),
        (Answer::NotEvaluated(NotEvaluated::NoCode), None) => {
            let end = typed.len().saturating_sub(6);
            assert!(typed.len() < 6 || !typed[end..].iter().all(u8::is_ascii_digit));
        }
        (Answer::Combined(combined), None) => {
            for digits in Digits::ALL {
                if let Some(code) = combined.code(digits) {
                    let password = combined.password(digits.count());
                    assert_eq!([password, code.expose().as_bytes()].concat(), typed);
                }
            }
            if let Some(code) = combined.recovery_code() {
                let end = &typed[typed.len() - PRINTED_LENGTH..];
                let again = RecoveryCode::parse(end).unwrap();
                assert_eq!(*again.expose(), *code.expose());
            }
        }
        (answer, expected) => panic!("{answer:?}, expected {expected:?}"),
    }
}
