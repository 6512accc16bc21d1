//! The files store on a real file system: enrolment, commit, damage, interrupted changes, repair.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use otp_core::account::{Account, Kind};
use otp_core::recovery::{RecoveryCode, StoredRecoveryCode};
use otp_core::state::State;
use otp_core::store::administration::init;
use otp_core::store::repair::Repaired;
use otp_core::store::{FilesStore, Problem, Record as _, Store as _, StoreError, slots};
use otp_core::totp::Period;
use otp_core::user_name::UserName;
use support::{NOW, Scene, token, totp};

fn enrolled() -> Scene {
    let key = Kind::Hotp { counter: 5 };
    Scene::with(vec![token("phone", totp()), token("key", key)])
}

impl Scene {
    fn commit_failures(&self, failures: u32) {
        let record = self.store.lock(&self.alice).unwrap();
        let state = State {
            failures_since_success: failures,
            ..record.state().clone()
        };
        record.commit(&state).unwrap();
    }

    fn failures(&self) -> u32 {
        self.store
            .lock(&self.alice)
            .unwrap()
            .state()
            .failures_since_success
    }

    fn error(&self) -> StoreError {
        self.store
            .lock(&self.alice)
            .expect_err("the record could be locked")
    }
}

fn files_below(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for directory in ["accounts", "state"] {
        for entry in fs::read_dir(path.join(directory)).unwrap() {
            names.push(format!(
                "{directory}/{}",
                entry.unwrap().file_name().to_str().unwrap()
            ));
        }
    }
    names.sort();
    names
}

#[test]
fn what_is_committed_is_read_back_and_nothing_else_appears() {
    let scene = enrolled();
    for failures in 1..10 {
        scene.commit_failures(failures);
        assert_eq!(scene.failures(), failures);
    }
    assert_eq!(
        files_below(&scene.path),
        ["accounts/alice.toml", "state/alice"]
    );
    assert_eq!(
        fs::metadata(scene.state_file()).unwrap().len(),
        slots::FILE as u64
    );
}

#[test]
fn init_twice_keeps_what_is_there() {
    let scene = enrolled();
    scene.commit_failures(3);
    let key = fs::read(scene.path.join("decoys/key")).unwrap();
    init(&scene.path).unwrap();
    assert_eq!(fs::read(scene.path.join("decoys/key")).unwrap(), key);
    assert_eq!(scene.failures(), 3);
}

#[test]
fn unknown_users_get_a_decoy_and_the_same_one_each_time() {
    let scene = enrolled();
    for name in ["bob", "../alice", "", "\u{0}"] {
        let user = UserName::from(name);
        assert!(!scene.store.is_enrolled(&user).unwrap());
        let first = scene.store.lock(&user).unwrap();
        assert!(first.is_decoy());
        let decoy = first.account().user.clone();
        drop(first);
        assert_eq!(
            scene.store.lock(&user).unwrap().account().user,
            decoy,
            "{name:?}"
        );
    }
}

#[test]
fn every_kind_of_damage_is_an_error_that_names_file_and_cure() {
    type Damage = fn(&Path);
    let garbage: Damage = |path| fs::write(path, vec![0x5a; 8192]).unwrap();
    let cases: [(&str, Damage); 11] = [
        ("garbage", garbage),
        ("empty", |path| fs::write(path, "").unwrap()),
        ("truncated", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
        }),
        ("100 MB", |path| {
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(100 << 20)
                .unwrap()
        }),
        ("FIFO", |path| {
            fs::remove_file(path).unwrap();
            assert!(
                std::process::Command::new("mkfifo")
                    .arg("-m600")
                    .arg(path)
                    .status()
                    .unwrap()
                    .success()
            );
        }),
        ("symbolic link", |path| {
            let other = path.with_file_name("elsewhere");
            fs::rename(path, &other).unwrap();
            symlink(&other, path).unwrap();
        }),
        ("hard link", |path| {
            fs::hard_link(path, path.with_file_name("elsewhere")).unwrap()
        }),
        ("directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }),
        ("socket", |path| {
            fs::remove_file(path).unwrap();
            std::os::unix::net::UnixListener::bind(path).unwrap();
        }),
        ("readable by the group", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
        }),
        ("writable by others", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o602)).unwrap();
        }),
    ];
    for (name, damage) in cases {
        for file in [Scene::account_file, Scene::state_file] {
            let scene = enrolled();
            let path = file(&scene);
            damage(&path);
            let error = scene.error();
            assert_eq!(error.path, path, "{name}: {error}");
            assert!(
                error.to_string().contains("; "),
                "{name}: no cure in {error}"
            );
        }
    }
}

