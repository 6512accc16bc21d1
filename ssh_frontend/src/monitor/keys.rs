//! Is this public key one of the user's? Their own process reads their file.
//!
//! That the client holds the private key is the network process's word. So a key narrows what a session may
//! do, and opens the dialogue, but never a session.

use std::path::PathBuf;

use super::helpers::Helpers;
use super::person::Person;
use super::place::Place;
use crate::as_user::{Account, Job, KeyLimits, KeyVerdict, Outcome, Task};

/// A key that the user's file holds and whose signature was right.
#[derive(Debug, Clone)]
pub struct AcceptedKey {
    /// What the file says that it may not do.
    pub limits: KeyLimits,
    /// The value of SSH_AUTH_INFO_0: `publickey`, type and key, as in OpenSSH.
    pub info: String,
}

impl AcceptedKey {
    /// With the key in SSH's wire format.
    #[must_use]
    pub fn new(limits: KeyLimits, algorithm: &str, key: &[u8]) -> Self {
        let info = format!("publickey {algorithm} {}\n", base64(key));
        Self { limits, info }
    }
}

/// What the person's file says. For somebody who may not log in, what nobody's says: that it is not there.
pub fn find(
    place: &Place,
    helpers: &dyn Helpers,
    person: &Person,
    algorithm: &str,
    key: &[u8],
) -> KeyVerdict {
    let account = person.account_for_keys();
    let job = Job::FindKey {
        file: expand(&place.config.authorized_keys_file, &account),
        algorithm: algorithm.to_owned(),
        key: key.to_vec(),
        source: place.source.ip(),
    };
    let verdict = match helpers.ask(&Task { account, groups: None, job }) {
        Ok((Outcome::Key(verdict), _)) => verdict,
        Ok((Outcome::Failed(reason), _)) | Err(reason) => {
            place.failed(person.shown(), "authorized_keys", &reason);
            KeyVerdict::NotFound
        }
        Ok(_) => KeyVerdict::NotFound,
    };
    match person.admitted() {
        Ok(_) => verdict,
        Err(_) => KeyVerdict::NotFound,
    }
}

/// `%u` is the user, `%h` the home, `%%` a percent sign.
fn expand(file: &str, account: &Account) -> PathBuf {
    let mut path = String::new();
    let mut letters = file.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '%') {
            (_, true) => match letters.next() {
                Some('u') => path.push_str(&account.name),
                Some('h') => path.push_str(&account.home.to_string_lossy()),
                Some(other) => path.push(other),
                None => path.push('%'),
            },
            (plain, false) => path.push(plain),
        }
    }
    path.into()
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: u32| {
        let position = usize::try_from(bits & 63).unwrap_or_default();
        LETTERS.get(position).map_or('A', |&byte| char::from(byte))
    };
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let at = |position| u32::from(group.get(position).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        let whole = [18, 12, 6, 0].map(|shift| letter(bits >> shift));
        text.extend(whole.iter().take(group.len() + 1));
        text.extend(std::iter::repeat_n('=', 3 - group.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648_section_10() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn a_key_is_told_to_pam_as_openssh_does() {
        let key = AcceptedKey::new(KeyLimits::default(), "ssh-ed25519", b"foobar");
        assert_eq!(key.info, "publickey ssh-ed25519 Zm9vYmFy\n");
    }

    #[test]
    fn the_file_may_name_user_and_home() {
        let account = Account {
            name: "alice".into(),
            uid: 1,
            gid: 1,
            home: "/home/alice".into(),
            shell: "/bin/sh".into(),
        };
        for (file, path) in [
            (".ssh/authorized_keys", ".ssh/authorized_keys"),
            ("/etc/keys/%u", "/etc/keys/alice"),
            ("%h/k%%u", "/home/alice/k%u"),
            ("100%", "100%"),
        ] {
            assert_eq!(expand(file, &account), PathBuf::from(path));
        }
    }
}
