//! What a commit must not touch: were the power to go now, the slot before is what is left.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;

use otp_core::account::Account;
use otp_core::state::State;
use otp_core::store::administration::init;
use otp_core::store::slots::{SLOT, newest};
use otp_core::store::{Record as _, Store as _};
use otp_core::totp::UnixTime;
use otp_core::user_name::UserName;

#[test]
fn a_commit_leaves_the_slot_before_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let store = init(&path).unwrap();
    let alice = UserName::from("alice");
    let account = Account::new(&alice, UnixTime(0));
    let state = State::new(&account);
    let administration = store.administer().unwrap();
    administration.create(&alice, account, state).unwrap();
    drop(administration);
    let mut slots = Vec::new();
    for failures in 1..=4 {
        let before = fs::read(path.join("state/alice")).unwrap();
        let record = store.lock(&alice).unwrap();
        let mut state = record.state().clone();
        state.failures_since_success = failures;
        record.commit(&state).unwrap();
        let after = fs::read(path.join("state/alice")).unwrap();
        let (old, new) = (
            newest(&before, "alice").unwrap(),
            newest(&after, "alice").unwrap(),
        );
        assert_eq!(new.state.failures_since_success, failures);
        let start = usize::try_from(old.slot).unwrap() * SLOT;
        assert_eq!(before[start..start + SLOT], after[start..start + SLOT]);
        slots.push(new.slot);
    }
    assert!(slots.windows(2).all(|pair| pair[0] != pair[1]), "{slots:?}");
}