#[test]
fn half_a_user_is_damage_and_not_an_unenrolled_user() {
    let scene = enrolled();
    fs::remove_file(scene.state_file()).unwrap();
    assert!(matches!(scene.error().problem, Problem::StateMissing));
    assert!(scene.store.is_enrolled(&scene.alice).is_err());

    let scene = enrolled();
    fs::remove_file(scene.account_file()).unwrap();
    assert!(matches!(scene.error().problem, Problem::AccountMissing));
    assert!(scene.store.is_enrolled(&scene.alice).is_err());
}

#[test]
fn another_users_files_are_damage() {
    let scene = enrolled();
    let bob = UserName::from("bob");
    fs::copy(scene.account_file(), scene.path.join("accounts/bob.toml")).unwrap();
    fs::copy(scene.state_file(), scene.path.join("state/bob")).unwrap();
    assert!(scene.store.lock(&bob).is_err());
}

#[test]
fn a_change_counts_up_the_generation_of_both_files() {
    let scene = enrolled();
    let administration = scene.store.administer().unwrap();
    administration
        .update(&scene.alice, |account, _| {
            account.tokens.remove(0);
            Ok(())
        })
        .unwrap();
    let record = scene.store.lock(&scene.alice).unwrap();
    assert_eq!(
        (record.account().generation, record.state().generation),
        (2, 2)
    );
    assert_eq!(record.account().tokens.len(), 1);
}

#[test]
fn a_change_cut_short_after_the_state_leaves_the_old_account_in_force() {
    let scene = enrolled();
    let old_account = fs::read(scene.account_file()).unwrap();
    scene
        .store
        .administer()
        .unwrap()
        .update(&scene.alice, |account, _| {
            account.tokens.clear();
            Ok(())
        })
        .unwrap();
    fs::write(scene.account_file(), &old_account).unwrap();
    let record = scene.store.lock(&scene.alice).unwrap();
    assert_eq!(
        (record.account().generation, record.state().generation),
        (1, 2)
    );
    assert_eq!(
        record.state().tokens.len(),
        2,
        "the old devices' state is still there"
    );
    drop(record);
    scene.commit_failures(1);
    scene
        .store
        .administer()
        .unwrap()
        .update(&scene.alice, |_, _| Ok(()))
        .unwrap();
    assert_eq!(
        scene.store.lock(&scene.alice).unwrap().account().generation,
        2
    );
}

#[test]
fn an_account_from_an_old_backup_is_not_taken_silently() {
    let scene = enrolled();
    let old = fs::read(scene.account_file()).unwrap();
    for _ in 0..2 {
        scene
            .store
            .administer()
            .unwrap()
            .update(&scene.alice, |_, _| Ok(()))
            .unwrap();
    }
    scene.commit_failures(4);
    fs::write(scene.account_file(), &old).unwrap();
    assert!(matches!(
        scene.error().problem,
        Problem::Generation {
            account: 1,
            state: 3
        }
    ));
    let repaired = scene
        .store
        .administer()
        .unwrap()
        .repair(&scene.alice, NOW)
        .unwrap();
    assert_eq!((repaired, scene.failures()), (Repaired::Kept, 4));
}

#[test]
fn a_pending_state_without_an_account_is_no_enrolment() {
    let scene = enrolled();
    let record = scene.store.lock(&scene.alice).unwrap();
    let pending = State {
        pending: true,
        ..record.state().clone()
    };
    record.commit(&pending).unwrap();
    fs::remove_file(scene.account_file()).unwrap();
    assert!(!scene.store.is_enrolled(&scene.alice).unwrap());
    assert!(scene.store.lock(&scene.alice).unwrap().is_decoy());
    let account = Account::new(&scene.alice, NOW);
    let state = State::new(&account);
    scene
        .store
        .administer()
        .unwrap()
        .create(&scene.alice, account, state)
        .unwrap();
    assert!(scene.store.is_enrolled(&scene.alice).unwrap());
}

#[test]
fn removal_leaves_nothing_behind() {
    let scene = enrolled();
    scene
        .store
        .administer()
        .unwrap()
        .remove(&scene.alice)
        .unwrap();
    assert!(!scene.store.is_enrolled(&scene.alice).unwrap());
    assert_eq!(files_below(&scene.path), Vec::<String>::new());
}

