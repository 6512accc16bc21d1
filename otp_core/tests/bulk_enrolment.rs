//! Many users at once: what stands on the disk afterwards, and what an interruption leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;

use otp_core::store::bulk::Enrolment;
use otp_core::store::{FilesStore, Problem, Record as _, Store as _};
use otp_core::user_name::UserName;
use support::{Scene, token, totp};

/// A user whose only device has this watermark.
fn enrolment(user: &str, next: u64) -> Enrolment {
    let mut enrolment = support::enrolment(user, vec![token("phone", totp())]);
    let device = &enrolment.account.tokens[0];
    let mut token = enrolment.state.token(device.serial, &device.kind);
    token.next = next;
    enrolment.state.set_token(token);
    enrolment
}

fn names(store: &FilesStore, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(store.path().join(directory)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn everybody_is_enrolled_with_what_was_used_up() {
    let scene = Scene::new();
    let store = &scene.store;
    let users = (0..300).map(|number| enrolment(&format!("user{number}"), 1_000 + number));
    store
        .administer()
        .unwrap()
        .create_all(users.collect())
        .unwrap();
    for number in 0..300 {
        let record = store
            .lock_enrolled(&UserName::from(&*format!("user{number}")))
            .unwrap();
        assert_eq!(record.state().tokens[0].next, 1_000 + number);
        assert!(!record.state().pending);
        assert_eq!(
            (record.account().generation, record.state().generation),
            (1, 1)
        );
    }
    assert_eq!(store.users().unwrap().count(), 300);
    assert!(!store.path().join("staging").exists());
}

#[test]
fn nobody_is_enrolled_when_one_cannot_be() {
    let scene = Scene::new();
    let store = &scene.store;
    let administration = store.administer().unwrap();
    administration
        .create_all(vec![enrolment("alice", 0)])
        .unwrap();
    for (users, wrong) in [
        (["bob", "alice"], "alice is enrolled"),
        (["bob", "bob"], "bob twice"),
        (["bob", ""], "no name"),
    ] {
        let batch = users.map(|user| enrolment(user, 0)).into();
        administration.create_all(batch).expect_err(wrong);
        assert!(
            !store.is_enrolled(&UserName::from("bob")).unwrap(),
            "{wrong}"
        );
        assert_eq!(names(store, "accounts"), ["alice.toml"], "{wrong}");
    }
}

#[test]
fn a_write_that_fails_half_way_enrols_nobody_and_leaves_nothing() {
    let scene = Scene::new();
    let store = &scene.store;
    let administration = store.administer().unwrap();
    let mut batch: Vec<Enrolment> = (0..3)
        .map(|number| enrolment(&format!("u{number}"), 0))
        .collect();
    // A text that no account file takes stands for the write that fails half-way.
    batch[2].account.tokens[0].label = "a:b".into();
    let error = administration.create_all(batch).unwrap_err();
    assert!(matches!(error.problem, Problem::Refused(_)), "{error}");
    assert_eq!(names(store, "accounts"), [""; 0]);
    assert!(!store.path().join("staging").exists());
}

#[test]
fn what_an_interruption_left_is_cleared_by_the_next_administrator() {
    let scene = Scene::new();
    let store = &scene.store;
    let staging = store.path().join("staging");
    fs::create_dir(&staging).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&staging, mode).unwrap();
    fs::write(staging.join("0.state"), "half").unwrap();
    drop(store.administer().unwrap());
    assert!(!staging.exists());
}

#[test]
fn a_pending_state_without_its_account_is_enrolled_again() {
    let scene = Scene::new();
    let store = &scene.store;
    let administration = store.administer().unwrap();
    administration
        .create_all(vec![enrolment("alice", 7)])
        .unwrap();
    // As after a kill between the two renames: only the pending first slot, and no account.
    let state = store.path().join("state/alice");
    let mut bytes = fs::read(&state).unwrap();
    bytes[4096..].fill(0xff);
    fs::write(&state, bytes).unwrap();
    fs::remove_file(store.path().join("accounts/alice.toml")).unwrap();
    assert!(!store.is_enrolled(&UserName::from("alice")).unwrap());
    administration
        .create_all(vec![enrolment("alice", 9)])
        .unwrap();
    let record = store.lock_enrolled(&UserName::from("alice")).unwrap();
    assert_eq!(record.state().tokens[0].next, 9);
}
