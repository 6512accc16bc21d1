//! Whose lock it is, and until when.
//!
//! A lock ends with the record, whoever else still holds its descriptor: sshd and the modules beside ours fork,
//! and a child that lives on would keep everybody out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use otp_core::store::files::FileRecord;
use otp_core::store::{FilesStore, Record as _, Store as _};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use support::Scene;

/// The descriptors of this process that are this file, by number.
fn open_as(path: &Path) -> Vec<i32> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let leads_there = |entry: &fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|to| to == path);
    let number = |entry: fs::DirEntry| entry.file_name().to_str().unwrap().parse().unwrap();
    entries.filter(leads_there).map(number).collect()
}

/// What a forked child would have: the open file itself, not another one of the same path.
fn share(path: &Path) -> OwnedFd {
    let open = open_as(path);
    let number = open.first().expect("the locked file is open");
    let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    pidfd_getfd(&this, *number, PidfdGetfdFlags::empty()).unwrap()
}

#[test]
fn a_descriptor_that_a_child_inherited_holds_no_lock() {
    let scene = Scene::with(Vec::new());
    let (store, alice) = (&scene.store, &scene.alice);
    let record = store.lock(alice).unwrap();
    let inherited = share(&scene.state_file());
    let state = record.state().clone();
    record.commit(&state).unwrap();
    // Refused after 5 seconds, were it still locked.
    let record = store.lock(alice).expect("the lock was given back");
    drop(record);
    store.lock(alice).expect("by a refused login too");
    drop(inherited);
}

/// What somebody finds who asked for the lock, waited, and got it after `meanwhile`.
fn waited_through<T: Send>(
    scene: &Scene,
    then: impl FnOnce(FileRecord) -> T + Send,
    meanwhile: impl FnOnce(FileRecord),
) -> T {
    let record = scene.store.lock(&scene.alice).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let other = FilesStore::open(&scene.path).unwrap();
            then(other.lock(&scene.alice).unwrap())
        });
        // Until it waits, or has given up, which `join` then says.
        while open_as(&scene.state_file()).len() < 2 && !waiting.is_finished() {
            std::thread::yield_now();
        }
        meanwhile(record);
        waiting.join().unwrap()
    })
}

#[test]
fn who_waited_for_a_file_that_was_replaced_meanwhile_takes_the_new_one() {
    let scene = Scene::with(Vec::new());
    let path = scene.state_file();
    let fail = |record: FileRecord| {
        let mut state = record.state().clone();
        state.failures_since_success = 7;
        record.commit(&state).unwrap();
    };
    waited_through(&scene, fail, |record| {
        // The old one is still there, under another name.
        let new = path.with_extension("new");
        fs::copy(&path, &new).unwrap();
        fs::rename(&path, path.with_extension("old")).unwrap();
        fs::rename(&new, &path).unwrap();
        drop(record);
    });
    let record = scene.store.lock(&scene.alice).unwrap();
    assert_eq!(record.state().failures_since_success, 7);
}

#[test]
fn who_waited_for_somebody_who_was_removed_meanwhile_gets_a_decoy() {
    let scene = Scene::with(Vec::new());
    let is_decoy = |record: FileRecord| record.is_decoy();
    let decoy = waited_through(&scene, is_decoy, |record| {
        // A removal that was cut short after the account.
        fs::remove_file(scene.account_file()).unwrap();
        let mut state = record.state().clone();
        state.pending = true;
        record.commit(&state).unwrap();
    });
    assert!(decoy);
}
