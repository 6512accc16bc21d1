//! Enrolling a device: what it is made of, and the code that proves that it has the key.
//!
//! The command and the login do the same here; only the questions differ.

use subtle::ConstantTimeEq as _;

use crate::account::{Kind, Serial, Token, check_text};
use crate::config::{Config, Profile};
use crate::hotp::{Code, Digits, MovingFactor};
use crate::matching::{MAX_SKEW, Reach};
use crate::secret::{Secret, SecretError};
use crate::totp::UnixTime;

/// What a device that is enrolled at a login is called.
pub const FIRST_DEVICE: &str = "phone";

/// Whose device it will be, and on which host; both stand on the phone.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// The user.
    pub user: &'a str,
    /// This host.
    pub host: &'a str,
}

/// A time-based device with the profile's parameters and a new key. What the profile leaves open is the
/// configuration's or the usual; what stands in the device stays there, whatever becomes of the profile.
///
/// # Errors
/// [`SecretError::Random`] when the kernel has no random bytes to give.
pub fn new_device(
    config: &Config,
    profile: &Profile,
    whose: Whose<'_>,
    now: UnixTime,
) -> Result<Token, SecretError> {
    let issuer = profile.issuer.as_ref().or(config.issuer.as_ref());
    let text = |text: &str| check_text("", text).is_ok().then(|| text.to_owned());
    let label = text(&format!("{}@{}", whose.user, whose.host)).or_else(|| text(whose.user));
    let host = || text(whose.host).unwrap_or_else(|| "otpgate".to_owned());
    Ok(Token {
        id: FIRST_DEVICE.to_owned(),
        serial: Serial::generate()?,
        kind: Kind::Totp {
            period: profile.period.unwrap_or_default(),
        },
        secret: Secret::generate()?,
        algorithm: profile.algorithm.unwrap_or_default(),
        digits: profile.digits.unwrap_or(Digits::SIX),
        label: label.unwrap_or_default(),
        issuer: issuer.cloned().unwrap_or_else(host),
        created: now,
        services: None,
        enabled: true,
    })
}

/// What a code says about the device that it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Proof {
    /// It has the key, and would be let in with it. The position is to be used up.
    Right(MovingFactor),
    /// It has the key, but its clock or counter stands elsewhere.
    Off(MovingFactor),
    /// It has another key.
    Wrong,
}

/// Compares a code with a device that was never used.
pub fn prove(token: &Token, code: &Code, reach: &Reach, now: UnixTime) -> Proof {
    let (positions, expected, tolerance) = match token.kind {
        Kind::Totp { period } => {
            let step = period.step(now);
            let around = step.saturating_sub(MAX_SKEW)..=step.saturating_add(MAX_SKEW);
            (around, step, reach.totp_window)
        }
        Kind::Hotp { counter } => {
            let ahead = counter..=counter.saturating_add(MAX_SKEW);
            (ahead, counter, reach.hotp_look_ahead)
        }
        // There is no key to prove.
        Kind::Delivered { .. } => return Proof::Wrong,
    };
    let generator = token.generator();
    let fits = |position: &MovingFactor| bool::from(generator.code(*position).ct_eq(code));
    // Among equal codes the nearest is meant.
    let position = positions
        .filter(fits)
        .min_by_key(|position| position.abs_diff(expected));
    match position {
        Some(position) if position.abs_diff(expected) <= tolerance => Proof::Right(position),
        Some(position) => Proof::Off(position),
        None => Proof::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::{hotp_token, totp_token};
    use crate::hotp::Algorithm;
    use crate::totp::Period;

    const NOW: UnixTime = UnixTime(1_700_000_010);

    #[test]
    fn a_code_proves_the_key_and_tells_of_the_clock() {
        let (token, reach) = (totp_token("phone"), Reach::default());
        let step = Period::default().step(NOW);
        for (position, expected) in [
            (step, Proof::Right(step)),
            (step - 1, Proof::Right(step - 1)),
            (step + 1, Proof::Right(step + 1)),
            (step + 2, Proof::Off(step + 2)),
            (step - 20, Proof::Off(step - 20)),
            (step - 21, Proof::Wrong),
        ] {
            let code = token.generator().code(position);
            assert_eq!(prove(&token, &code, &reach, NOW), expected, "{position}");
        }
    }

    #[test]
    fn a_counter_may_have_been_pressed() {
        let (token, reach) = (hotp_token("key"), Reach::default());
        for (position, expected) in [
            (0, Proof::Right(0)),
            (10, Proof::Right(10)),
            (11, Proof::Off(11)),
            (21, Proof::Wrong),
        ] {
            let code = token.generator().code(position);
            assert_eq!(prove(&token, &code, &reach, NOW), expected, "{position}");
        }
    }

    #[test]
    fn a_device_has_what_the_profile_says_and_the_configuration_else() {
        let text = "issuer = \"Example\"\n[profile.strong]\nalgorithm = \"sha256\"\ndigits = 8\nissuer = \"Vault\"\n[profile.plain]\n";
        let config = Config::parse(text, std::path::Path::new("test")).unwrap();
        let whose = Whose {
            user: "alice",
            host: "host.example",
        };
        let device = |name: &str| new_device(&config, &config.profiles[name], whose, NOW).unwrap();
        let strong = device("strong");
        assert_eq!(
            (strong.algorithm, strong.digits.count()),
            (Algorithm::Sha256, 8)
        );
        assert_eq!(
            (strong.issuer.as_str(), strong.label.as_str()),
            ("Vault", "alice@host.example")
        );
        let plain = device("plain");
        assert_eq!(
            (plain.issuer.as_str(), plain.algorithm),
            ("Example", Algorithm::Sha1)
        );
        assert_ne!(plain.secret, device("plain").secret);
    }

    #[test]
    fn names_that_no_phone_takes_are_left_out() {
        let long = "h".repeat(128);
        for (user, host, label, issuer) in [
            ("alice", long.as_str(), "alice", long.as_str()),
            ("a:b", "host", "", "host"),
            ("alice", "ho:st", "alice", "otpgate"),
        ] {
            let whose = Whose { user, host };
            let device = new_device(&Config::default(), &Profile::default(), whose, NOW).unwrap();
            assert_eq!(
                (device.label.as_str(), device.issuer.as_str()),
                (label, issuer)
            );
            assert!(device.key_uri().expose().contains("otpauth://totp/"));
        }
    }
}
