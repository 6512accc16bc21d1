//! State files: the payload alone, and slots that were damaged or torn.
//!
//! Up to the first line end stands the damage (offset in the file, a comma, how much is added to the byte
//! there; blanks between), behind it the payload of the newer of two slots.

use otp_core::state::State;
use otp_core::store::slots::{FILE, SLOT, frame, newest};

const USER: &str = "alice";

pub fn state(data: &[u8]) {
    assert_eq!(newest(data, USER), None, "nobody guesses a checksum");
    let (damage, payload) = crate::split_at_byte(data, b'\n');
    let payload = payload.unwrap_or_default();
    let old = State {
        generation: 3,
        failures_since_success: 1,
        ..State::default()
    };
    let Ok(new) = State::decode(payload, 3) else {
        return damaged(damage, &old, &old);
    };
    assert_eq!(State::decode(&new.encode(), 3).as_ref(), Ok(&new));
    damaged(damage, &old, &new);
}

/// Whatever happens to the bytes, what is read is a state that was written, or none.
fn damaged(damage: &[u8], old: &State, new: &State) {
    let mut file = [frame(old, 7, USER), frame(new, 8, USER)].concat();
    assert_eq!(file.len(), FILE);
    let current = newest(&file, USER).expect("a whole file");
    assert_eq!(
        (&current.state, current.sequence, current.slot),
        (new, 8, 1)
    );
    assert_eq!(newest(&file, "bob"), None);
    let mut hurt = [false; 2];
    for (offset, added) in damage.split(|byte| *byte == b' ').filter_map(one) {
        let offset = offset % FILE;
        file[offset] = file[offset].wrapping_add(added);
        hurt[offset / SLOT] = true;
    }
    match (newest(&file, USER), hurt) {
        (None, [true, true]) => {}
        (Some(found), _) if found.sequence == 8 => assert_eq!(&found.state, new),
        (Some(found), [_, true]) if found.sequence == 7 => assert_eq!(&found.state, old),
        (found, hurt) => panic!("{found:?} where {hurt:?} are hurt"),
    }
}

fn one(text: &[u8]) -> Option<(usize, u8)> {
    let (offset, added) = std::str::from_utf8(text).ok()?.split_once(',')?;
    Some((offset.parse().ok()?, added.parse().ok()?))
}
