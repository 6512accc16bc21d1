//! User names: any bytes, and the file names made from them.

use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

/// Longest encoded name that is used as it is; file names hold 255 bytes, and suffixes need room.
const LONGEST_ENCODED: usize = 200;

/// A user name as libpam hands it over: bytes, not text, and whoever logs in chooses them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName {
    encoded: String,
}

impl UserName {
    /// Takes any bytes, also none: an odd name is simply one that nobody has.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut encoded = String::with_capacity(bytes.len());
        for (position, byte) in bytes.iter().enumerate() {
            let plain = byte.is_ascii_alphanumeric()
                || b"_-@+".contains(byte)
                || (*byte == b'.' && position > 0);
            if plain {
                encoded.push(char::from(*byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        if encoded.is_empty() || encoded.len() > LONGEST_ENCODED {
            // `%s` is no percent-encoding, so no other name leads here.
            encoded = format!("%sha256-{:x}", HexOf(&Sha256::digest(bytes)));
        }
        Self { encoded }
    }

    /// The name as a file name: percent-encoded, never empty, never starting with a dot, no slash.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.encoded
    }

    /// The name that a file in the store stands for; `None` for a file that no user name leads to.
    #[must_use]
    pub fn from_file_name(file_name: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(file_name.len());
        let mut rest = file_name.as_bytes();
        while let [first, after @ ..] = rest {
            rest = after;
            if *first != b'%' {
                bytes.push(*first);
            } else if let [high, low, after @ ..] = rest {
                let pair = [*high, *low];
                let hex = std::str::from_utf8(&pair).ok()?;
                bytes.push(u8::from_str_radix(hex, 16).ok()?);
                rest = after;
            } else {
                return None;
            }
        }
        let name = Self::new(&bytes);
        (name.encoded == file_name).then_some(name)
    }
}

struct HexOf<'a>(&'a [u8]);

impl fmt::LowerHex for HexOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<&str> for UserName {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}

/// The percent-encoded form: fit for logs and terminals whatever the bytes were.
impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encoded)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserName({})", self.encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_the_directory() {
        for (name, file) in [
            (&b"alice"[..], "alice"),
            (b"first.last@example.org", "first.last@example.org"),
            (b"../../etc/shadow", "%2E.%2F..%2Fetc%2Fshadow"),
            (b".", "%2E"),
            (b"..", "%2E."),
            (b"a/b", "a%2Fb"),
            (b"%2F", "%252F"),
            (b"DOM\\user", "DOM%5Cuser"),
            (b"with space\n", "with%20space%0A"),
            (b"\xff\x00", "%FF%00"),
        ] {
            let name = UserName::new(name);
            assert_eq!(name.file_name(), file);
            assert_eq!(UserName::from_file_name(file), Some(name), "{file}");
        }
    }

    #[test]
    fn empty_and_endless_names_have_a_file_name_of_their_own() {
        let names = [
            UserName::new(b""),
            UserName::new(&[b'a'; 201]),
            UserName::new(&[b'a'; 1 << 20]),
        ];
        for name in &names {
            assert!(name.file_name().starts_with("%sha256-"), "{name}");
            assert_eq!(name.file_name().len(), 8 + 64);
            assert_eq!(UserName::from_file_name(name.file_name()), None);
        }
        assert_ne!(names[1], names[2]);
    }

    #[test]
    fn only_canonical_file_names_are_names() {
        for file in ["%6", "%zz", "%61", ".hidden", "%2e"] {
            assert_eq!(UserName::from_file_name(file), None, "{file}");
        }
    }
}
