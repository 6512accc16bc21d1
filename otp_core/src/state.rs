//! What logins change. Its bytes are made in [`codec`].
//!
//! There is no secret in it: counters, times and addresses, and hashes of what was used up or sent.
//!
//! A state has to fit its slot whatever happens, so every list has a maximum, and this is the table:
//!
//! | list | most entries | bytes each |
//! | --- | --- | --- |
//! | devices | [`MAX_TOKEN_STATES`] | 50 |
//! | used recovery codes | [`MAX_USED_RECOVERY`] | 8 |
//! | known sources | [`MAX_KNOWN_SOURCES`](crate::throttle::MAX_KNOWN_SOURCES) | 27 |
//! | grace entries | [`MAX_GRACE`] | 33 |
//! | the code that was sent last, and the budget | 1 | 94 |
//!
//! Full, that is less than [`LONGEST_PAYLOAD`]; a test adds it up.

pub mod burnt;
pub mod codec;

use burnt::Burnt;
use sha2::{Digest as _, Sha256};

use crate::account::{Account, Kind, MAX_RECOVERY_CODES, MAX_TOKENS, Serial};
use crate::delivered::Sent;
use crate::hotp::MovingFactor;
use crate::invite::Admissions;
use crate::recovery::RecoveryId;
use crate::source::Source;
use crate::throttle::Throttle;
use crate::totp::UnixTime;

/// Devices of the account, and those of the account before a change that is not finished yet.
pub const MAX_TOKEN_STATES: usize = 2 * MAX_TOKENS;
/// The same for recovery codes.
pub const MAX_USED_RECOVERY: usize = 2 * MAX_RECOVERY_CODES;
/// Sources that may be in grace at once.
pub const MAX_GRACE: usize = 16;
/// Bytes that an encoded state has at most: a 4096-byte slot less its frame.
pub const LONGEST_PAYLOAD: usize = 4000;

/// What logins have done to one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenState {
    /// Which enrolment of which device.
    pub serial: Serial,
    /// The lowest moving factor that may still be accepted: TOTP's highest accepted step plus one,
    /// or HOTP's next counter. Never falls.
    pub next: MovingFactor,
    /// TOTP: steps by which the device's clock runs ahead of ours.
    pub skew: i8,
    /// A code outside the window that the last attempt hit (RFC 4226 section 7.4).
    pub candidate: Option<MovingFactor>,
    /// Moving factors that were refused as candidates, and must not be accepted later. Newest last.
    pub burnt: Burnt,
}

impl TokenState {
    /// The state of a device at its enrolment.
    #[must_use]
    pub fn new(serial: Serial, kind: &Kind) -> Self {
        let next = match kind {
            Kind::Totp { .. } | Kind::Delivered { .. } => 0,
            Kind::Hotp { counter } => *counter,
        };
        Self {
            serial,
            next,
            skew: 0,
            candidate: None,
            burnt: Burnt::default(),
        }
    }

    /// Whether a code at this position can be accepted at all. Never at the last one: nothing lies behind
    /// it, so it could not be used up; `next` stands there when nobody knows where the counter stood.
    #[must_use]
    pub fn is_fresh(&self, position: MovingFactor) -> bool {
        position >= self.next && position < MovingFactor::MAX && !self.burnt.contains(position)
    }

    /// Uses up this position and all before it.
    pub fn advance_past(&mut self, position: MovingFactor) {
        self.next = self.next.max(position.saturating_add(1));
        self.burnt.forget_below(self.next);
    }

    /// Uses up this position alone.
    pub fn burn(&mut self, position: MovingFactor) {
        self.burnt.insert(position);
    }
}

/// A success that a line with `grace=` may remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraceEntry {
    /// From where.
    pub source: Source,
    /// At which PAM service, as [`service_key`] names it: a device that serves one service must not open
    /// another by way of grace.
    pub service: u64,
    /// When.
    pub at: UnixTime,
    /// Under which generation of the account: any administrative change ends the grace.
    pub generation: u64,
}

/// A short name for a PAM service.
#[must_use]
pub fn service_key(service: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(service).into();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// When and from where something last happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: UnixTime,
    /// From where.
    pub source: Source,
}