#[test]
fn enrolling_twice_is_refused() {
    let scene = enrolled();
    let account = Account::new(&scene.alice, NOW);
    let state = State::new(&account);
    let error = scene
        .store
        .administer()
        .unwrap()
        .create(&scene.alice, account, state)
        .unwrap_err();
    assert!(matches!(error.problem, Problem::AlreadyEnrolled));
}

#[test]
fn repair_of_a_lost_state_reopens_nothing() {
    type Loss = fn(&Path);
    let cases: [(&str, Loss); 3] = [
        ("missing", |path| fs::remove_file(path).unwrap()),
        ("garbage", |path| fs::write(path, [7; 8192]).unwrap()),
        ("overgrown", |path| fs::write(path, [7; 9000]).unwrap()),
    ];
    for (name, lose) in cases {
        let scene = enrolled();
        lose(&scene.state_file());
        let repaired = scene
            .store
            .administer()
            .unwrap()
            .repair(&scene.alice, NOW)
            .unwrap();
        let Repaired::Lost {
            totp_from: Some(totp_from),
            ..
        } = repaired
        else {
            panic!("{name}: {repaired:?}")
        };
        assert!(totp_from > NOW && totp_from.since(NOW) <= 22 * 30, "{name}");
        let record = scene.store.lock(&scene.alice).unwrap();
        let [totp, hotp] = &record.state().tokens[..] else {
            panic!("{name}: not two devices")
        };
        assert!(
            totp.next > Period::default().step(NOW) + 20 && hotp.next == u64::MAX,
            "{name}"
        );
    }
}

