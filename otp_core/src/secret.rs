//! Secrets and codes: wiped when dropped, never printed by `Debug`, compared in constant time.

use std::fmt;

use data_encoding::{BASE32_NOPAD, Encoding, HEXLOWER_PERMISSIVE, Specification};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a secret that we make: 160 bits, which RFC 4226 section 4 (R6) recommends.
pub const GENERATED_BYTES: usize = 20;
/// Shortest secret that is taken without a warning: 128 bits, RFC 4226 section 4 (R6).
pub const STRONG_BYTES: usize = 16;
/// Longest secret: one SHA-512 block. HMAC would hash a longer one down anyway (RFC 2104).
pub const LONGEST_BYTES: usize = 128;

/// The key that a device and this host share.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

/// Why something is not a secret. Never repeats the text: a secret with a typing error is still one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretError {
    /// A character outside the alphabet, or left-over bits at the end.
    NotBase32,
    /// A character outside the alphabet, or an odd number of them.
    NotHex,
    /// No bytes, or more than [`LONGEST_BYTES`].
    Length(usize),
    /// The kernel gave no random bytes.
    Random,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBase32 => f.write_str(
                "the secret is not base32: it takes the letters A to Z and the digits 2 to 7",
            ),
            Self::NotHex => {
                f.write_str("the secret is not hexadecimal: it takes pairs of 0 to 9 and a to f")
            }
            Self::Length(bytes) => write!(
                f,
                "the secret has {bytes} bytes: it takes 1 to {LONGEST_BYTES}, and {GENERATED_BYTES} are usual"
            ),
            Self::Random => f.write_str("the kernel gave no random bytes"),
        }
    }
}

impl std::error::Error for SecretError {}

/// Base32 as people type it: any case, in groups. Made anew each time: a lazy static in somebody else's
/// process could be forked while another thread makes it.
fn forgiving_base32() -> Option<Encoding> {
    let mut specification: Specification = BASE32_NOPAD.specification();
    specification
        .translate
        .from
        .push_str("abcdefghijklmnopqrstuvwxyz");
    specification
        .translate
        .to
        .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    specification.ignore.push_str(" -\t\r\n");
    specification.encoding().ok()
}

impl Secret {
    /// A secret of these bytes.
    ///
    /// # Errors
    /// [`SecretError::Length`] for none, or more than [`LONGEST_BYTES`].
    pub fn new(mut bytes: Vec<u8>) -> Result<Self, SecretError> {
        if bytes.is_empty() || bytes.len() > LONGEST_BYTES {
            let length = bytes.len();
            bytes.zeroize();
            return Err(SecretError::Length(length));
        }
        Ok(Self(bytes))
    }

    /// A new secret of [`GENERATED_BYTES`] from the kernel's random source.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the kernel has none to give.
    pub fn generate() -> Result<Self, SecretError> {
        let mut bytes = vec![0; GENERATED_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| SecretError::Random)?;
        Self::new(bytes)
    }

    /// Reads base32 (RFC 4648 section 6) in any case, with or without padding, spaces and dashes.
    ///
    /// # Errors
    /// [`SecretError::NotBase32`], [`SecretError::Length`].
    pub fn from_base32(text: &str) -> Result<Self, SecretError> {
        let bare = text.trim().trim_end_matches('=');
        if let Ok(bytes) = BASE32_NOPAD.decode(bare.as_bytes()) {
            // As our own files have it.
            return Self::new(bytes);
        }
        let encoding = forgiving_base32().ok_or(SecretError::NotBase32)?;
        Self::new(
            encoding
                .decode(bare.as_bytes())
                .map_err(|_| SecretError::NotBase32)?,
        )
    }

    /// Reads hexadecimal in any case.
    ///
    /// # Errors
    /// [`SecretError::NotHex`], [`SecretError::Length`].
    pub fn from_hex(text: &str) -> Result<Self, SecretError> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes());
        Self::new(bytes.map_err(|_| SecretError::NotHex)?)
    }

    /// Upper-case base32 without padding: the form that phones read.
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0))
    }

    /// The bytes themselves, for HMAC.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether an import has to warn (RFC 4226 section 4, R6: at least 128 bits).
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.0.len() < STRONG_BYTES
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base32())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A visitor instead of a String: the text stays in the file's buffer, which is wiped.
        struct Base32;
        impl Visitor<'_> for Base32 {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret in base32")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Secret::from_base32(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Base32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_section_10_vectors() {
        for (bytes, text) in [
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            let secret = Secret::new(bytes.as_bytes().to_vec()).unwrap();
            assert_eq!(*secret.to_base32(), text, "encoding {bytes:?}");
            assert_eq!(
                Secret::from_base32(text).unwrap(),
                secret,
                "decoding {text:?}"
            );
        }
    }

    #[test]
    fn base32_is_read_as_people_type_it() {
        let secret = Secret::from_base32("MZXW6YTBOI").unwrap();
        for typed in [
            "mzxw6ytboi",
            "MZXW 6YTB OI",
            "mzxw-6ytb-oi",
            " MZXW6YTBOI======\n",
        ] {
            assert_eq!(Secret::from_base32(typed).unwrap(), secret, "{typed:?}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_without_repeating_it() {
        for typed in ["", "M", "MZXW6YTBOI1", "MZXW6YTB0I", "MZXW6YTBOJ", "MÄXW"] {
            let error = Secret::from_base32(typed).unwrap_err();
            if !typed.is_empty() {
                assert!(
                    !error.to_string().contains(typed),
                    "{typed:?} stands in the error"
                );
            }
        }
        assert_eq!(Secret::from_hex("abc").unwrap_err(), SecretError::NotHex);
        assert_eq!(Secret::from_hex("3132").unwrap().expose(), b"12");
        assert_eq!(
            Secret::new(vec![1; 129]).unwrap_err(),
            SecretError::Length(129)
        );
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::from_base32("MZXW6YTBOI").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
