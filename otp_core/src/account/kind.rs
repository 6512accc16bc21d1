//! What kind of device a code comes from.

use serde::{Deserialize, Serialize};

use super::LONGEST_TEXT;
use crate::totp::Period;

/// Longest name of a channel, in bytes. Shorter than any recovery code, so that none can be taken for one.
pub const LONGEST_CHANNEL: usize = 16;

/// What kind of device makes the codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// Time based, RFC 6238.
    Totp {
        /// Length of a step.
        period: Period,
    },
    /// Counter based, RFC 4226.
    Hotp {
        /// The first counter at enrolment; the current one stands in the state.
        counter: u64,
    },
    /// Made at a login and sent: NIST SP 800-63B section 5.1.3, out of band.
    Delivered {
        /// The `[channel.NAME]` of the configuration.
        channel: String,
        /// Where to: a mail address, a telephone number, whatever the channel takes.
        address: String,
    },
}

impl Kind {
    /// The `kind=` of the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Totp { .. } => "totp",
            Self::Hotp { .. } => "hotp",
            Self::Delivered { .. } => "delivered",
        }
    }

    /// Whether its codes are sent, instead of made by something in the user's hands.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered { .. })
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Totp { .. } | Self::Hotp { .. } => Ok(()),
            Self::Delivered { channel, address } => {
                check_channel(channel)?;
                check_address(address)
            }
        }
    }
}

/// People type the name of a channel where they would type a code: it begins with a letter, and is short.
///
/// # Errors
/// The rule, in words.
pub fn check_channel(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let letter_first = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if letter_first && name.len() <= LONGEST_CHANNEL && name.bytes().all(plain) {
        return Ok(());
    }
    Err(format!(
        "a channel's name has 1 to {LONGEST_CHANNEL} small letters, digits and underscores, a letter first"
    ))
}

/// Addresses go into requests, headers and arguments of programs, where a line of their own or a dash in
/// front would be something else.
///
/// # Errors
/// The rule, in words; the address is not repeated.
pub fn check_address(address: &str) -> Result<(), String> {
    let plain = !address.chars().any(char::is_control) && address.trim() == address;
    if plain && !address.is_empty() && address.len() <= LONGEST_TEXT && !address.starts_with('-') {
        return Ok(());
    }
    Err(format!(
        "an address has 1 to {LONGEST_TEXT} bytes, no control characters, no space at its ends and no dash in front"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_channels_are_no_codes() {
        for name in ["sms", "mail", "push_2", "a"] {
            assert_eq!(check_channel(name), Ok(()), "{name}");
        }
        let long = "a".repeat(17);
        for name in ["", "123456", "SMS", "s-m-s", "_sms", "sms mail", &long] {
            assert!(check_channel(name).is_err(), "{name}");
        }
    }

    #[test]
    fn addresses_are_one_line_and_no_option() {
        for address in [
            "+441632960123",
            "alice@example.org",
            "@alice:example.org",
            "Uk3y",
        ] {
            assert_eq!(check_address(address), Ok(()), "{address}");
        }
        let long = "a".repeat(129);
        for address in ["", "-o", "a\nBcc: b", " a", "a\0", &long] {
            assert!(check_address(address).is_err(), "{address:?}");
        }
    }
}
