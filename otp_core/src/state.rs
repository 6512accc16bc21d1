//! What logins change, and its bytes.
//!
//! A state has to fit its slot whatever happens, so every list has a maximum, and this is the table:
//!
//! | list | most entries | bytes each |
//! | --- | --- | --- |
//! | devices | [`MAX_TOKEN_STATES`] | 27 + 8 per burnt code, at most [`MAX_BURNT`] |
//! | used recovery codes | [`MAX_USED_RECOVERY`] | 8 |
//! | known sources | [`MAX_KNOWN_SOURCES`] | 27 |
//! | grace entries | [`MAX_GRACE`] | 25 |
//!
//! Full, that is less than [`LONGEST_PAYLOAD`]; a test adds it up.

use std::fmt;

use crate::account::{Account, Kind, MAX_RECOVERY_CODES, MAX_TOKENS, Serial};
use crate::hotp::MovingFactor;
use crate::recovery::RecoveryId;
use crate::source::Source;
use crate::throttle::{Bucket, KnownSource, MAX_KNOWN_SOURCES, Throttle};
use crate::totp::UnixTime;

/// Devices of the account, and those of the account before a change that is not finished yet.
pub const MAX_TOKEN_STATES: usize = 2 * MAX_TOKENS;
/// The same for recovery codes.
pub const MAX_USED_RECOVERY: usize = 2 * MAX_RECOVERY_CODES;
/// Refused codes outside the window that are remembered as used up, per device.
pub const MAX_BURNT: usize = 4;
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
    pub burnt: Vec<MovingFactor>,
}

impl TokenState {
    /// The state of a device at its enrolment.
    #[must_use]
    pub fn new(serial: Serial, kind: Kind) -> Self {
        let next = match kind {
            Kind::Totp { .. } => 0,
            Kind::Hotp { counter } => counter,
        };
        Self {
            serial,
            next,
            skew: 0,
            candidate: None,
            burnt: Vec::new(),
        }
    }

    /// Whether a code at this position can be accepted at all. Never at the last one: nothing lies behind
    /// it, so it could not be used up; `next` stands there when nobody knows where the counter stood.
    #[must_use]
    pub fn is_fresh(&self, position: MovingFactor) -> bool {
        position >= self.next && position < MovingFactor::MAX && !self.burnt.contains(&position)
    }

    /// Uses up this position and all before it.
    pub fn advance_past(&mut self, position: MovingFactor) {
        self.next = self.next.max(position.saturating_add(1));
        self.burnt.retain(|burnt| *burnt >= self.next);
    }

    /// Uses up this position alone.
    pub fn burn(&mut self, position: MovingFactor) {
        if self.burnt.len() >= MAX_BURNT
            && let Some(lowest) = self.burnt.iter().copied().min()
        {
            // The lowest step is the first to pass out of reach anyway.
            self.burnt.retain(|burnt| *burnt != lowest);
        }
        self.burnt.push(position);
    }
}

