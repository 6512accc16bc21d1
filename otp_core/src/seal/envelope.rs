//! One sealed secret: `sealed:KEY:BYTES`, the name of the key and nonce, ciphertext and tag.
//!
//! The user, the device and its serial are associated data: a secret that was copied to another user, to
//! another device or to another enrolment of the same one does not open.

use std::fmt;
use std::marker::PhantomData;

use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305, XNonce};
use data_encoding::BASE64URL_NOPAD;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::key::{KeyId, Keyring, SealKey};
use crate::secret::SecretError;

const PREFIX: &str = "sealed:";
const NONCE: usize = 24;
const TAG: usize = 16;
/// Longest sealed plaintext, in bytes: more than any secret and any list of hashes.
const LONGEST: usize = 1024;

/// What a sealed secret is bound to.
#[derive(Debug, Clone)]
pub struct Context(Vec<u8>);

impl Context {
    /// The secret of a device: the user's file name, the device's name and the serial of its enrolment.
    #[must_use]
    pub fn device(user: &str, id: &str, serial: u64) -> Self {
        Self::of(&[
            b"device",
            user.as_bytes(),
            id.as_bytes(),
            &serial.to_be_bytes(),
        ])
    }

    /// The hashed scratch codes of a user.
    #[must_use]
    pub fn scratch(user: &str) -> Self {
        Self::of(&[b"scratch", user.as_bytes()])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut bytes = b"otpgate sealed 1".to_vec();
        for part in parts {
            // With their lengths, so that no two lists of parts are the same bytes.
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(*part);
        }
        Self(bytes)
    }
}

/// Why a sealed secret does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// No key of this name is there.
    NoKey(KeyId),
    /// It was changed, or sealed for another user or device.
    Broken,
}

/// A sealed secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    key: KeyId,
    /// Nonce, ciphertext, tag.
    bytes: Vec<u8>,
}

impl Sealed {
    /// Seals these bytes under a fresh nonce.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the kernel has no random bytes to give, [`SecretError::Length`] for more
    /// bytes than any secret has.
    pub fn new(key: &SealKey, context: &Context, plain: &[u8]) -> Result<Self, SecretError> {
        if plain.len() > LONGEST {
            return Err(SecretError::Length(plain.len()));
        }
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SecretError::Random)?;
        // Room for the tag: growing would leave a copy of the secret on the heap.
        let mut text = Zeroizing::new(Vec::with_capacity(plain.len() + TAG));
        text.extend_from_slice(plain);
        cipher(key)
            .encrypt_in_place(&XNonce::from(nonce), &context.0, &mut *text)
            .map_err(|_| SecretError::Length(plain.len()))?;
        Ok(Self {
            key: key.id(),
            bytes: nonce.into_iter().chain(text.iter().copied()).collect(),
        })
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, keys: &Keyring, context: &Context) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key = keys.get(self.key).ok_or(OpenError::NoKey(self.key))?;
        let (nonce, text) = self
            .bytes
            .split_first_chunk::<NONCE>()
            .ok_or(OpenError::Broken)?;
        let mut text = Zeroizing::new(text.to_vec());
        cipher(key)
            .decrypt_in_place(&XNonce::from(*nonce), &context.0, &mut *text)
            .map_err(|_| OpenError::Broken)?;
        Ok(text)
    }

    /// The name of the key that it is sealed with.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    fn parse(text: &str) -> Option<Self> {
        let (key, bytes) = text.strip_prefix(PREFIX)?.split_once(':')?;
        let bytes = BASE64URL_NOPAD.decode(bytes.as_bytes()).ok()?;
        let whole = (NONCE + TAG..=NONCE + TAG + LONGEST).contains(&bytes.len());
        whole.then_some(Self {
            key: KeyId::parse(key)?,
            bytes,
        })
    }
}

fn cipher(key: &SealKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = BASE64URL_NOPAD.encode(&self.bytes);
        write!(f, "{PREFIX}{}:{bytes}", self.key)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({})", self.key)
    }
}

/// Something secret as it stands in an account file: in clear, or sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored<T> {
    /// For everybody to read who can read the file.
    Clear(T),
    /// For whoever has the key too.
    Sealed(Sealed),
}

/// What can be sealed: it becomes bytes and is made of them.
pub trait Sealable: Sized {
    /// As bytes.
    fn to_plain(&self) -> Zeroizing<Vec<u8>>;
    /// Of the bytes that [`Sealable::to_plain`] made.
    fn from_plain(bytes: &[u8]) -> Option<Self>;
}

