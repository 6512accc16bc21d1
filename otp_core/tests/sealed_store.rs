//! Sealed accounts in the files store: who has opened it when, and a walk over more than one batch.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;
use std::path::PathBuf;

use otp_core::account::Account;
use otp_core::seal::KeyId;
use otp_core::secret::Secret;
use otp_core::state::State;
use otp_core::store::reseal::Counts;
use otp_core::store::{FilesStore, Problem, Record as _};
use otp_core::user_name::UserName;
use support::{Scene, enrolment, token, totp};

/// So many users, in a store that was opened before anything was sealed.
fn scene(users: usize) -> Scene {
    let scene = Scene::new();
    let phone = || vec![token("phone", totp())];
    let enrolments = (0..users).map(|number| enrolment(&format!("user{number}"), phone()));
    let administration = scene.store.administer().unwrap();
    administration.create_all(enrolments.collect()).unwrap();
    drop(administration);
    scene
}

impl Scene {
    fn open(&self) -> FilesStore {
        FilesStore::open(self.store.path()).unwrap()
    }

    fn seal(&self) {
        let key_file: PathBuf = self.directory.path().join("seal.key");
        let mut administration = self.store.administer().unwrap();
        administration.seal_from_now_on(Some(&key_file)).unwrap();
        drop(administration);
        self.convert();
    }

    fn rotate(&self) {
        self.store.administer().unwrap().begin_rotation().unwrap();
        self.convert();
        let key = self.key();
        let mut administration = self.store.administer().unwrap();
        administration.drop_other_keys(key).unwrap();
    }

    fn convert(&self) -> u64 {
        let converted = self.open().convert_all(&mut |_| ()).unwrap();
        assert_eq!(converted.failed, 0, "{converted:?}");
        converted.changed
    }

    fn key(&self) -> KeyId {
        self.open().sealing().settings().unwrap().key
    }

    fn counts(&self) -> Counts {
        self.open().counts(&mut || ()).unwrap()
    }
}

fn secret_of(store: &FilesStore, user: &str) -> Secret {
    let record = store.lock_enrolled(&UserName::from(user)).unwrap();
    record.account().tokens[0].secret.clone()
}

#[test]
fn a_login_that_opened_the_store_before_a_rotation_finds_the_new_key() {
    let scene = scene(1);
    let secret = secret_of(&scene.store, "user0");
    scene.seal();
    assert_eq!(secret_of(&scene.store, "user0"), secret, "before sealing");
    let before = scene.open();
    scene.rotate();
    assert_eq!(secret_of(&before, "user0"), secret, "before the rotation");
    scene.rotate();
    assert_eq!(secret_of(&before, "user0"), secret, "two rotations ago");
}

#[test]
fn an_administrator_who_opened_the_store_before_a_rotation_seals_with_the_new_key() {
    let scene = scene(1);
    scene.seal();
    let before = scene.open();
    scene.rotate();
    let alice = UserName::from("user0");
    let disable = |account: &mut Account, _: &mut State| {
        account.enabled = false;
        Ok(())
    };
    before
        .administer()
        .unwrap()
        .update(&alice, disable)
        .unwrap();
    let new = enrolment("later", vec![token("phone", totp())]);
    let administration = before.administer().unwrap();
    administration
        .create(&new.user, new.account, new.state)
        .unwrap();
    drop(administration);
    let expected = Counts {
        sealed: 2,
        ..Counts::default()
    };
    assert_eq!(scene.counts(), expected);
}

#[test]
fn a_walk_over_several_batches_misses_nobody() {
    let scene = scene(1_050);
    scene.seal();
    let sealed = Counts {
        sealed: 1_050,
        ..Counts::default()
    };
    assert_eq!(scene.counts(), sealed);
    assert_eq!(scene.convert(), 0, "nothing is written twice");
    let old = fs::read(scene.directory.path().join("seal.key")).unwrap();
    scene.rotate();
    assert_eq!(scene.counts(), sealed);
    assert_ne!(
        fs::read(scene.directory.path().join("seal.key")).unwrap(),
        old
    );
    scene.store.administer().unwrap().seal_no_more().unwrap();
    assert_eq!(scene.convert(), 1_050);
    assert_eq!(scene.counts().clear, 1_050);
    scene.store.administer().unwrap().forget_sealing().unwrap();
    assert!(scene.open().sealing().settings().is_none());
}

#[test]
fn a_key_that_is_in_use_is_not_dropped_and_sealing_that_is_on_not_forgotten() {
    let scene = scene(1);
    scene.seal();
    let old = scene.key();
    scene.store.administer().unwrap().begin_rotation().unwrap();
    let mut administration = scene.store.administer().unwrap();
    let error = administration.drop_other_keys(old).unwrap_err();
    assert!(matches!(error.problem, Problem::Refused(_)), "{error}");
    let error = administration.forget_sealing().unwrap_err();
    assert!(matches!(error.problem, Problem::Refused(_)), "{error}");
    assert_eq!(administration.sealing().keys().count(), 2);
}
