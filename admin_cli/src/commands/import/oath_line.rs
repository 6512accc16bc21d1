//! A line of pam_oath's users file: `TYPE USER PASSWORD HEXSECRET [MOVING_FACTOR] [LAST_OTP] [LAST_TIME]`.

use jiff::civil::DateTime;
use otp_core::account::Kind;
use otp_core::hotp::{Code, Digits};
use otp_core::secret::Secret;
use otp_core::totp::Period;

/// What a line says.
#[derive(Debug)]
pub struct OathLine {
    /// With HOTP, MOVING_FACTOR as it stands there.
    pub kind: Kind,
    /// Digits of a code.
    pub digits: Digits,
    /// Whether a PIN has to be typed in front of the code.
    pub has_pin: bool,
    /// The key.
    pub secret: Secret,
    /// The code that is used up.
    pub last: Option<Last>,
}

/// The code that was used last, and when, in local time.
#[derive(Debug)]
pub struct Last {
    /// The code.
    pub code: Code,
    /// When.
    pub time: Option<DateTime>,
}

/// The user of a line, whether or not the rest can be read; `None` for comments and the like, which
/// pam_oath passes over.
#[must_use]
pub fn user_of(line: &[u8]) -> Option<&[u8]> {
    let mut words = words(line);
    shape(words.next()?)?;
    words.next()
}

/// Whether a line says nothing at all.
#[must_use]
pub fn is_comment(line: &[u8]) -> bool {
    words(line).next().is_none_or(|word| word.starts_with(b"#"))
}

/// Reads a line.
///
/// # Errors
/// What is wrong, in words; the line holds a secret and is not repeated.
pub fn parse(line: &[u8]) -> Result<OathLine, String> {
    let mut words = words(line);
    let mut word = |name: &str| words.next().ok_or_else(|| format!("{name} is missing"));
    let (kind, digits) = shape(word("TYPE")?).ok_or(
        "the first word is none of HOTP, HOTP/E, HOTP/T30, HOTP/T60, with /6, /7 or /8 behind all but the first",
    )?;
    word("USER")?;
    let password = word("PASSWORD")?;
    let secret = std::str::from_utf8(word("HEXSECRET")?).unwrap_or_default();
    let secret = Secret::from_hex(secret).map_err(|error| format!("HEXSECRET: {error}"))?;
    let counter = words.next().map(number).unwrap_or(Some(0));
    let counter = counter.ok_or("MOVING_FACTOR is no number")?;
    let last = words.next().map(|code| last(code, words.next()));
    Ok(OathLine {
        kind: match kind {
            Kind::Hotp { .. } => Kind::Hotp { counter },
            totp => totp,
        },
        digits,
        has_pin: !matches!(password, b"-" | b"+"),
        secret,
        last: last.transpose()?,
    })
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

/// The types that pam_oath knows, and no others.
fn shape(word: &[u8]) -> Option<(Kind, Digits)> {
    let mut parts = word.split(|byte| *byte == b'/');
    if parts.next() != Some(b"HOTP") {
        return None;
    }
    let seconds = match parts.next() {
        None | Some(b"E") => None,
        Some(b"T30") => Some(30),
        Some(b"T60") => Some(60),
        Some(_) => return None,
    };
    let digits = match parts.next() {
        None => Digits::SIX,
        Some([digit @ b'6'..=b'8']) => Digits::try_from(digit - b'0').ok()?,
        Some(_) => return None,
    };
    let kind = match seconds {
        None => Kind::Hotp { counter: 0 },
        Some(seconds) => Kind::Totp {
            period: Period::try_from(seconds).ok()?,
        },
    };
    parts.next().is_none().then_some((kind, digits))
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn last(code: &[u8], time: Option<&[u8]>) -> Result<Last, String> {
    let code = Code::parse(code).ok_or("LAST_OTP is no code of 6 to 8 digits")?;
    let time = time.map(|time| {
        let time = std::str::from_utf8(time).unwrap_or_default();
        DateTime::strptime("%Y-%m-%dT%H:%M:%SL", time)
    });
    let time = time.transpose();
    let time = time.map_err(|_| "LAST_TIME is no time such as 2024-12-31T23:59:59L")?;
    Ok(Last { code, time })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "3132333435363738393031323334353637383930";

    #[test]
    fn every_type_of_the_peer_is_read() {
        let totp = |seconds| Kind::Totp {
            period: Period::try_from(seconds).unwrap(),
        };
        for (word, kind, digits) in [
            ("HOTP", Kind::Hotp { counter: 9 }, 6),
            ("HOTP/E", Kind::Hotp { counter: 9 }, 6),
            ("HOTP/E/6", Kind::Hotp { counter: 9 }, 6),
            ("HOTP/E/7", Kind::Hotp { counter: 9 }, 7),
            ("HOTP/E/8", Kind::Hotp { counter: 9 }, 8),
            ("HOTP/T30", totp(30), 6),
            ("HOTP/T30/6", totp(30), 6),
            ("HOTP/T30/7", totp(30), 7),
            ("HOTP/T30/8", totp(30), 8),
            ("HOTP/T60", totp(60), 6),
            ("HOTP/T60/6", totp(60), 6),
            ("HOTP/T60/7", totp(60), 7),
            ("HOTP/T60/8", totp(60), 8),
        ] {
            let line = format!(" {word}\talice  - {SECRET} 9\r");
            let read = parse(line.as_bytes()).unwrap_or_else(|why| panic!("{word}: {why}"));
            assert_eq!((read.kind, read.digits.count()), (kind, digits), "{word}");
            assert_eq!(read.secret.expose(), b"12345678901234567890");
            assert_eq!(user_of(line.as_bytes()), Some(&b"alice"[..]));
            assert!(!read.has_pin && read.last.is_none());
        }
    }

    #[test]
    fn what_was_used_last_is_read() {
        let line = format!("HOTP/T30 alice + {SECRET} 0 328482 2024-12-31T23:59:59L");
        let last = parse(line.as_bytes()).unwrap().last.unwrap();
        assert_eq!(*last.code.expose(), "328482");
        assert_eq!(last.time.unwrap().to_string(), "2024-12-31T23:59:59");
        let line = format!("HOTP alice 1234 {SECRET} 7 328482");
        let read = parse(line.as_bytes()).unwrap();
        assert!(read.has_pin && read.last.unwrap().time.is_none());
    }

    #[test]
    fn errors_say_what_is_wrong_and_repeat_nothing() {
        for (line, expected) in [
            ("TOTP alice - 31323334", "the first word"),
            ("HOTP/T45 alice - 31323334", "the first word"),
            ("HOTP/E/9 alice - 31323334", "the first word"),
            ("HOTP/E/6/6 alice - 31323334", "the first word"),
            ("HOTP", "USER is missing"),
            ("HOTP alice -", "HEXSECRET is missing"),
            ("HOTP alice - 3132333", "HEXSECRET: "),
            ("HOTP alice - 31323334 x", "MOVING_FACTOR is"),
            ("HOTP alice - 31323334 1 12345", "LAST_OTP is"),
            ("HOTP alice - 31323334 1 123456 yesterday", "LAST_TIME is"),
        ] {
            let why = parse(line.as_bytes()).unwrap_err();
            assert!(
                why.starts_with(expected) && !why.contains("313233"),
                "{line}: {why}"
            );
        }
        assert!(is_comment(b"  # HOTP alice") && is_comment(b" \t") && !is_comment(b"HOTP"));
    }
}
