//! Who is listed, and what is said, when only half of something is there.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;

use otp_core::store::{FilesStore, Record as _, Store as _};
use otp_core::user_name::UserName;
use support::Scene;

fn names(store: &FilesStore) -> Vec<String> {
    let names = store.users().unwrap().map(|user| user.to_string());
    names.collect()
}

#[test]
fn a_state_alone_is_listed_unless_it_says_that_there_need_be_no_account() {
    let scene = Scene::with(Vec::new());
    let (path, store) = (&scene.path, &scene.store);
    let file = scene.account_file();
    let text = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert_eq!(names(store), ["alice"], "somebody has to repair that");
    fs::rename(path.join("state/alice"), path.join("aside")).unwrap();
    assert_eq!(names(store), [""; 0]);
    // Whole again for a moment, to say so in the state.
    fs::write(&file, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&file, mode).unwrap();
    fs::rename(path.join("aside"), path.join("state/alice")).unwrap();
    let record = store.lock(&scene.alice).unwrap();
    let mut state = record.state().clone();
    state.pending = true;
    record.commit(&state).unwrap();
    fs::remove_file(&file).unwrap();
    assert_eq!(names(store), [""; 0], "a removal that was cut short");
}

#[test]
fn a_file_size_limit_that_the_state_fits_into_is_none() {
    // In a process of its own: the limit is the whole process's. Half a KiB is the unit of `ulimit -f`.
    if let Ok(path) = std::env::var("OTPGATE_ROOMY_STORE") {
        let store = FilesStore::open(path.as_ref()).unwrap();
        drop(store.lock(&UserName::from("alice")).unwrap());
        return;
    }
    let scene = Scene::new();
    let limited = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 16; exec \"$@\" 2>&1 | cat", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_file_size_limit_that_the_state_fits_into_is_none",
        ])
        .env("OTPGATE_ROOMY_STORE", &scene.path)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&limited.stdout);
    assert!(report.contains("1 passed"), "{report}");
}

#[test]
fn a_damaged_decoy_is_named() {
    let scene = Scene::new();
    let (path, store) = (&scene.path, &scene.store);
    assert!(store.damaged_decoys().is_empty());
    let mut decoys = fs::read_dir(path.join("decoys")).unwrap().flatten();
    let is_state = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|data| data.len() == 8192);
    let decoy = decoys.find(is_state).expect("a decoy's state");
    fs::write(decoy.path(), b"damage").unwrap();
    let damaged = store.damaged_decoys();
    assert_eq!(damaged.len(), 1);
    assert!(
        damaged.iter().all(|error| error.path == decoy.path()),
        "{damaged:?}"
    );
}
