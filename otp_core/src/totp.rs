//! TOTP: the moving factor is a time step (RFC 6238).

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::hotp::MovingFactor;

/// Seconds since 1970-01-01 00:00 UTC, 64 bits wide (RFC 6238 section 4.2 asks for time beyond 2038).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// This moment plus a number of seconds; the end of time is a wall, not a wrap.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this moment; 0 when `earlier` lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How long a time step lasts: 1 to 86 400 seconds, 30 by default (RFC 6238 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Period(NonZeroU32);

impl Period {
    /// A day: longer steps would make a code a password.
    pub const LONGEST: u32 = 86_400;

    /// Seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0.get()
    }

    /// The step that `time` lies in, counted from the epoch (T0 = 0).
    #[must_use]
    pub fn step(self, time: UnixTime) -> MovingFactor {
        time.0 / u64::from(self.0.get())
    }
}

impl Default for Period {
    fn default() -> Self {
        Self(NonZeroU32::MIN.saturating_add(29))
    }
}

impl TryFrom<u32> for Period {
    type Error = String;
    fn try_from(seconds: u32) -> Result<Self, String> {
        NonZeroU32::new(seconds)
            .filter(|seconds| seconds.get() <= Self::LONGEST)
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "a period lasts 1 to {} seconds, not {seconds}",
                    Self::LONGEST
                )
            })
    }
}

impl From<Period> for u32 {
    fn from(period: Period) -> u32 {
        period.seconds()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hotp::{Algorithm, Digits, Generator};
    use crate::secret::Secret;

    /// RFC 6238 appendix B: time, then the codes of SHA-1, SHA-256 and SHA-512, eight digits each.
    const APPENDIX_B: [(u64, &str, &str, &str); 6] = [
        (59, "94287082", "46119246", "90693936"),
        (1_111_111_109, "07081804", "68084774", "25091201"),
        (1_111_111_111, "14050471", "67062674", "99943326"),
        (1_234_567_890, "89005924", "91819424", "93441116"),
        (2_000_000_000, "69279037", "90698825", "38618901"),
        (20_000_000_000, "65353130", "77737706", "47863826"),
    ];

    #[test]
    fn rfc_6238_appendix_b_vectors() {
        let seed = b"1234567890".repeat(7);
        let keys = [
            (Algorithm::Sha1, 20),
            (Algorithm::Sha256, 32),
            (Algorithm::Sha512, 64),
        ];
        for (time, sha1, sha256, sha512) in APPENDIX_B {
            for ((algorithm, length), expected) in keys.into_iter().zip([sha1, sha256, sha512]) {
                let secret = Secret::new(seed[..length].to_vec()).unwrap();
                let generator = Generator::new(&secret, algorithm, Digits::try_from(8).unwrap());
                let code = generator.code(Period::default().step(UnixTime(time)));
                assert_eq!(*code.expose(), expected, "{algorithm:?} at {time}");
            }
        }
    }

    #[test]
    fn periods_have_bounds() {
        assert!(Period::try_from(0).is_err());
        assert!(Period::try_from(86_401).is_err());
        assert_eq!(Period::default().seconds(), 30);
        assert_eq!(Period::default().step(UnixTime(u64::MAX)), u64::MAX / 30);
    }
}
