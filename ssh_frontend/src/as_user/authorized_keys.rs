//! What the user's authorized_keys says about a key, in sshd's format (sshd(8), AUTHORIZED_KEYS FILE
//! FORMAT).
//!
//! An option that is not understood may be what its writer relies on, so the key beside it is refused: a key
//! never does more here than with sshd.

mod file;
mod line;
mod options;
mod source;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::Path;

use russh::keys::ssh_key::encoding::base64::{Base64, Encoding};

use super::{Account, KeyVerdict};

/// A key as a line would have it.
#[derive(Debug)]
pub struct OfferedKey {
    algorithm: String,
    base64: String,
}

impl OfferedKey {
    /// From its type and its wire format, which may be anything: what is no key stands on no line.
    #[must_use]
    pub fn new(algorithm: &str, key: &[u8]) -> Self {
        Self {
            algorithm: algorithm.to_owned(),
            base64: Base64::encode_string(key),
        }
    }
}

/// Looks for the key in the file, relative to the account's home or absolute, for a client at `source`.
///
/// To be called as that user: the file may be a link to anything that they cannot read.
#[must_use]
pub fn find(account: &Account, file: &Path, key: &OfferedKey, source: IpAddr) -> KeyVerdict {
    match file::read_trusted(account, file) {
        Ok(Some(text)) => judge(&text, key, source),
        Ok(None) => KeyVerdict::NotFound,
        Err(reason) => KeyVerdict::Refused(reason),
    }
}

/// What a file of this text says about the key: the first line that has it and holds decides; if none holds,
/// the first that has it says why.
#[must_use]
pub fn judge(text: &[u8], key: &OfferedKey, source: IpAddr) -> KeyVerdict {
    let mut refusal = None;
    for line in text.split(|byte| *byte == b'\n') {
        let Some(options) = line::options_of(line, &key.algorithm, &key.base64) else {
            continue;
        };
        match limits(options, key, source) {
            Ok(limits) => return KeyVerdict::Found(limits),
            Err(reason) => refusal = refusal.or(Some(reason)),
        }
    }
    refusal.map_or(KeyVerdict::NotFound, KeyVerdict::Refused)
}

fn limits(options: &[u8], key: &OfferedKey, source: IpAddr) -> Result<super::KeyLimits, String> {
    // A security key's signature says whether somebody touched it, and nobody here looks.
    if key.algorithm.starts_with("sk-") {
        return Err(format!("keys of type {} are not supported", key.algorithm));
    }
    options::limits(options, source)
}