impl<T: Sealable + Clone> Stored<T> {
    /// Sealed.
    ///
    /// # Errors
    /// As [`Sealed::new`].
    pub fn seal(clear: &T, key: &SealKey, context: &Context) -> Result<Self, SecretError> {
        Sealed::new(key, context, &clear.to_plain()).map(Self::Sealed)
    }

    /// What it holds.
    ///
    /// # Errors
    /// [`OpenError`] when it is sealed and does not open.
    pub fn open(&self, keys: &Keyring, context: &Context) -> Result<T, OpenError> {
        match self {
            Self::Clear(clear) => Ok(clear.clone()),
            Self::Sealed(sealed) => {
                T::from_plain(&sealed.open(keys, context)?).ok_or(OpenError::Broken)
            }
        }
    }
}

impl<T> Stored<T> {
    /// The key that it is sealed with; `None` in clear.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Self::Clear(_) => None,
            Self::Sealed(sealed) => Some(sealed.key),
        }
    }
}

impl<T: Serialize> Serialize for Stored<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Clear(clear) => clear.serialize(serializer),
            Self::Sealed(sealed) => serializer.collect_str(sealed),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Stored<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClearOrSealed(PhantomData))
    }
}

/// A text is sealed when it says so; everything else is in clear.
struct ClearOrSealed<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ClearOrSealed<T> {
    type Value = Stored<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret, in clear or sealed")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.starts_with(PREFIX) {
            let sealed = Sealed::parse(text).ok_or_else(|| E::custom("not a sealed secret"))?;
            return Ok(Stored::Sealed(sealed));
        }
        T::deserialize(StrDeserializer::new(text)).map(Stored::Clear)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Stored::Clear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SealKey {
        SealKey::generate().unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_in_its_place_alone() {
        let (mine, other) = (key(), key());
        let place = Context::device("alice", "phone", 7);
        let sealed = Sealed::new(&mine, &place, b"secret").unwrap();
        let keys = Keyring::new(vec![other.clone(), mine.clone()]);
        assert_eq!(*sealed.open(&keys, &place).unwrap(), b"secret");
        let without = Keyring::new(vec![other]);
        assert_eq!(
            sealed.open(&without, &place),
            Err(OpenError::NoKey(mine.id()))
        );
        for (name, elsewhere) in [
            ("another user", Context::device("bob", "phone", 7)),
            ("another device", Context::device("alice", "tablet", 7)),
            ("another enrolment", Context::device("alice", "phone", 8)),
            ("moved border", Context::device("alicep", "hone", 7)),
            ("another kind", Context::scratch("alice")),
        ] {
            assert_eq!(
                sealed.open(&keys, &elsewhere),
                Err(OpenError::Broken),
                "{name}"
            );
        }
    }

    #[test]
    fn the_text_is_read_back_and_every_changed_byte_is_noticed() {
        let key = key();
        let place = Context::scratch("alice");
        let keys = Keyring::new(vec![key.clone()]);
        let sealed = Sealed::new(&key, &place, b"secret").unwrap();
        assert_eq!(Sealed::parse(&sealed.to_string()), Some(sealed.clone()));
        for position in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[position] ^= 1;
            assert_eq!(
                changed.open(&keys, &place),
                Err(OpenError::Broken),
                "{position}"
            );
        }
        let text = sealed.to_string();
        for damaged in [
            &text[..40],
            &text[1..],
            &text.replace(':', ""),
            "sealed::",
            "sealed:",
        ] {
            assert_eq!(Sealed::parse(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn the_same_secret_is_sealed_differently_each_time() {
        let (key, place) = (key(), Context::scratch("alice"));
        let [first, second] = [0; 2].map(|_: i32| Sealed::new(&key, &place, b"s").unwrap());
        assert_ne!(first, second);
    }

    /// Appendix A.3.1 of draft-irtf-cfrg-xchacha-03.
    #[test]
    fn the_cipher_is_the_one_of_the_draft() {
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let key: Vec<u8> = (0x80..=0x9f).collect();
        let nonce: Vec<u8> = (0x40..=0x57).collect();
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let mut text = plain.to_vec();
        let nonce = <[u8; NONCE]>::try_from(nonce).unwrap();
        let key = <[u8; 32]>::try_from(key).unwrap();
        XChaCha20Poly1305::new(&key.into())
            .encrypt_in_place(
                &XNonce::from(nonce),
                &hex("50515253c0c1c2c3c4c5c6c7"),
                &mut text,
            )
            .unwrap();
        let tag = &text[text.len() - TAG..];
        assert_eq!(tag, hex("c0875924c1c7987947deafd8780acf49"));
        assert!(text.starts_with(&hex("bd6d179d3e83d43b9576579493c0e939")));
    }
}
