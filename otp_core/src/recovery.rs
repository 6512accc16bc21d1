//! Recovery codes: what a person keeps on paper for the day the phone is gone.
//!
//! NIST SP 800-63B section 5.1.2 calls them look-up secrets: used once, stored hashed. Each has 125
//! random bits, so a plain salted hash is enough: there is nothing to guess that a slow one would slow.

use std::fmt;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::secret::SecretError;

/// Codes in a set.
pub const CODES_PER_SET: usize = 10;
/// With fewer left it is time for a new set.
pub const FEW: usize = 3;
/// Symbols in a code: 25 of 5 bits each.
pub const SYMBOLS: usize = 25;
/// Symbols between dashes.
const GROUP: usize = 5;
/// Length as printed: five groups and four dashes.
pub const PRINTED_LENGTH: usize = SYMBOLS + SYMBOLS / GROUP - 1;
/// Crockford's base32: no I, L, O or U, so that handwriting survives.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A recovery code in clear, made or typed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryCode([u8; SYMBOLS]);

impl RecoveryCode {
    /// A new code of 125 random bits.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the kernel has none to give.
    pub fn generate() -> Result<Self, SecretError> {
        let mut symbols = [0; SYMBOLS];
        getrandom::fill(&mut symbols).map_err(|_| SecretError::Random)?;
        for symbol in &mut symbols {
            // 256 is a multiple of 32, so the lower five bits are as uniform as the byte.
            *symbol &= 0x1f;
        }
        Ok(Self(symbols))
    }

    /// A new set of [`CODES_PER_SET`].
    ///
    /// # Errors
    /// As [`RecoveryCode::generate`].
    pub fn generate_set() -> Result<Vec<Self>, SecretError> {
        (0..CODES_PER_SET).map(|_| Self::generate()).collect()
    }

    /// Reads a code as people type it: any case, any spaces and dashes, O for 0, I and L for 1.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut typed = text.iter().filter(|byte| !b" -".contains(byte));
        let mut symbols = Self([0; SYMBOLS]);
        for symbol in &mut symbols.0 {
            let letter = match typed.next()?.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                letter => letter,
            };
            let value = ALPHABET.iter().position(|known| *known == letter)?;
            *symbol = u8::try_from(value).ok()?;
        }
        typed.next().is_none().then_some(symbols)
    }

    /// The form to print: `XXXXX-XXXXX-XXXXX-XXXXX-XXXXX`.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(PRINTED_LENGTH));
        for (position, symbol) in self.0.iter().enumerate() {
            if position > 0 && position % GROUP == 0 {
                text.push('-');
            }
            let letter = ALPHABET.get(usize::from(*symbol)).copied().unwrap_or(b'?');
            text.push(char::from(letter));
        }
        text
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

/// Names one stored code for ever: the list of used ones must outlive a change of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecoveryId(pub u64);

/// A stored recovery code: salt and hash, and nothing to print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredRecoveryCode {
    #[serde(with = "hex_bytes")]
    salt: [u8; 16],
    #[serde(with = "hex_bytes")]
    hash: [u8; 32],
}

impl StoredRecoveryCode {
    /// Hashes a code under a fresh salt.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the kernel has no random bytes to give.
    pub fn new(code: &RecoveryCode) -> Result<Self, SecretError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| SecretError::Random)?;
        Ok(Self {
            salt,
            hash: hash(&salt, code),
        })
    }

    /// Hashes each of these.
    ///
    /// # Errors
    /// As [`StoredRecoveryCode::new`].
    pub fn new_set(codes: &[RecoveryCode]) -> Result<Vec<Self>, SecretError> {
        codes.iter().map(Self::new).collect()
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, code: &RecoveryCode) -> Choice {
        self.hash.ct_eq(&hash(&self.salt, code))
    }

    /// The salt's first half: random, therefore a name.
    #[must_use]
    pub fn id(&self) -> RecoveryId {
        let (first, _) = self.salt.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        RecoveryId(u64::from_le_bytes(*first))
    }
}

fn hash(salt: &[u8; 16], code: &RecoveryCode) -> [u8; 32] {
    // HMAC takes keys of any length. A hash of zeros would match no code.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt) else {
        return [0; 32];
    };
    mac.update(&code.0);
    mac.finalize().into_bytes().into()
}

impl fmt::Debug for StoredRecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StoredRecoveryCode({})",
            HEXLOWER.encode(&self.id().0.to_le_bytes())
        )
    }
}

/// Byte arrays as lower-case hexadecimal.
pub(crate) mod hex_bytes {
    use data_encoding::HEXLOWER;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<const N: usize, S: Serializer>(
        bytes: &[u8; N],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&HEXLOWER.encode(bytes))
    }

    pub fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        from: D,
    ) -> Result<[u8; N], D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let length = bytes.len();
        bytes
            .try_into()
            .map_err(|_| D::Error::custom(format!("{length} bytes instead of {N}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nist_800_63b_recovery_codes_have_125_random_bits_in_five_groups() {
        let code = RecoveryCode::generate().unwrap();
        let text = code.expose();
        assert_eq!(text.len(), PRINTED_LENGTH);
        assert!(text.split('-').all(|group| group.len() == 5));
        assert_ne!(*text, *RecoveryCode::generate().unwrap().expose());
    }

    #[test]
    fn typing_is_forgiven() {
        let printed = "0123A-BCDEF-GHJKM-NPQRS-TVW10";
        let stored =
            StoredRecoveryCode::new(&RecoveryCode::parse(printed.as_bytes()).unwrap()).unwrap();
        for typed in [
            "0123abcdefghjkmnpqrstvw10",
            "o123a bcdef ghjkm npqrs tvwi0",
            "O123A-BCDEF-GHJKM-NPQRS-TVWLO",
            "-0123A-BCDEF--GHJKM-NPQRS-TVW10-",
        ] {
            let code = RecoveryCode::parse(typed.as_bytes()).unwrap();
            assert!(bool::from(stored.matches(&code)), "{typed:?}");
        }
    }

    #[test]
    fn what_is_no_recovery_code() {
        for typed in [
            "",
            "0123A-BCDEF-GHJKM-NPQRS-TVW1",
            "0123A-BCDEF-GHJKM-NPQRS-TVW100",
            "U123A-BCDEF-GHJKM-NPQRS-TVW10",
        ] {
            assert!(RecoveryCode::parse(typed.as_bytes()).is_none(), "{typed:?}");
        }
    }

    #[test]
    fn equal_codes_are_stored_differently() {
        let code = RecoveryCode::generate().unwrap();
        let [first, second] = [0; 2].map(|_: i32| StoredRecoveryCode::new(&code).unwrap());
        assert_ne!(first, second);
        assert_ne!(first.id(), second.id());
    }
}