/// A success that a line with `grace=` may remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraceEntry {
    /// From where.
    pub source: Source,
    /// When.
    pub at: UnixTime,
    /// Under which generation of the account: any administrative change ends the grace.
    pub generation: u64,
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
    /// Recovery codes that are used up.
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
    pub fn token(&self, serial: Serial, kind: Kind) -> TokenState {
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

    /// Gives every device of `new` a state, and forgets what neither `old` nor `new` has. What `old` has
    /// must stay until `new` is on the disk: a crash between leaves `old` in force, and a device or a
    /// recovery code whose use had been forgotten would be open again.
    pub fn follow(&mut self, old: &Account, new: &Account) {
        for token in &new.tokens {
            let state = self.token(token.serial, token.kind);
            self.set_token(state);
        }
        let accounts = [old, new];
        self.tokens.retain(|state| {
            let mut tokens = accounts.iter().flat_map(|account| &account.tokens);
            tokens.any(|token| token.serial == state.serial)
        });
        self.used_recovery.retain(|used| {
            let mut codes = accounts.iter().flat_map(|account| &account.recovery);
            codes.any(|code| code.id() == *used)
        });
    }

    /// Remembers a success for `grace=`. Only addresses: "this terminal" says too little.
    pub fn remember_grace(&mut self, entry: GraceEntry) {
        if matches!(entry.source, Source::Local | Source::Opaque) {
            return;
        }
        self.grace
            .retain(|known| known.source != entry.source && known.generation == entry.generation);
        if self.grace.len() >= MAX_GRACE {
            self.grace.remove(0);
        }
        self.grace.push(entry);
    }

    /// The encoded state, at most [`LONGEST_PAYLOAD`] bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Writer(Vec::with_capacity(512));
        bytes.flag(self.pending);
        bytes.list(&self.tokens, MAX_TOKEN_STATES, Writer::token);
        bytes.list(&self.used_recovery, MAX_USED_RECOVERY, |bytes, used| {
            bytes.number(used.0)
        });
        bytes.bucket(&self.throttle.foreign);
        bytes.list(
            &self.throttle.known,
            MAX_KNOWN_SOURCES,
            Writer::known_source,
        );
        bytes.list(&self.grace, MAX_GRACE, Writer::grace);
        bytes.option(self.last_success.as_ref(), Writer::event);
        bytes.option(self.last_failure.as_ref(), Writer::event);
        bytes.number(u64::from(self.failures_since_success));
        bytes.0
    }

    /// Reads an encoded state. `generation` stands in the frame around it.
    ///
    /// # Errors
    /// [`StateError`] when anything is missing, left over or out of bounds.
    pub fn decode(bytes: &[u8], generation: u64) -> Result<Self, StateError> {
        let mut bytes = Reader(bytes);
        let state = Self {
            generation,
            pending: bytes.flag()?,
            tokens: bytes.list(MAX_TOKEN_STATES, Reader::token)?,
            used_recovery: bytes.list(MAX_USED_RECOVERY, |bytes| bytes.number().map(RecoveryId))?,
            throttle: Throttle {
                foreign: bytes.bucket()?,
                known: bytes.list(MAX_KNOWN_SOURCES, Reader::known_source)?,
            },
            grace: bytes.list(MAX_GRACE, Reader::grace)?,
            last_success: bytes.option(Reader::event)?,
            last_failure: bytes.option(Reader::event)?,
            failures_since_success: u32::try_from(bytes.number()?).map_err(|_| StateError)?,
        };
        if bytes.0.is_empty() {
            Ok(state)
        } else {
            Err(StateError)
        }
    }
}

/// The bytes are no state. Their checksum was right, so another version wrote them, or memory lied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateError;

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a state of this version")
    }
}

