//! Codes that are made at a login and sent: out of band, NIST SP 800-63B section 5.1.3.
//!
//! One waits at a time for a user. Its hash stands in the state, and what it is worth is decided under the
//! same lock as everything else. So of many connections that start at once one sends (and one more at a known address,
//! where the first code is good for a stranger only), and of many that come back with the code as many are let in as
//! [`Reuse`] says.
//!
//! | question | where |
//! | --- | --- |
//! | how is a code made, and when is it right? | here |
//! | is one sent now, to whom? | [`ask`] |
//! | what is the program told that sends it? | [`job`] |

pub mod ask;
pub mod job;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::account::{Account, Serial, Token};
use crate::hotp::{Code, Digits};
use crate::policy::Refusal;
use crate::secret::{Secret, SecretError};
use crate::source::Source;
use crate::totp::UnixTime;

/// Longest time that a code may wait, in seconds: NIST SP 800-63B section 5.1.3.2 allows ten minutes.
pub const LONGEST_LIFETIME: u64 = 600;
/// How long a budget lasts, in seconds.
pub const BUDGET_PERIOD: u64 = 3600;

/// Whether a code that is sent lets in more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reuse {
    /// Never.
    #[default]
    Never,
    /// As often as it likes, the address that asked for it, as long as the code is valid: for clients that open
    /// several connections. Nobody else.
    SameSource,
}

/// The numbers, from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long a code is valid, in seconds.
    pub lifetime: u64,
    /// Whether it lets in more than once.
    pub reuse: Reuse,
    /// How many are sent to one user in an hour.
    pub budget: u16,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            lifetime: 60,
            reuse: Reuse::Never,
            budget: 10,
        }
    }
}

impl Rules {
    /// How many may be sent within an hour before nobody at such a source is sent another one. Three of ten are
    /// kept for known sources, at which the user logged in lately: whoever knows a name, and perhaps the password,
    /// must not keep its owner from getting a code at home. Of fewer than four it is one, and of a single one none.
    #[must_use]
    pub fn budget_for(&self, known_source: bool) -> u16 {
        let kept = self.budget.saturating_mul(3) / 10;
        let kept = kept.max(1).min(self.budget.saturating_sub(1));
        match known_source {
            true => self.budget,
            false => self.budget - kept,
        }
    }
}

/// What the kernel's random bytes are turned into before anything is decided: a number below 10^8, and a salt.
pub struct Draw {
    number: u32,
    salt: [u8; 16],
}

impl Draw {
    const BELOW: u32 = 100_000_000;

    /// Draws.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the kernel has no random bytes to give.
    pub fn new() -> Result<Self, SecretError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| SecretError::Random)?;
        let below = u64::from(Self::BELOW);
        let number = loop {
            // 64 bits: what lies above the last multiple would make small numbers likelier, and is drawn again
            // once in 10^11, so that a draw takes the kernel's random bytes as often for one user as for another.
            let random = getrandom::u64().map_err(|_| SecretError::Random)?;
            if random < u64::MAX - u64::MAX % below {
                break u32::try_from(random % below).map_err(|_| SecretError::Random)?;
            }
        };
        Ok(Self { number, salt })
    }

    /// The code: the last digits, which are as uniform as the whole number, for 10^6 and 10^7 divide 10^8.
    #[must_use]
    pub fn code(&self, digits: Digits) -> Code {
        Code::of_number(self.number, digits)
    }
}

impl Drop for Draw {
    fn drop(&mut self) {
        self.number.zeroize();
    }
}

/// The part of the state that is about codes that are sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sent {
    /// How many may still be sent.
    pub budget: Budget,
    /// The last one. It stays when it has expired, so that the log can say that it has.
    pub pending: Option<Pending>,
}

/// What has been sent since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// The first of this hour.
    pub since: UnixTime,
    /// How many.
    pub spent: u16,
}

impl Budget {
    /// Takes one out, if there is one. The hour begins with its first code.
    pub fn take(&mut self, most: u16, now: UnixTime) -> bool {
        if !self.is_of_this_hour(now) {
            *self = Self {
                since: now,
                spent: 0,
            };
        }
        let left = self.spent < most;
        if left {
            self.spent += 1;
        }
        left
    }

    /// How many have been sent within the hour.
    #[must_use]
    pub fn spent_at(&self, now: UnixTime) -> u16 {
        if self.is_of_this_hour(now) {
            self.spent
        } else {
            0
        }
    }

