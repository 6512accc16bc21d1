//! The state file: two slots of a page each. The newest valid one counts, a commit overwrites the other.
//!
//! So a login allocates nothing and renames nothing, a full disk does not matter, and a write that was
//! torn by a power cut costs only itself: the slot it was torn in was not the current one.
//!
//! | offset | bytes | what |
//! | --- | --- | --- |
//! | 0 | 8 | magic, with the format version |
//! | 8 | 8 | sequence number, one more with every commit |
//! | 16 | 8 | generation of the account |
//! | 24 | 2 | length of the payload |
//! | 26 | 32 | SHA-256 over the user's file name, the 26 bytes before, and the payload |
//! | 58 | | payload: [`State::encode`] |
//!
//! All numbers little-endian. The rest of the slot is zero and means nothing.

use sha2::{Digest, Sha256};

use crate::state::{LONGEST_PAYLOAD, State};

/// Bytes of one slot: a page, which file systems write in one piece or, torn, fail the checksum.
pub const SLOT: usize = 4096;
/// Bytes of the whole file.
pub const FILE: usize = 2 * SLOT;

const MAGIC: [u8; 8] = *b"otpgate\x01";
const HEAD: usize = 26;
const FRAME: usize = HEAD + 32;
const _: () = assert!(FRAME + LONGEST_PAYLOAD <= SLOT);

/// The current state, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The state.
    pub state: State,
    /// Its sequence number.
    pub sequence: u64,
    /// The slot it stands in: 0 or 1.
    pub slot: u64,
}

impl Current {
    /// The byte offset that the next commit goes to: the other slot.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        (1 - self.slot) * SLOT as u64
    }
}

/// The newest valid slot of a state file; `None` when neither is valid.
#[must_use]
pub fn newest(file: &[u8], user: &str) -> Option<Current> {
    let (first, second) = file.split_at_checked(SLOT)?;
    let read = |bytes: &[u8], slot| {
        let bytes = <&[u8; SLOT]>::try_from(bytes).ok()?;
        let (state, sequence) = read_slot(bytes, user)?;
        Some(Current {
            state,
            sequence,
            slot,
        })
    };
    let slots = [read(first, 0), read(second, 1)];
    slots
        .into_iter()
        .flatten()
        .max_by_key(|current| current.sequence)
}

fn read_slot(bytes: &[u8; SLOT], user: &str) -> Option<(State, u64)> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let (checksum, rest) = rest.split_first_chunk::<32>()?;
    let (magic, numbers) = head.split_first_chunk::<8>()?;
    let (sequence, numbers) = numbers.split_first_chunk::<8>()?;
    let (generation, length) = numbers.split_first_chunk::<8>()?;
    let length = u16::from_le_bytes(length.try_into().ok()?);
    let payload = rest.get(..usize::from(length))?;
    if *magic != MAGIC || checksum_of(user, head, payload) != *checksum {
        return None;
    }
    let state = State::decode(payload, u64::from_le_bytes(*generation)).ok()?;
    Some((state, u64::from_le_bytes(*sequence)))
}

/// A state as the bytes of a slot.
#[must_use]
pub fn frame(state: &State, sequence: u64, user: &str) -> Vec<u8> {
    let payload = state.encode();
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut head = [0; HEAD];
    let fields = MAGIC
        .into_iter()
        .chain(sequence.to_le_bytes())
        .chain(state.generation.to_le_bytes())
        .chain(length.to_le_bytes());
    for (to, from) in head.iter_mut().zip(fields) {
        *to = from;
    }
    let mut slot = Vec::with_capacity(SLOT);
    slot.extend(head);
    slot.extend(checksum_of(user, &head, &payload));
    slot.extend(payload);
    slot.resize(SLOT, 0);
    slot
}

/// A new state file: the state in the first slot, the second one empty but there, so that the space for
/// it is taken now and not at some login on a full disk.
#[must_use]
pub fn new_file(state: &State, user: &str) -> Vec<u8> {
    let mut file = frame(state, 1, user);
    // Not zeros: some file systems keep no blocks for those.
    file.resize(FILE, 0xff);
    file
}

fn checksum_of(user: &str, head: &[u8; HEAD], payload: &[u8]) -> [u8; 32] {
    // The name is part of it, so that a state copied to another user is damage. It is the only part of
    // variable length before the payload; its own length in front keeps the two apart.
    let length = u64::try_from(user.len()).unwrap_or(u64::MAX);
    let hash = Sha256::new()
        .chain_update(length.to_le_bytes())
        .chain_update(user);
    hash.chain_update(head)
        .chain_update(payload)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state(generation: u64) -> State {
        State {
            generation,
            failures_since_success: 7,
            ..State::default()
        }
    }

    fn file(first: Option<u64>, second: Option<u64>) -> Vec<u8> {
        let slot = |sequence: Option<u64>| {
            sequence.map_or(vec![0xff; SLOT], |sequence| {
                frame(&state(sequence), sequence, "alice")
            })
        };
        [slot(first), slot(second)].concat()
    }

    #[test]
    fn the_newest_valid_slot_counts() {
        for (first, second, expected) in [
            (Some(1), None, Some((1, 0))),
            (None, Some(9), Some((9, 1))),
            (Some(4), Some(3), Some((4, 0))),
            (Some(4), Some(5), Some((5, 1))),
            (None, None, None),
        ] {
            let found = newest(&file(first, second), "alice");
            let found = found.map(|current| (current.sequence, current.slot));
            assert_eq!(found, expected, "{first:?} {second:?}");
        }
        assert_eq!(
            newest(&new_file(&state(1), "alice"), "alice")
                .unwrap()
                .state,
            state(1)
        );
    }

    #[test]
    fn another_users_state_is_damage() {
        assert_eq!(newest(&file(Some(1), Some(2)), "bob"), None);
    }

    #[test]
    fn every_flipped_bit_that_means_something_is_found() {
        let whole = file(Some(1), None);
        let used = FRAME + state(1).encode().len();
        for position in 0..used {
            let mut damaged = whole.clone();
            damaged[position] ^= 1 << (position % 8);
            assert_eq!(newest(&damaged, "alice"), None, "byte {position}");
        }
    }

    #[test]
    fn a_torn_write_leaves_the_slot_before() {
        let (old, new) = (file(Some(1), Some(2)), frame(&state(3), 3, "alice"));
        for torn_at in [0, 1, 8, 16, 26, 58, 70, 512, 4095] {
            let mut file = old.clone();
            file[..torn_at].copy_from_slice(&new[..torn_at]);
            let current = newest(&file, "alice").unwrap();
            assert!(
                current.sequence == 2 || current.sequence == 3,
                "torn at {torn_at}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..FILE + 1)) {
            prop_assert_eq!(newest(&bytes, "alice"), None);
        }
    }
}
