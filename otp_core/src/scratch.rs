//! Scratch codes: the single-use codes of 8 digits that google-authenticator wrote into people's files.
//!
//! They are on paper already, so an import keeps them. One has 27 bits, of which a plain hash would hide
//! nothing: they are hashed slowly, all of an account under one salt, so that an attempt costs one slow
//! hash however many there are. Guessing at a login is bounded by [`crate::throttle`], as for any code.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::hotp::{Code, Digits};
use crate::recovery::{RecoveryId, hex_bytes};
use crate::seal::envelope::Sealable;
use crate::secret::SecretError;

/// Digits of a scratch code.
pub const DIGITS: Digits = Digits::EIGHT;
/// Rounds of PBKDF2. An attempt with 8 digits costs about 2 ms; going through all codes of a stolen file
/// costs two days of a processor.
const ROUNDS: u32 = 10_000;

/// The scratch codes of one account: a salt and hashes, and nothing to print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScratchCodes {
    #[serde(with = "hex_bytes")]
    salt: [u8; 16],
    hashes: Vec<Hash>,
}

/// A hashed code.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Hash(#[serde(with = "hex_bytes")] [u8; 32]);

impl Hash {
    fn of(code: &Code, salt: &[u8; 16]) -> Self {
        let text = code.expose();
        Self(pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(
            text.as_bytes(),
            salt,
            ROUNDS,
        ))
    }

    /// The hash's first 64 bits: as good as random, therefore a name.
    fn id(&self) -> RecoveryId {
        let (first, _) = self.0.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        RecoveryId(u64::from_le_bytes(*first))
    }
}

impl ScratchCodes {
    /// Hashes these codes under a fresh salt. One that stands there twice counts once.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the kernel has no random bytes to give.
    pub fn new(codes: &[Code]) -> Result<Self, SecretError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| SecretError::Random)?;
        let mut hashes = Vec::with_capacity(codes.len());
        for hash in codes.iter().map(|code| Hash::of(code, &salt)) {
            if !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
        Ok(Self { salt, hashes })
    }

    /// These codes in the place of the others, under the names that they have. What `used` says is used up
    /// stays among them: a code that was forgotten could come back unused.
    #[must_use]
    pub fn replaced_by(&self, codes: &[Code], used: impl Fn(RecoveryId) -> bool) -> Self {
        let mut hashes: Vec<Hash> = codes
            .iter()
            .map(|code| Hash::of(code, &self.salt))
            .collect();
        hashes.extend(self.hashes.iter().filter(|hash| used(hash.id())));
        let mut kept: Vec<Hash> = Vec::with_capacity(hashes.len());
        for hash in hashes {
            if !kept.contains(&hash) {
                kept.push(hash);
            }
        }
        Self {
            salt: self.salt,
            hashes: kept,
        }
    }

    /// Forgets those that are too many.
    pub fn keep_first(&mut self, most: usize) {
        self.hashes.truncate(most);
    }

    /// Which of them this code is. Compares with all, in constant time.
    #[must_use]
    pub fn find(&self, code: &Code) -> Option<RecoveryId> {
        let typed = Hash::of(code, &self.salt);
        let (mut found, mut id) = (Choice::from(0), 0);
        for hash in &self.hashes {
            let equal = hash.0.ct_eq(&typed.0);
            id.conditional_assign(&hash.id().0, equal);
            found |= equal;
        }
        bool::from(found).then_some(RecoveryId(id))
    }

    /// The names of the codes.
    pub fn ids(&self) -> impl Iterator<Item = RecoveryId> {
        self.hashes.iter().map(Hash::id)
    }

    /// How many there are, used ones included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.hashes.len()
    }
}

/// Sealed like secrets: 27 bits do not hide behind a hash for ever.
impl Sealable for ScratchCodes {
    fn to_plain(&self) -> Zeroizing<Vec<u8>> {
        let hashes = self.hashes.iter().flat_map(|hash| hash.0);
        Zeroizing::new(self.salt.into_iter().chain(hashes).collect())
    }

    fn from_plain(bytes: &[u8]) -> Option<Self> {
        let (salt, rest) = bytes.split_first_chunk::<16>()?;
        let (hashes, rest) = rest.as_chunks::<32>();
        rest.is_empty().then(|| Self {
            salt: *salt,
            hashes: hashes.iter().copied().map(Hash).collect(),
        })
    }
}

/// What [`ScratchCodes::find`] costs, for accounts that have none.
pub fn same_work(code: &Code) {
    std::hint::black_box(Hash::of(code, &[0; 16]));
}

impl fmt::Debug for ScratchCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScratchCodes({})", self.hashes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes() -> Vec<Code> {
        let texts = ["12345678", "87654321", "12345678"];
        texts
            .map(|text| Code::parse(text.as_bytes()).unwrap())
            .into()
    }

    #[test]
    fn each_code_is_found_under_a_name_of_its_own() {
        let stored = ScratchCodes::new(&codes()).unwrap();
        assert_eq!(stored.count(), 2, "one stands there twice");
        let found: Vec<_> = codes().iter().map(|code| stored.find(code)).collect();
        assert_eq!(found[..2], stored.ids().map(Some).collect::<Vec<_>>());
        assert_eq!(found[0], found[2]);
        let other = Code::parse(b"12345679").unwrap();
        assert_eq!(stored.find(&other), None);
    }

    #[test]
    fn a_new_set_keeps_names_and_what_was_used() {
        let [first, second] =
            ["12345678", "87654321"].map(|text| Code::parse(text.as_bytes()).unwrap());
        let old = ScratchCodes::new(&codes()).unwrap();
        let used = old.find(&first).unwrap();
        let new = old.replaced_by(std::slice::from_ref(&second), |id| id == used);
        assert_eq!(
            (new.find(&first), new.find(&second)),
            (Some(used), old.find(&second))
        );
        assert_eq!(new.count(), 2);
        let third = Code::parse(b"11111111").unwrap();
        let new = old.replaced_by(std::slice::from_ref(&third), |id| id == used);
        assert_eq!(
            (new.count(), new.find(&second)),
            (2, None),
            "replaced, and was not used"
        );
    }

    #[test]
    fn equal_codes_are_stored_differently() {
        let [first, second] = [0; 2].map(|_: i32| ScratchCodes::new(&codes()).unwrap());
        assert_ne!(first, second);
        assert!(first.ids().all(|id| second.ids().all(|other| other != id)));
    }
}
