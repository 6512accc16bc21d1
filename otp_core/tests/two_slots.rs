//! What a commit must not touch: were the power to go now, the slot before is what is left.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::fs;

use otp_core::store::slots::{SLOT, newest};
use otp_core::store::{Record as _, Store as _};
use support::Scene;

#[test]
fn a_commit_leaves_the_slot_before_as_it_was() {
    let scene = Scene::with(Vec::new());
    let mut slots = Vec::new();
    for failures in 1..=4 {
        let before = fs::read(scene.state_file()).unwrap();
        let record = scene.store.lock(&scene.alice).unwrap();
        let mut state = record.state().clone();
        state.failures_since_success = failures;
        record.commit(&state).unwrap();
        let after = fs::read(scene.state_file()).unwrap();
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
