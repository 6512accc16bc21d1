//! HOTP: the code that belongs to a counter (RFC 4226, with the hashes of RFC 6238 section 1.2).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::secret::Secret;

/// The hash under the HMAC. Phone apps that ignore the parameter assume SHA-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// HMAC-SHA-1, the only one of RFC 4226 and the default of RFC 6238.
    #[default]
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl Algorithm {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name as configuration and command line spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// How many digits a code has: 6 to 8 (RFC 4226 section 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Digits(u8);

impl Digits {
    /// What nearly every phone app shows.
    pub const SIX: Self = Self(6);
    /// What scratch codes have, and some tokens.
    pub const EIGHT: Self = Self(8);
    /// Every number of digits that is allowed, fewest first.
    pub const ALL: [Self; 3] = [Self(6), Self(7), Self(8)];

    /// The number itself.
    #[must_use]
    pub fn count(self) -> usize {
        usize::from(self.0)
    }

    fn modulus(self) -> u32 {
        10_u32.pow(u32::from(self.0))
    }
}

impl TryFrom<u8> for Digits {
    type Error = String;
    fn try_from(count: u8) -> Result<Self, String> {
        match count {
            6..=8 => Ok(Self(count)),
            _ => Err(format!("a code has 6, 7 or 8 digits, not {count}")),
        }
    }
}

impl From<Digits> for u8 {
    fn from(digits: Digits) -> u8 {
        digits.0
    }
}

/// The moving factor: a counter for HOTP, a time step for TOTP.
pub type MovingFactor = u64;

/// A code of 6 to 8 digits, typed or computed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Code {
    value: u32,
    #[zeroize(skip)]
    digits: Digits,
}

impl Code {
    /// Reads exactly 6 to 8 ASCII digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = Digits::try_from(u8::try_from(text.len()).ok()?).ok()?;
        let mut value = 0_u32;
        for byte in text {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value * 10 + u32::from(byte - b'0');
        }
        Some(Self { value, digits })
    }

    /// The last digits of a number.
    pub(crate) fn of_number(number: u32, digits: Digits) -> Self {
        Self {
            value: number % digits.modulus(),
            digits,
        }
    }

    /// How many digits it has.
    #[must_use]
    pub fn digits(&self) -> Digits {
        self.digits
    }

    /// The digits as text, leading zeros included.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let width = self.digits.count();
        Zeroizing::new(format!("{:0width$}", self.value))
    }
}

impl ConstantTimeEq for Code {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.value.ct_eq(&other.value) & self.digits.0.ct_eq(&other.digits.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

#[derive(Clone)]
enum KeyedMac {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

/// Computes the codes of one device. Setting up the key costs as much as a code, so it is done once.
#[derive(Clone)]
pub struct Generator {
    mac: Option<KeyedMac>,
    digits: Digits,
}

impl Generator {
    /// For this secret, hash and number of digits.
    #[must_use]
    pub fn new(secret: &Secret, algorithm: Algorithm, digits: Digits) -> Self {
        let key = secret.expose();
        // HMAC takes keys of any length, so `mac` is always there; `None` would only match nothing.
        let mac = match algorithm {
            Algorithm::Sha1 => Hmac::new_from_slice(key).map(KeyedMac::Sha1),
            Algorithm::Sha256 => Hmac::new_from_slice(key).map(KeyedMac::Sha256),
            Algorithm::Sha512 => Hmac::new_from_slice(key).map(KeyedMac::Sha512),
        };
        Self {
            mac: mac.ok(),
            digits,
        }
    }

    /// The code for one moving factor (RFC 4226 section 5.3).
    #[must_use]
    pub fn code(&self, moving_factor: MovingFactor) -> Code {
        let message = moving_factor.to_be_bytes();
        let truncated = match &self.mac {
            Some(KeyedMac::Sha1(mac)) => truncate(&finish(mac.clone(), &message)),
            Some(KeyedMac::Sha256(mac)) => truncate(&finish(mac.clone(), &message)),
            Some(KeyedMac::Sha512(mac)) => truncate(&finish(mac.clone(), &message)),
            None => u32::MAX,
        };
        Code {
            value: truncated % self.digits.modulus(),
            digits: self.digits,
        }
    }
}

fn finish<M: Mac>(mut mac: M, message: &[u8]) -> hmac::digest::Output<M> {
    mac.update(message);
    mac.finalize().into_bytes()
}

/// Dynamic truncation, RFC 4226 section 5.3: four bytes at the offset that the last nibble names.
fn truncate(mac: &[u8]) -> u32 {
    let offset = usize::from(mac.last().copied().unwrap_or_default() & 0x0f);
    let mut word = [0; 4];
    for (to, from) in word.iter_mut().zip(mac.iter().skip(offset)) {
        *to = *from;
    }
    u32::from_be_bytes(word) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4226 appendix D: secret "12345678901234567890", counters 0 to 9.
    const APPENDIX_D: [&str; 10] = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];

    #[test]
    fn rfc_4226_appendix_d_vectors() {
        let secret = Secret::new(b"12345678901234567890".to_vec()).unwrap();
        let generator = Generator::new(&secret, Algorithm::Sha1, Digits::SIX);
        for (counter, expected) in (0..).zip(APPENDIX_D) {
            assert_eq!(
                *generator.code(counter).expose(),
                expected,
                "counter {counter}"
            );
        }
    }

    #[test]
    fn a_code_is_six_to_eight_ascii_digits() {
        for text in ["000000", "0000001", "99999999"] {
            assert_eq!(*Code::parse(text.as_bytes()).unwrap().expose(), text);
        }
        for text in [
            "",
            "12345",
            "123456789",
            "12345a",
            "１２３４５６",
            "-12345",
            "+12345",
        ] {
            assert!(Code::parse(text.as_bytes()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn codes_of_different_length_are_different() {
        let six = Code::parse(b"000001").unwrap();
        let seven = Code::parse(b"0000001").unwrap();
        assert!(!bool::from(six.ct_eq(&seven)));
        assert!(bool::from(six.ct_eq(&six.clone())));
        assert_eq!(format!("{six:?}"), "Code(..)");
    }
}
