//! Is this public key one of the user's? Their own process reads their file.
//!
//! That the client holds the private key is the network process's word. So a key narrows what a session may
//! do, and opens the dialogue, but never a session.

use std::path::PathBuf;

use data_encoding::BASE64;
use nix::unistd::geteuid;

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
        let info = format!("publickey {algorithm} {}\n", BASE64.encode(key));
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
    // Without root nobody else's file can be read, not even nobody's.
    let own = geteuid();
    if !own.is_root() && own.as_raw() != account.uid {
        return KeyVerdict::NotFound;
    }
    let job = Job::FindKey {
        file: expand(&place.config.authorized_keys_file, &account),
        algorithm: algorithm.to_owned(),
        key: key.to_vec(),
        source: place.source.ip(),
    };
    let verdict = match helpers.ask(&Task {
        account,
        groups: None,
        job,
    }) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