#[test]
fn repair_puts_modes_right_and_leaves_healthy_files_alone() {
    let scene = enrolled();
    let repair = || {
        scene
            .store
            .administer()
            .unwrap()
            .repair(&scene.alice, NOW)
            .unwrap()
    };
    assert_eq!(repair(), Repaired::Healthy);
    fs::set_permissions(scene.account_file(), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(scene.state_file(), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(repair(), Repaired::Permissions);
    assert_eq!(
        fs::metadata(scene.account_file())
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
}

#[test]
fn a_store_that_others_may_enter_is_not_opened() {
    let scene = enrolled();
    fs::set_permissions(&scene.path, fs::Permissions::from_mode(0o755)).unwrap();
    let error = FilesStore::open(&scene.path).unwrap_err();
    assert!(
        matches!(error.problem.itself(), Problem::Mode { .. }),
        "{error}"
    );
    let missing = FilesStore::open(&scene.path.join("missing")).unwrap_err();
    assert!(missing.to_string().contains("otpgate init"), "{missing}");
}

#[test]
fn users_are_listed_by_their_names() {
    let scene = enrolled();
    fs::write(scene.path.join("accounts/.new"), "").unwrap();
    fs::write(scene.path.join("accounts/stray~"), "").unwrap();
    assert_eq!(
        scene.store.users().unwrap().collect::<Vec<_>>(),
        [UserName::from("alice")]
    );
    assert_eq!(scene.store.account_count().unwrap(), 1);
}

#[test]
fn a_record_is_shown_by_its_path_and_nothing_else() {
    let scene = enrolled();
    let record = scene.store.lock(&UserName::from("alice")).unwrap();
    let path = scene.path.join("state/alice");
    assert_eq!(
        format!("{record:?}"),
        format!("FileRecord({})", path.display())
    );
}

#[test]
fn damaged_decoys_refuse_at_once_and_init_makes_them_anew() {
    let scene = enrolled();
    let bob = UserName::from("bob");
    let decoy = scene.store.lock(&bob).unwrap().account().user.clone();
    for file in [decoy.clone(), format!("{decoy}.toml"), "key".into()] {
        let path = scene.path.join("decoys").join(&file);
        for damage in ["removed", "garbage"] {
            if damage == "removed" {
                fs::remove_file(&path).unwrap();
            } else {
                fs::write(&path, "garbage").unwrap();
            }
            let start = std::time::Instant::now();
            let error = scene.store.lock(&bob).unwrap_err();
            assert!(
                error.to_string().contains("otpgate init"),
                "{file} {damage}: {error}"
            );
            assert!(start.elapsed().as_secs() < 3, "{file} {damage}: waited");
            init(&scene.path).unwrap();
            assert!(
                scene.store.lock(&bob).unwrap().is_decoy(),
                "{file} {damage}"
            );
        }
    }
    assert!(scene.store.damaged_decoys().is_empty());
}

#[test]
fn repair_of_a_state_from_an_old_backup_reopens_nothing() {
    let scene = enrolled();
    let old_state = fs::read(scene.state_file()).unwrap();
    for _ in 0..2 {
        let change = scene.store.administer().unwrap();
        change.update(&scene.alice, |_, _| Ok(())).unwrap();
    }
    fs::write(scene.state_file(), old_state).unwrap();
    assert!(matches!(
        scene.error().problem,
        Problem::Generation {
            account: 3,
            state: 1
        }
    ));
    let repaired = scene
        .store
        .administer()
        .unwrap()
        .repair(&scene.alice, NOW)
        .unwrap();
    assert!(matches!(repaired, Repaired::Lost { .. }), "{repaired:?}");
    let record = scene.store.lock(&scene.alice).unwrap();
    let [totp, hotp] = &record.state().tokens[..] else {
        panic!("not two devices")
    };
    assert!(totp.next > Period::default().step(NOW) + 20 && hotp.next == u64::MAX);
}

#[test]
fn repair_of_an_account_from_an_old_backup_reopens_no_recovery_code_and_no_removed_device() {
    let scene = enrolled();
    let code = StoredRecoveryCode::new(&RecoveryCode::generate().unwrap()).unwrap();
    let change = |change: &dyn Fn(&mut Account, &mut State)| {
        let administration = scene.store.administer().unwrap();
        administration
            .update(&scene.alice, |account, state| {
                change(account, state);
                Ok(())
            })
            .unwrap();
    };
    change(&|account, state| {
        account.recovery = vec![code.clone()];
        state.used_recovery = vec![code.id()];
    });
    let backup = fs::read(scene.account_file()).unwrap();
    for _ in 0..2 {
        change(&|account, _| {
            account.recovery.clear();
            account.tokens.retain(|token| token.id != "key");
        });
    }
    fs::write(scene.account_file(), backup).unwrap();
    scene
        .store
        .administer()
        .unwrap()
        .repair(&scene.alice, NOW)
        .unwrap();
    let record = scene.store.lock(&scene.alice).unwrap();
    assert_eq!(record.state().used_recovery, [code.id()]);
    let key = record.account().token("key").unwrap();
    assert_eq!(record.state().token(key.serial, &key.kind).next, u64::MAX);
}

#[test]
fn a_state_that_does_not_know_the_device_is_damage_and_not_a_fresh_start() {
    let scene = enrolled();
    let old_state = fs::read(scene.state_file()).unwrap();
    let administration = scene.store.administer().unwrap();
    administration.remove(&scene.alice).unwrap();
    let mut account = Account::new(&scene.alice, NOW);
    account.tokens = vec![token("phone", Kind::Hotp { counter: 0 })];
    let state = State::new(&account);
    administration.create(&scene.alice, account, state).unwrap();
    drop(administration);
    fs::write(scene.state_file(), old_state).unwrap();
    assert!(matches!(scene.error().problem, Problem::UnknownDevice(_)));
    scene
        .store
        .administer()
        .unwrap()
        .repair(&scene.alice, NOW)
        .unwrap();
    assert_eq!(
        scene.store.lock(&scene.alice).unwrap().state().tokens[0].next,
        u64::MAX
    );
}

#[test]
fn under_a_file_size_limit_nothing_is_judged() {
    // In a process of its own: the limit is the whole process's.
    if let Ok(path) = std::env::var("OTPGATE_LIMITED_STORE") {
        let store = FilesStore::open(Path::new(&path)).unwrap();
        let error = store.lock(&UserName::from("alice")).unwrap_err();
        assert!(
            matches!(error.problem, Problem::FileSizeLimit(0)),
            "{error}"
        );
        return;
    }
    let scene = enrolled();
    let program = std::env::current_exe().unwrap();
    let limited = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 0; exec \"$@\" 2>&1 | cat", "sh"])
        .arg(program)
        .args(["--exact", "under_a_file_size_limit_nothing_is_judged"])
        .env("OTPGATE_LIMITED_STORE", &scene.path)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&limited.stdout);
    assert!(report.contains("1 passed"), "{report}");
}
