//! The keys that secrets are sealed with, and the text of the file that holds them.
//!
//! The file has a line of 64 hexadecimal digits per key, the newest last. There is one, and during a
//! rotation two. A key's name is computed from it, so that a name can never be that of another key.

use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::secret::SecretError;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Most keys of a file: two of a rotation, and old ones that old backups are sealed with.
pub const MAX_KEYS: usize = 8;
/// Largest key file, in bytes: [`MAX_KEYS`] lines, and some comment.
pub const LARGEST_FILE: u64 = 4096;

/// A key. Never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SealKey([u8; KEY_BYTES]);

impl SealKey {
    /// A new key from the kernel's random source.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the kernel has none to give.
    pub fn generate() -> Result<Self, SecretError> {
        let mut key = Self([0; KEY_BYTES]);
        getrandom::fill(&mut key.0).map_err(|_| SecretError::Random)?;
        Ok(key)
    }

    /// The name of this key. It tells nothing of the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return KeyId(0);
        };
        mac.update(b"otpgate: the name of a seal key");
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let (first, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        KeyId(u64::from_be_bytes(*first))
    }

    /// The bytes, for the cipher.
    #[must_use]
    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    fn parse(line: &str) -> Option<Self> {
        let bytes = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(line.as_bytes()).ok()?);
        <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok().map(Self)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id())
    }
}

/// Names a key: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl KeyId {
    /// Reads 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        <[u8; 8]>::try_from(bytes)
            .ok()
            .map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

impl TryFrom<String> for KeyId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "the name of a key has 16 hexadecimal digits".to_owned())
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.to_string()
    }
}

/// The keys of a key file, in its order: the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyring(Vec<SealKey>);

impl Keyring {
    /// These keys.
    #[must_use]
    pub fn new(keys: Vec<SealKey>) -> Self {
        Self(keys)
    }

    /// Reads the text of a key file: a key a line; empty lines and those behind `#` say nothing.
    ///
    /// # Errors
    /// Which line is wrong. The line is not repeated: a key with a typing error is nearly one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<SealKey> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| format!("line {}: {what}", number + 1);
            let key = SealKey::parse(line)
                .ok_or_else(|| wrong("a key has 64 hexadecimal digits, alone on its line"))?;
            if keys.contains(&key) {
                return Err(wrong("the key stands there twice"));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err("there is no key in it".to_owned()),
            count if count > MAX_KEYS => Err(format!("{count} keys, and {MAX_KEYS} are the most")),
            _ => Ok(Self(keys)),
        }
    }

    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let comment = "# Keys of `otpgate seal`, the newest last. Whoever has this file and the state directory has\n\
                       # every secret: keep it out of the backups that hold the state directory.\n";
        // In one piece: growing would leave copies of keys on the heap.
        let mut text = Zeroizing::new(String::with_capacity(LARGEST_FILE as usize));
        text.push_str(comment);
        for key in &self.0 {
            text.push_str(&Zeroizing::new(HEXLOWER.encode(&key.0)));
            text.push('\n');
        }
        text
    }

    /// The key of this name.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&SealKey> {
        self.0.iter().find(|key| key.id() == id)
    }

    /// The newest key.
    #[must_use]
    pub fn newest(&self) -> Option<&SealKey> {
        self.0.last()
    }

    /// The names of all.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().map(SealKey::id)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The same with one more, as the newest.
    #[must_use]
    pub fn with(&self, key: SealKey) -> Self {
        Self(self.0.iter().cloned().chain([key]).collect())
    }

    /// This key alone; `None` when it is not there.
    #[must_use]
    pub fn only(&self, id: KeyId) -> Option<Self> {
        self.get(id).map(|key| Self(vec![key.clone()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_in_order() {
        let keys: Vec<SealKey> = (0..3).map(|_| SealKey::generate().unwrap()).collect();
        let ring = Keyring::new(keys.clone());
        let read = Keyring::parse(&ring.to_text()).unwrap();
        assert_eq!(read, ring);
        assert_eq!(read.newest(), keys.last());
        assert_eq!(read.get(keys[1].id()), Some(&keys[1]));
        assert_eq!(read.only(keys[0].id()).unwrap().count(), 1);
        assert_eq!(read.get(SealKey::generate().unwrap().id()), None);
    }

    #[test]
    fn a_full_file_fits() {
        let keys = (0..MAX_KEYS).map(|_| SealKey::generate().unwrap());
        let text = Keyring::new(keys.collect()).to_text();
        assert!((text.len() as u64) < LARGEST_FILE / 2, "{}", text.len());
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_repeating_it() {
        let key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        for (name, text) in [
            ("empty", String::new()),
            ("comment alone", "# key\n".to_owned()),
            ("short", format!("# mine\n{}\n", &key[2..])),
            ("long", format!("{key}00\n")),
            ("no digits", format!("{}zz\n", &key[2..])),
            ("two on a line", format!("{key} {key}\n")),
            ("twice", format!("{key}\n{}\n", key.to_uppercase())),
        ] {
            let error = Keyring::parse(&text).expect_err(name);
            assert!(!error.contains("2233"), "{name}: {error}");
        }
        assert_eq!(Keyring::parse(&format!("\n {key} \n")).unwrap().count(), 1);
    }

    #[test]
    fn nothing_of_a_key_is_printed_and_its_name_is_not_a_part_of_it() {
        let key = SealKey([0xab; 32]);
        let printed = format!("{key:?} {:?}", Keyring::new(vec![key.clone()]));
        assert!(!printed.to_lowercase().contains("abab"), "{printed}");
        assert!(!printed.contains("171"), "{printed}");
        assert_eq!(KeyId::parse(&key.id().to_string()), Some(key.id()));
        assert_eq!(KeyId::parse("0123"), None);
    }
}
