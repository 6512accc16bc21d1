//! Decoys: accounts of nobody, so that a login of an unknown user does what a known one's does.
//!
//! A keyed hash of the name picks one of 64, so that the same unknown name always meets the same file,
//! and two unknown names rarely wait for each other.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::error::{Problem, StoreError};
use super::safe_open::Directory;
use crate::account::{Account, Kind, Serial, Token};
use crate::hotp::{Algorithm, Digits};
use crate::recovery::{CODES_PER_SET, RecoveryCode, StoredRecoveryCode};
use crate::secret::{Secret, SecretError};
use crate::totp::{Period, UnixTime};
use crate::user_name::UserName;

/// How many there are.
pub const COUNT: u8 = 64;
/// The file with the key of the hash.
pub const KEY_FILE: &str = "key";
/// Bytes of the key.
pub const KEY_LENGTH: u64 = 32;

/// The file name of a decoy.
#[must_use]
pub fn name(number: u8) -> String {
    format!("{number:02}")
}

/// The decoy of a user name.
///
/// # Errors
/// [`StoreError`] when the key cannot be read.
pub fn choose(directory: &Directory, user: &UserName) -> Result<String, StoreError> {
    let damaged = || StoreError::new(&directory.join(KEY_FILE), Problem::NotInitialised);
    let key = directory.read(KEY_FILE, KEY_LENGTH)?.ok_or_else(damaged)?;
    if key.len() as u64 != KEY_LENGTH {
        return Err(damaged());
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| damaged())?;
    mac.update(user.file_name().as_bytes());
    let [first, ..]: [u8; 32] = mac.finalize().into_bytes().into();
    Ok(name(first % COUNT))
}

/// An account like that of a user with a phone. Nobody is ever shown its secret.
///
/// # Errors
/// [`SecretError::Random`] when the kernel has no random bytes to give.
pub fn account(number: u8) -> Result<Account, SecretError> {
    let mut account = Account::new(&UserName::new(name(number).as_bytes()), UnixTime(0));
    account.generation = 1;
    account.tokens.push(Token {
        id: "phone".into(),
        serial: Serial::generate()?,
        kind: Kind::Totp {
            period: Period::default(),
        },
        secret: Secret::generate()?,
        algorithm: Algorithm::default(),
        digits: Digits::SIX,
        label: "somebody@host.example".into(),
        issuer: "otpgate".into(),
        created: UnixTime(0),
        services: None,
        enabled: true,
    });
    // As many as a real account has: reading and hashing them takes time.
    for _ in 0..CODES_PER_SET {
        account
            .recovery
            .push(StoredRecoveryCode::new(&RecoveryCode::generate()?)?);
    }
    Ok(account)
}
