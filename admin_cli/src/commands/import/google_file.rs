//! The file of google-authenticator-libpam, read as that module reads it and never written.
//!
//! Line 1 is the secret; then lines `" KEY value`; then scratch codes. The first line of a key counts.

use std::fmt;

use otp_core::account::Kind;
use otp_core::hotp::{Code, MovingFactor};
use otp_core::secret::{Secret, SecretError};
use otp_core::totp::Period;
use zeroize::Zeroizing;

/// Largest file that the module reads, in bytes.
pub(super) const LARGEST: u64 = 65_536;
/// The window without a `WINDOW_SIZE`.
const USUAL_WINDOW: u64 = 3;
/// Smallest and largest scratch code.
const SCRATCH_CODES: std::ops::RangeInclusive<u64> = 10_000_000..=99_999_999;

/// What a file says.
#[derive(Debug)]
pub(super) struct GoogleFile {
    pub secret: Secret,
    /// With HOTP, the next counter to try.
    pub kind: Kind,
    /// Positions that the module looks at: TOTP around the current step, HOTP from the counter on.
    pub window: u64,
    /// Steps by which the device's clock runs ahead.
    pub skew: i64,
    /// The used time steps; `None` where the file allows reuse.
    pub used: Option<Vec<MovingFactor>>,
    pub scratch: Vec<Code>,
    /// As it stands there: attempts and seconds.
    pub rate_limit: Option<String>,
    /// Logins that `grace_period` remembers.
    pub grace_entries: usize,
}

/// Why a file is not taken. Never repeats what stands in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileError {
    /// No bytes, too many, or a NUL among them.
    Bytes,
    Secret(SecretError),
    /// Neither `TOTP_AUTH` nor `HOTP_COUNTER`: the old module takes only scratch codes with it.
    Kind,
    /// The value of this key.
    Value(&'static str),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => write!(f, "is empty, has more than {LARGEST} bytes, or a NUL among them"),
            Self::Secret(error) => write!(f, "line 1: {error}"),
            Self::Kind => f.write_str(
                "has neither a line TOTP_AUTH nor HOTP_COUNTER, so the old module takes no codes with it either",
            ),
            Self::Value(key) => write!(
                f,
                "the line {key} has a value that the old module refuses too; correct it, or take the line out"
            ),
        }
    }
}

/// Reads the bytes of a file.
pub(super) fn parse(bytes: &[u8]) -> Result<GoogleFile, FileError> {
    if bytes.is_empty() || bytes.len() as u64 > LARGEST || bytes.contains(&0) {
        return Err(FileError::Bytes);
    }
    let lines = Lines(bytes);
    Ok(GoogleFile {
        secret: secret(lines.first())?,
        kind: kind(&lines)?,
        window: lines
            .number("WINDOW_SIZE", 1..=100)?
            .unwrap_or(USUAL_WINDOW),
        skew: lines.value("TIME_SKEW").map_or(0, leading_number),
        used: used_steps(&lines)?,
        scratch: scratch_codes(&lines),
        rate_limit: lines.value("RATE_LIMIT").map(rate_limit),
        grace_entries: (0..10)
            .filter(|number| lines.value(&format!("LAST{number}")).is_some())
            .count(),
    })
}

struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn all(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let lines = self.0.split(|byte| *byte == b'\n');
        lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn first(&self) -> &'a [u8] {
        self.all().next().unwrap_or_default()
    }

    /// The value of the first line of this key.
    fn value(&self, key: &str) -> Option<&'a [u8]> {
        self.all().skip(1).find_map(|line| {
            let rest = line.strip_prefix(b"\" ")?.strip_prefix(key.as_bytes())?;
            let ends = matches!(rest.first(), None | Some(b' ' | b'\t'));
            ends.then(|| rest.trim_ascii_start())
        })
    }

    fn number(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, FileError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let number = text(value).trim_end().parse().ok();
        let number = number.filter(|number| range.contains(number));
        number.map(Some).ok_or(FileError::Value(key))
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The number in front, as strtol reads it; 0 for none.
fn leading_number(value: &[u8]) -> i64 {
    let value = text(value);
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let magnitude = digits.get(..length).unwrap_or_default();
    let magnitude: i64 = match magnitude.parse() {
        Ok(number) => number,
        Err(_) if length > 0 => i64::MAX,
        Err(_) => 0,
    };
    if value.starts_with('-') {
        -magnitude
    } else {
        magnitude
    }
}

/// Base32 as the module decodes it: any case, 0, 1 and 8 for letters that look alike, blanks and dashes
/// passed over, bits left over at the end dropped.
fn secret(line: &[u8]) -> Result<Secret, FileError> {
    // The longest one has 128 bytes; what is longer is refused by `Secret`.
    let mut bytes = Zeroizing::new(Vec::with_capacity(line.len()));
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in line.iter().filter(|byte| !b" \t-".contains(byte)) {
        let value = match byte.to_ascii_uppercase() {
            b'0' => b'O' - b'A',
            b'1' => b'L' - b'A',
            b'8' => b'B' - b'A',
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return Err(FileError::Secret(SecretError::NotBase32)),
        };
        buffer = (buffer << 5 | u32::from(value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits & 0xff).unwrap_or_default());
        }
    }
    Secret::new(std::mem::take(&mut *bytes)).map_err(FileError::Secret)
}

fn kind(lines: &Lines<'_>) -> Result<Kind, FileError> {
    let counter = lines.value("HOTP_COUNTER").map_or(0, leading_number);
    if let Some(counter) = u64::try_from(counter).ok().filter(|counter| *counter >= 1) {
        return Ok(Kind::Hotp { counter });
    }
    let marker = b"\" TOTP_AUTH";
    if !lines.0.windows(marker.len()).any(|window| window == marker) {
        return Err(FileError::Kind);
    }
    let seconds = lines.number("STEP_SIZE", 1..=60)?;
    let period = seconds.and_then(|seconds| u32::try_from(seconds).ok());
    let period = period.map(Period::try_from).transpose();
    let period = period.map_err(|_| FileError::Value("STEP_SIZE"))?;
    Ok(Kind::Totp {
        period: period.unwrap_or_default(),
    })
}

fn used_steps(lines: &Lines<'_>) -> Result<Option<Vec<MovingFactor>>, FileError> {
    let Some(value) = lines.value("DISALLOW_REUSE") else {
        return Ok(None);
    };
    let words = value.split(|byte| b" \t".contains(byte));
    let steps = words.filter(|word| !word.is_empty()).map(|word| {
        let step = text(word).parse();
        step.map_err(|_| FileError::Value("DISALLOW_REUSE"))
    });
    steps.collect::<Result<_, _>>().map(Some)
}

/// The codes behind the options. The module stops at the first line that is none.
fn scratch_codes(lines: &Lines<'_>) -> Vec<Code> {
    let lines = lines.all().skip(1);
    let candidates = lines.filter(|line| !line.is_empty() && !line.starts_with(b"\""));
    candidates
        .map_while(|line| {
            let digits = line.trim_ascii_start();
            let number = text(digits).parse().ok();
            number.filter(|number| SCRATCH_CODES.contains(number))?;
            Code::parse(digits)
        })
        .collect()
}