impl std::error::Error for StateError {}

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn list<T>(&mut self, items: &[T], most: usize, mut write: impl FnMut(&mut Self, &T)) {
        // Newest last: should a list ever be too long, its oldest entries go.
        let kept = items
            .get(items.len().saturating_sub(most)..)
            .unwrap_or_default();
        self.byte(u8::try_from(kept.len()).unwrap_or(u8::MAX));
        for item in kept {
            write(self, item);
        }
    }

    fn option<T>(&mut self, item: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.flag(item.is_some());
        if let Some(item) = item {
            write(self, item);
        }
    }

    fn token(&mut self, token: &TokenState) {
        self.number(token.serial.0);
        self.number(token.next);
        self.byte(token.skew.cast_unsigned());
        self.option(token.candidate.as_ref(), |bytes, candidate| {
            bytes.number(*candidate)
        });
        self.list(&token.burnt, MAX_BURNT, |bytes, burnt| bytes.number(*burnt));
    }

    fn source(&mut self, source: Source) {
        let (tag, number) = match source {
            Source::V4(address) => (4, u64::from(address)),
            Source::V6Net(upper) => (6, upper),
            Source::Local => (1, 0),
            Source::Opaque => (0, 0),
        };
        self.byte(tag);
        self.number(number);
    }

    fn bucket(&mut self, bucket: &Bucket) {
        self.0.extend(bucket.failures.to_le_bytes());
        self.number(bucket.blocked_until.0);
    }

    fn known_source(&mut self, known: &KnownSource) {
        self.source(known.source);
        self.number(known.last_success.0);
        self.bucket(&known.bucket);
    }

    fn grace(&mut self, entry: &GraceEntry) {
        self.source(entry.source);
        self.number(entry.at.0);
        self.number(entry.generation);
    }

    fn event(&mut self, event: &Event) {
        self.number(event.at.0);
        self.source(event.source);
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(StateError)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, StateError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Result<bool, StateError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(StateError),
        }
    }

    fn number(&mut self) -> Result<u64, StateError> {
        self.take().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Result<UnixTime, StateError> {
        self.number().map(UnixTime)
    }

    fn list<T>(
        &mut self,
        most: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, StateError>,
    ) -> Result<Vec<T>, StateError> {
        let length = usize::from(self.byte()?);
        if length > most {
            return Err(StateError);
        }
        (0..length).map(|_| read(self)).collect()
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, StateError>,
    ) -> Result<Option<T>, StateError> {
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    fn token(&mut self) -> Result<TokenState, StateError> {
        Ok(TokenState {
            serial: Serial(self.number()?),
            next: self.number()?,
            skew: self.byte()?.cast_signed(),
            candidate: self.option(Self::number)?,
            burnt: self.list(MAX_BURNT, Self::number)?,
        })
    }

    fn source(&mut self) -> Result<Source, StateError> {
        let (tag, number) = (self.byte()?, self.number()?);
        match tag {
            4 => u32::try_from(number)
                .map(Source::V4)
                .map_err(|_| StateError),
            6 => Ok(Source::V6Net(number)),
            1 => Ok(Source::Local),
            0 => Ok(Source::Opaque),
            _ => Err(StateError),
        }
    }

    fn bucket(&mut self) -> Result<Bucket, StateError> {
        Ok(Bucket {
            failures: u16::from_le_bytes(self.take()?),
            blocked_until: self.time()?,
        })
    }

    fn known_source(&mut self) -> Result<KnownSource, StateError> {
        Ok(KnownSource {
            source: self.source()?,
            last_success: self.time()?,
            bucket: self.bucket()?,
        })
    }

    fn grace(&mut self) -> Result<GraceEntry, StateError> {
        Ok(GraceEntry {
            source: self.source()?,
            at: self.time()?,
            generation: self.number()?,
        })
    }

    fn event(&mut self) -> Result<Event, StateError> {
        Ok(Event {
            at: self.time()?,
            source: self.source()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::{hotp_token, totp_token};
    use crate::user_name::UserName;
    use proptest::prelude::*;

    fn full() -> State {
        let event = Event {
            at: UnixTime(u64::MAX),
            source: Source::V6Net(u64::MAX),
        };
        let bucket = Bucket {
            failures: u16::MAX,
            blocked_until: UnixTime(u64::MAX),
        };
        let token = |number| TokenState {
            serial: Serial(number),
            next: u64::MAX,
            skew: -20,
            candidate: Some(u64::MAX),
            burnt: vec![u64::MAX; MAX_BURNT],
        };
        let known = KnownSource {
            source: event.source,
            last_success: event.at,
            bucket,
        };
        State {
            generation: u64::MAX,
            pending: true,
            tokens: (0..MAX_TOKEN_STATES as u64).map(token).collect(),
            used_recovery: vec![RecoveryId(u64::MAX); MAX_USED_RECOVERY],
            throttle: Throttle {
                foreign: bucket,
                known: vec![known; MAX_KNOWN_SOURCES],
            },
            grace: vec![
                GraceEntry {
                    source: event.source,
                    at: event.at,
                    generation: 1
                };
                MAX_GRACE
            ],
            last_success: Some(event),
            last_failure: Some(event),
            failures_since_success: u32::MAX,
        }
    }

    #[test]
    fn a_full_state_fits_its_slot_and_comes_back() {
        let bytes = full().encode();
        assert!(bytes.len() <= LONGEST_PAYLOAD, "{} bytes", bytes.len());
        assert_eq!(State::decode(&bytes, u64::MAX), Ok(full()));
    }

    #[test]
    fn every_truncation_and_extension_is_refused() {
        let bytes = full().encode();
        for length in 0..bytes.len() {
            assert_eq!(
                State::decode(&bytes[..length], 1),
                Err(StateError),
                "{length} bytes"
            );
        }
        assert_eq!(
            State::decode(&[&bytes[..], &[0]].concat(), 1),
            Err(StateError)
        );
    }

    #[test]
    fn a_change_forgets_only_what_neither_account_has() {
        let mut old = Account::new(&UserName::from("alice"), UnixTime(0));
        old.tokens = vec![totp_token("phone"), hotp_token("key")];
        let mut state = State::new(&old);
        let mut used = state.token(old.tokens[0].serial, old.tokens[0].kind);
        used.advance_past(99);
        state.set_token(used.clone());
        let mut new = old.clone();
        new.tokens = vec![totp_token("tablet")];
        state.follow(&old, &new);
        assert_eq!(state.tokens.len(), 3);
        assert_eq!(state.token(used.serial, old.tokens[0].kind), used);
        state.follow(&new, &new);
        assert_eq!(state.tokens.len(), 1);
    }

    #[test]
    fn burnt_positions_are_bounded_and_stay_shut() {
        let mut token = TokenState::new(Serial(1), Kind::Hotp { counter: 5 });
        for position in 20..30 {
            token.burn(position);
            assert!(!token.is_fresh(position) && token.is_fresh(position + 1));
        }
        assert_eq!(token.burnt.len(), MAX_BURNT);
        token.advance_past(28);
        assert_eq!((token.next, token.burnt.clone()), (29, vec![29]));
        token.advance_past(3);
        assert_eq!(token.next, 29);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(state) = State::decode(&bytes, 1) {
                prop_assert_eq!(State::decode(&state.encode(), 1), Ok(state));
            }
        }
    }
}
