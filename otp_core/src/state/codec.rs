//! The bytes of a state: numbers little-endian, lists with their length in front. Everything is checked on
//! the way in, although a checksum stands around it: the file may be of another version.

use std::fmt;

use super::burnt::Burnt;
use super::{Event, GraceEntry, MAX_GRACE, MAX_TOKEN_STATES, MAX_USED_RECOVERY, State, TokenState};
use crate::account::Serial;
use crate::delivered::{Budget, Pending, Sent};
use crate::invite::Admissions;
use crate::recovery::RecoveryId;
use crate::source::Source;
use crate::throttle::{Bucket, KnownSource, MAX_KNOWN_SOURCES, Throttle};
use crate::totp::UnixTime;

impl State {
    /// The encoded state, at most [`LONGEST_PAYLOAD`](super::LONGEST_PAYLOAD) bytes.
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
        bytes.sent(&self.sent);
        bytes.option(self.admissions.as_ref(), Writer::admissions);
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
            sent: bytes.sent()?,
            admissions: bytes.option(Reader::admissions)?,
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
        self.number(token.burnt.base);
        self.0.extend(token.burnt.bits.to_le_bytes());
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
        self.number(entry.service);
        self.number(entry.at.0);
        self.number(entry.generation);
    }

    fn admissions(&mut self, admissions: &Admissions) {
        self.number(admissions.invite.0);
        self.byte(admissions.times);
    }

    fn event(&mut self, event: &Event) {
        self.number(event.at.0);
        self.source(event.source);
    }

    fn sent(&mut self, sent: &Sent) {
        self.number(sent.budget.since.0);
        self.0.extend(sent.budget.spent.to_le_bytes());
        self.option(sent.pending.as_ref(), |bytes, pending| {
            bytes.number(pending.serial.0);
            bytes.0.extend(pending.salt);
            bytes.0.extend(pending.hash);
            bytes.number(pending.made.0);
            bytes.number(pending.expires.0);
            bytes.source(pending.source);
            bytes.0.extend(pending.uses.to_le_bytes());
        });
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
            burnt: Burnt {
                base: self.number()?,
                bits: u128::from_le_bytes(self.take()?),
            },
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
            service: self.number()?,
            at: self.time()?,
            generation: self.number()?,
        })
    }

    fn admissions(&mut self) -> Result<Admissions, StateError> {
        Ok(Admissions {
            invite: self.number().map(RecoveryId)?,
            times: self.byte()?,
        })
    }

    fn event(&mut self) -> Result<Event, StateError> {
        Ok(Event {
            at: self.time()?,
            source: self.source()?,
        })
    }

    fn sent(&mut self) -> Result<Sent, StateError> {
        let budget = Budget {
            since: self.time()?,
            spent: u16::from_le_bytes(self.take()?),
        };
        let pending = self.option(|bytes| {
            Ok(Pending {
                serial: Serial(bytes.number()?),
                salt: bytes.take()?,
                hash: bytes.take()?,
                made: bytes.time()?,
                expires: bytes.time()?,
                source: bytes.source()?,
                uses: u16::from_le_bytes(bytes.take()?),
            })
        })?;
        Ok(Sent { budget, pending })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::LONGEST_PAYLOAD;

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
            burnt: Burnt {
                base: u64::MAX,
                bits: u128::MAX,
            },
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
                    service: u64::MAX,
                    at: event.at,
                    generation: 1
                };
                MAX_GRACE
            ],
            last_success: Some(event),
            last_failure: Some(event),
            failures_since_success: u32::MAX,
            sent: Sent {
                budget: Budget {
                    since: event.at,
                    spent: u16::MAX,
                },
                pending: Some(Pending {
                    serial: Serial(u64::MAX),
                    salt: [0xff; 16],
                    hash: [0xff; 32],
                    made: event.at,
                    expires: event.at,
                    source: event.source,
                    uses: u16::MAX,
                }),
            },
            admissions: Some(Admissions {
                invite: RecoveryId(u64::MAX),
                times: u8::MAX,
            }),
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

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(state) = State::decode(&bytes, 1) {
                prop_assert_eq!(State::decode(&state.encode(), 1), Ok(state));
            }
        }
    }
}
