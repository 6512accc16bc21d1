//! Which algorithms are offered: ssh-audit finds nothing to say against them.
//!
//! No SHA-1, no CBC, no RSA, no encrypt-and-MAC. The client's order decides which of them is used; the order here
//! decides only what is seen first. Strict key exchange is what answers Terrapin (CVE-2023-48795).
//! No finite-field groups: one exchange with group 18 costs this side most of a second and the client nothing,
//! as often as it likes, before anybody has said who they are (CVE-2002-20001).

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve};
use russh::{Preferred, cipher, compression, kex, mac};

const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
];

const CIPHERS: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM];

/// What is offered to every client.
pub const OFFERED: Preferred = Preferred {
    kex: Cow::Borrowed(KEY_EXCHANGES),
    key: Cow::Borrowed(KEYS),
    host_key_certificates: Cow::Borrowed(&[]),
    cipher: Cow::Borrowed(CIPHERS),
    mac: Cow::Borrowed(MACS),
    compression: Cow::Borrowed(&[compression::NONE]),
};

/// Whether a key of this type may log in. russh itself would take any that it can verify, among them
/// hardware keys whose "somebody touched it" it does not look at.
pub fn accepts(key: &Algorithm) -> bool {
    KEYS.contains(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        let mut names: Vec<String> = OFFERED.key.iter().map(ToString::to_string).collect();
        names.extend(OFFERED.kex.iter().map(|name| name.as_ref().to_owned()));
        names.extend(OFFERED.cipher.iter().map(|name| name.as_ref().to_owned()));
        names.extend(OFFERED.mac.iter().map(|name| name.as_ref().to_owned()));
        names
    }

    #[test]
    fn nothing_old_is_offered() {
        for name in names() {
            for old in [
                "sha1",
                "cbc",
                "rsa",
                "dss",
                "md5",
                "diffie-hellman",
                "none",
                "3des",
            ] {
                assert!(!name.contains(old), "{name}");
            }
        }
    }

    #[test]
    fn every_mac_covers_the_ciphertext() {
        for name in OFFERED.mac.iter() {
            assert!(name.as_ref().contains("-etm@"), "{}", name.as_ref());
        }
    }

    #[test]
    fn the_first_key_exchange_resists_quantum_computers() {
        let first = OFFERED.kex.first().map(|name| name.as_ref());
        assert_eq!(first, Some("mlkem768x25519-sha256"));
    }

    #[test]
    fn strict_key_exchange_is_announced() {
        assert!(names().contains(&"kex-strict-s-v00@openssh.com".to_owned()));
    }

    #[test]
    fn nothing_is_compressed() {
        let compressions: Vec<&str> = OFFERED.compression.iter().map(AsRef::as_ref).collect();
        assert_eq!(compressions, ["none"]);
    }

    #[test]
    fn hardware_keys_are_not_accepted() {
        assert!(accepts(&Algorithm::Ed25519));
        assert!(!accepts(&Algorithm::SkEd25519));
    }
}