/// Attempts and seconds; the times behind them are of no interest, and what is no number is not repeated.
fn rate_limit(value: &[u8]) -> String {
    let words = text(value).split_ascii_whitespace().take(2);
    let plain = words.filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    plain.collect::<Vec<_>>().join(" per ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn read(rest: &str) -> Result<GoogleFile, FileError> {
        parse(format!("{SECRET}\n{rest}").as_bytes())
    }

    #[test]
    fn a_usual_file_is_read_whole() {
        let file = read(
            "\" RATE_LIMIT 3 30 1700000000\n\" WINDOW_SIZE 17\n\" DISALLOW_REUSE 56666667 56666670\n\
             \" TIME_SKEW -2\n\" LAST0 192.0.2.1 1700000000\n\" TOTP_AUTH\n12345678\n87654321\n",
        );
        let file = file.unwrap();
        assert_eq!(file.secret.expose(), b"12345678901234567890");
        assert_eq!(
            file.kind,
            Kind::Totp {
                period: Period::default()
            }
        );
        assert_eq!((file.window, file.skew, file.grace_entries), (17, -2, 1));
        assert_eq!(file.used, Some(vec![56_666_667, 56_666_670]));
        assert_eq!(file.rate_limit.as_deref(), Some("3 per 30"));
        let codes: Vec<_> = file
            .scratch
            .iter()
            .map(|code| code.expose().to_string())
            .collect();
        assert_eq!(codes, ["12345678", "87654321"]);
    }

    #[test]
    fn secrets_are_decoded_as_the_module_does() {
        for (line, expected) in [
            ("gezd gnbv-GY3T\tQOJQ", Ok(&b"1234567890"[..])),
            // 0 as O, 1 as L, 8 as B; left-over bits are dropped.
            ("018OLB", Ok(&[0x72, 0xc2, 0xe5][..])),
            ("MFRGGZDFMZTWQ2LK", Ok(b"abcdefghij")),
            ("MFRGG9", Err(FileError::Secret(SecretError::NotBase32))),
            ("MFRGG===", Err(FileError::Secret(SecretError::NotBase32))),
            ("", Err(FileError::Secret(SecretError::Length(0)))),
        ] {
            let file = parse(format!("{line}\r\n\" TOTP_AUTH\r\n").as_bytes());
            let secret = file.map(|file| file.secret.expose().to_vec());
            assert_eq!(secret, expected.map(<[u8]>::to_vec), "{line}");
        }
    }

    #[test]
    fn the_kind_is_the_modules() {
        let totp = |seconds| {
            Ok(Kind::Totp {
                period: Period::try_from(seconds).unwrap(),
            })
        };
        for (rest, expected) in [
            ("\" TOTP_AUTH", totp(30)),
            ("\" TOTP_AUTH\n\" STEP_SIZE 60", totp(60)),
            ("\" HOTP_COUNTER 7", Ok(Kind::Hotp { counter: 7 })),
            (
                "\" TOTP_AUTH\n\" HOTP_COUNTER 7",
                Ok(Kind::Hotp { counter: 7 }),
            ),
            ("\" HOTP_COUNTER 0\n\" TOTP_AUTH", totp(30)),
            ("\" HOTP_COUNTER x\n\" TOTP_AUTHOR", totp(30)),
            ("", Err(FileError::Kind)),
            ("\" HOTP_COUNTER 0", Err(FileError::Kind)),
            (
                "\" TOTP_AUTH\n\" STEP_SIZE 61",
                Err(FileError::Value("STEP_SIZE")),
            ),
        ] {
            assert_eq!(read(rest).map(|file| file.kind), expected, "{rest}");
        }
    }

    #[test]
    fn what_the_module_refuses_is_refused() {
        for (rest, expected) in [
            (
                "\" TOTP_AUTH\n\" DISALLOW_REUSE 1 x",
                FileError::Value("DISALLOW_REUSE"),
            ),
            (
                "\" TOTP_AUTH\n\" WINDOW_SIZE 0",
                FileError::Value("WINDOW_SIZE"),
            ),
            ("\" TOTP_AUTH\n\0", FileError::Bytes),
        ] {
            assert_eq!(read(rest).unwrap_err(), expected, "{rest}");
        }
        assert_eq!(parse(b"").unwrap_err(), FileError::Bytes);
        assert_eq!(parse(&[b'A'; 65_537]).unwrap_err(), FileError::Bytes);
    }

    #[test]
    fn the_first_line_of_a_key_counts_and_scratch_codes_end_at_the_first_odd_line() {
        let file = read(
            "\" TOTP_AUTH\n\" TIME_SKEW 1\n\" TIME_SKEW 2\n11111111\n\" WINDOW_SIZE 5\n\n22222222\n01234567\n33333333\n",
        );
        let file = file.unwrap();
        assert_eq!((file.skew, file.window, file.scratch.len()), (1, 5, 2));
        assert_eq!(file.used, None);
    }
}
