//! Numbers as C reads them (`strtol`, `strtoul`): white space and a sign in front, the rest left over.
//!
//! What the peer takes for a number has to be one here too, or a file that works there would not here.

/// An unsigned number and how many bytes it took, blanks and sign included. `None` without a digit, or
/// beyond 64 bits. A minus sign wraps round, as in C.
#[must_use]
pub fn unsigned(text: &[u8]) -> Option<(u64, usize)> {
    let (magnitude, negative, length) = parse(text)?;
    let value = if negative {
        magnitude.wrapping_neg()
    } else {
        magnitude
    };
    Some((value, length))
}

/// A signed number; 0 without a digit, and the nearest bound for one beyond 64 bits.
#[must_use]
pub fn signed_or_zero(text: &[u8]) -> i64 {
    let blanks = text.iter().take_while(|byte| is_space(**byte)).count();
    let negative = text.get(blanks) == Some(&b'-');
    let bound = if negative { i64::MIN } else { i64::MAX };
    let digit = blanks + usize::from(matches!(text.get(blanks), Some(b'-' | b'+')));
    if !text.get(digit).is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    let Some((magnitude, ..)) = parse(text) else {
        return bound;
    };
    match i64::try_from(magnitude) {
        Ok(value) if negative => -value,
        Ok(value) => value,
        Err(_) => bound,
    }
}

/// The low 32 bits as a signed number: what is left when C stores a long in an int.
#[must_use]
#[allow(clippy::cast_possible_truncation)]
pub fn as_int(value: u64) -> i32 {
    value as i32
}

fn parse(text: &[u8]) -> Option<(u64, bool, usize)> {
    let blanks = text.iter().take_while(|byte| is_space(**byte)).count();
    let sign = text.get(blanks).filter(|byte| b"+-".contains(byte));
    let start = blanks + usize::from(sign.is_some());
    let digits = text.get(start..)?;
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let digits = digits.get(..count).filter(|digits| !digits.is_empty())?;
    let value = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((value, sign == Some(&b'-'), start + count))
}

/// `isspace` in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_in_c() {
        for (text, expected) in [
            (&b"17"[..], Some((17, 2))),
            (b" \t+17 x", Some((17, 5))),
            (b"-1", Some((u64::MAX, 2))),
            (b"", None),
            (b"x", None),
            (b"- 1", None),
            (b"18446744073709551616", None),
        ] {
            assert_eq!(unsigned(text), expected, "{text:?}");
        }
        for (text, expected) in [
            (&b"-3"[..], -3),
            (b"4 5", 4),
            (b"soon", 0),
            (b"", 0),
            (b"99999999999999999999", i64::MAX),
            (b"-99999999999999999999", i64::MIN),
        ] {
            assert_eq!(signed_or_zero(text), expected, "{text:?}");
        }
        assert_eq!(as_int(u64::MAX), -1);
    }
}