/// Everything that logins change, for one user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The account's generation, or one more while an administrative change is under way.
    pub generation: u64,
    /// There may be no account yet, or no longer: enrolment writes this first, removal too.
    pub pending: bool,
    /// One entry per device.
    pub tokens: Vec<TokenState>,
    /// Recovery and scratch codes that are used up.
    pub used_recovery: Vec<RecoveryId>,
    /// Failures and known sources.
    pub throttle: Throttle,
    /// Recent successes, for `grace=`.
    pub grace: Vec<GraceEntry>,
    /// The last login that was let in.
    pub last_success: Option<Event>,
    /// The last one that was not.
    pub last_failure: Option<Event>,
    /// Evaluated and refused since the last success; for people, not for the throttle.
    pub failures_since_success: u32,
    /// Codes that were sent.
    pub sent: Sent,
    /// How often the account's invite has let somebody in.
    pub admissions: Option<Admissions>,
}

impl State {
    /// The state of a freshly enrolled account.
    #[must_use]
    pub fn new(account: &Account) -> Self {
        let mut state = Self {
            generation: account.generation,
            ..Self::default()
        };
        state.follow(account, account);
        state
    }

    /// The state of one device; that of a new one if it has none.
    #[must_use]
    pub fn token(&self, serial: Serial, kind: &Kind) -> TokenState {
        let known = self.tokens.iter().find(|token| token.serial == serial);
        known
            .cloned()
            .unwrap_or_else(|| TokenState::new(serial, kind))
    }

    /// Puts a device's state back.
    pub fn set_token(&mut self, token: TokenState) {
        match self
            .tokens
            .iter_mut()
            .find(|known| known.serial == token.serial)
        {
            Some(known) => *known = token,
            None => self.tokens.push(token),
        }
    }

    /// How many recovery and scratch codes of the account are not used up.
    #[must_use]
    pub fn recovery_left(&self, account: &Account) -> usize {
        let unused = |code: &RecoveryId| !self.used_recovery.contains(code);
        account.recovery_ids().filter(unused).count()
    }

    /// Gives every device of `new` a state, and forgets what neither `old` nor `new` has. What `old` has
    /// must stay until `new` is on the disk: a crash between leaves `old` in force, and a device or a
    /// recovery code whose use had been forgotten would be open again.
    pub fn follow(&mut self, old: &Account, new: &Account) {
        for token in &new.tokens {
            let state = self.token(token.serial, &token.kind);
            self.set_token(state);
        }
        let accounts = [old, new];
        self.tokens.retain(|state| {
            let mut tokens = accounts.iter().flat_map(|account| &account.tokens);
            tokens.any(|token| token.serial == state.serial)
        });
        self.used_recovery.retain(|used| {
            let mut codes = accounts.iter().flat_map(|account| account.recovery_ids());
            codes.any(|code| code == *used)
        });
    }

    /// Remembers a success for `grace=`. Only addresses: "this terminal" says too little.
    pub fn remember_grace(&mut self, entry: GraceEntry) {
        if matches!(entry.source, Source::Local | Source::Opaque) {
            return;
        }
        self.grace.retain(|known| {
            let same_place = known.source == entry.source && known.service == entry.service;
            !same_place && known.generation == entry.generation
        });
        if self.grace.len() >= MAX_GRACE {
            self.grace.remove(0);
        }
        self.grace.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::{hotp_token, totp_token};
    use crate::user_name::UserName;

    #[test]
    fn a_change_forgets_only_what_neither_account_has() {
        let mut old = Account::new(&UserName::from("alice"), UnixTime(0));
        old.tokens = vec![totp_token("phone"), hotp_token("key")];
        let mut state = State::new(&old);
        let mut used = state.token(old.tokens[0].serial, &old.tokens[0].kind);
        used.advance_past(99);
        state.set_token(used.clone());
        let mut new = old.clone();
        new.tokens = vec![totp_token("tablet")];
        state.follow(&old, &new);
        assert_eq!(state.tokens.len(), 3);
        assert_eq!(state.token(used.serial, &old.tokens[0].kind), used);
        state.follow(&new, &new);
        assert_eq!(state.tokens.len(), 1);
    }

    #[test]
    fn burnt_positions_stay_shut_until_they_are_passed() {
        let mut token = TokenState::new(Serial(1), &Kind::Hotp { counter: 5 });
        for position in 20..30 {
            token.burn(position);
        }
        assert!((20..30).all(|position| !token.is_fresh(position)));
        assert!(token.is_fresh(19) && token.is_fresh(30));
        token.advance_past(28);
        assert!(!token.is_fresh(29) && token.is_fresh(30));
        token.advance_past(3);
        assert_eq!(token.next, 29);
    }
}
