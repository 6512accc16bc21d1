//! What an import takes out of a file of google-authenticator, read by the parser that logins use.

use std::fmt;

use otp_core::account::Kind;
use otp_core::hotp::{Code, MovingFactor};
use otp_core::secret::Secret;
use otp_core::store::google_authenticator::settings::{self, BadLine};
use otp_core::store::google_authenticator::text::{LARGEST, SecretFile};
use otp_core::totp::Period;
use zeroize::Zeroizing;

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
    /// Attempts and seconds.
    pub rate_limit: Option<(usize, u64)>,
    /// Logins that `grace_period` remembers.
    pub grace_entries: usize,
}

/// Why a file is not taken. Never repeats what stands in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileError {
    /// No bytes, too many, or a NUL among them.
    Bytes,
    /// Line 1 is no base32, or nothing.
    Secret,
    /// Neither `TOTP_AUTH` nor `HOTP_COUNTER`: the old module takes only scratch codes with it.
    Kind,
    /// The value of this key.
    Value(&'static str),
}

impl From<BadLine> for FileError {
    fn from(line: BadLine) -> Self {
        Self::Value(line.0)
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => write!(f, "is empty, has more than {LARGEST} bytes, or a NUL among them"),
            Self::Secret => f.write_str("line 1 is no secret in base32"),
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
pub(super) fn parse(bytes: Zeroizing<Vec<u8>>) -> Result<GoogleFile, FileError> {
    let file = SecretFile::new(bytes).ok_or(FileError::Bytes)?;
    let used = settings::used_steps(&file)?;
    // A step below 0 is none that a code could have.
    let steps = |used: Vec<i64>| used.into_iter().filter_map(|step| u64::try_from(step).ok());
    Ok(GoogleFile {
        secret: file.secret().ok_or(FileError::Secret)?,
        kind: kind(&file)?,
        window: settings::window(&file)?.unsigned_abs(),
        skew: settings::skew(&file),
        used: used.map(|used| steps(used).collect()),
        scratch: scratch_codes(&file),
        rate_limit: settings::rate_limit(&file)?,
        grace_entries: (0..10)
            .filter(|number| file.option(&format!("LAST{number}")).is_some())
            .count(),
    })
}

fn kind(file: &SecretFile) -> Result<Kind, FileError> {
    match settings::kind(file) {
        settings::Kind::Counter(counter) => Ok(Kind::Hotp { counter }),
        settings::Kind::Neither => Err(FileError::Kind),
        settings::Kind::Time => {
            let seconds = u32::try_from(settings::step_size(file)?).ok();
            let period = seconds.and_then(|seconds| Period::try_from(seconds).ok());
            let period = period.ok_or(FileError::Value("STEP_SIZE"))?;
            Ok(Kind::Totp { period })
        }
    }
}

fn scratch_codes(file: &SecretFile) -> Vec<Code> {
    let codes = file.single_use_codes();
    codes
        .filter_map(|code| Code::parse(Zeroizing::new(code.to_string()).as_bytes()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn read(rest: &str) -> Result<GoogleFile, FileError> {
        parse(format!("{SECRET}\n{rest}").into_bytes().into())
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
        assert_eq!(file.rate_limit, Some((3, 30)));
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
            ("MFRGG9", Err(FileError::Secret)),
            ("MFRGG===", Err(FileError::Secret)),
            ("", Err(FileError::Secret)),
        ] {
            let file = parse(format!("{line}\r\n\" TOTP_AUTH\r\n").into_bytes().into());
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
        assert_eq!(parse(Vec::new().into()).unwrap_err(), FileError::Bytes);
        assert_eq!(
            parse(vec![b'A'; 65_537].into()).unwrap_err(),
            FileError::Bytes
        );
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