    /// One that began in the future is a clock's mistake.
    fn is_of_this_hour(&self, now: UnixTime) -> bool {
        now >= self.since && now.since(self.since) < BUDGET_PERIOD
    }
}

/// A code that was sent: everything but the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// The device that it was sent to.
    pub serial: Serial,
    /// The salt of the hash.
    pub salt: [u8; 16],
    /// HMAC-SHA-256 over salt and code, with the device's secret as the key.
    pub hash: [u8; 32],
    /// When it was made.
    pub made: UnixTime,
    /// From when on it is worth nothing.
    pub expires: UnixTime,
    /// Who asked for it.
    pub source: Source,
    /// How many it has let in.
    pub uses: u16,
}

impl Pending {
    /// A fresh one, and the code to send.
    #[must_use]
    pub fn new(
        token: &Token,
        draw: &Draw,
        source: Source,
        now: UnixTime,
        rules: &Rules,
    ) -> (Self, Code) {
        let code = draw.code(token.digits);
        let pending = Self {
            serial: token.serial,
            salt: draw.salt,
            hash: hash(&token.secret, &draw.salt, &code),
            made: now,
            expires: now.plus(rules.lifetime),
            source,
            uses: 0,
        };
        (pending, code)
    }

    /// Whether it is valid still. A clock that was set back a little does not matter; one that was set back
    /// further than a code is valid makes it worthless, or it would be valid for years.
    #[must_use]
    pub fn is_valid(&self, now: UnixTime) -> bool {
        let lifetime = self.expires.since(self.made);
        now < self.expires && self.made.since(now) <= lifetime
    }

    /// Whether it stands in the way of another one: valid, and good for something still.
    #[must_use]
    pub fn is_waiting(&self, now: UnixTime, rules: &Rules) -> bool {
        self.is_valid(now) && (self.uses == 0 || self.is_shared(rules))
    }

    /// Whether its source may use it again: only an address is the same place twice.
    fn is_shared(&self, rules: &Rules) -> bool {
        let address = matches!(self.source, Source::V4(_) | Source::V6Net(_));
        address && rules.reuse == Reuse::SameSource
    }

    /// Uses it, if this source may now.
    fn use_from(
        &mut self,
        token: &Token,
        source: Source,
        now: UnixTime,
        rules: &Rules,
    ) -> Result<(), Refusal> {
        let token = token.id.clone();
        if !self.is_valid(now) {
            return Err(Refusal::Expired { token });
        }
        if self.is_shared(rules) && source != self.source {
            return Err(Refusal::OtherSource { token });
        }
        if self.uses > 0 && !self.is_shared(rules) {
            return Err(Refusal::Replayed);
        }
        self.uses = self.uses.saturating_add(1);
        Ok(())
    }
}

/// Where a code comes from, as far as it matters.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The address.
    pub source: Source,
    /// The PAM service.
    pub service: &'a str,
}

/// Compares a code with the one that waits, and uses it up: the device that it was sent to, or why it is
/// worth nothing; `None` when it is another code. Takes as long when none waits.
pub fn evaluate<'a>(
    account: &'a Account,
    sent: &mut Sent,
    code: &Code,
    place: Place<'_>,
    now: UnixTime,
    rules: &Rules,
) -> Option<Result<&'a Token, Refusal>> {
    let served = |pending: &Pending| {
        let mut tokens = account.tokens.iter();
        tokens.find(|token| token.serial == pending.serial && token.serves(place.service))
    };
    let waiting = sent
        .pending
        .as_mut()
        .and_then(|pending| Some((served(pending)?, pending)));
    let Some((token, pending)) = waiting else {
        let nobodys = Secret::new(vec![0; 20]).ok()?;
        std::hint::black_box(hash(&nobodys, &[0; 16], code));
        return None;
    };
    let equal = pending
        .hash
        .ct_eq(&hash(&token.secret, &pending.salt, code));
    if !bool::from(equal) {
        return None;
    }
    let used = pending.use_from(token, place.source, now, rules);
    Some(used.map(|()| token))
}

fn hash(secret: &Secret, salt: &[u8; 16], code: &Code) -> [u8; 32] {
    // HMAC takes keys of any length. A hash of zeros would match no code.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose()) else {
        return [0; 32];
    };
    mac.update(salt);
    mac.update(code.expose().as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
pub(crate) mod tests;
