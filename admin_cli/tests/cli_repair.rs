//! `otpgate repair`: what can be mended is, no used code comes back, and the rest is said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use support::{Desk, at, hotp, mode, now, totp_at};

const LOST: &str =
    "alice: the state was lost, so everything that may have been used counts as used.\n";

fn damage_state(file: &Path, how: &str) {
    match how {
        "removed" => fs::remove_file(file).unwrap(),
        "zeros" => fs::write(file, vec![0; 8192]).unwrap(),
        "truncated" => fs::write(file, &fs::read(file).unwrap()[..100]).unwrap(),
        "empty" => fs::write(file, "").unwrap(),
        "overgrown" => fs::write(file, fs::read(file).unwrap().repeat(3)).unwrap(),
        other => panic!("{other}"),
    }
    if how != "removed" {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_lost_state_comes_back_without_its_used_codes() {
    for how in ["removed", "zeros", "truncated", "empty", "overgrown"] {
        let desk = Desk::new();
        let enrolled = desk.enroll("alice", &[]);
        let code = totp_at(now(), &[], &enrolled.secret);
        let _ = desk.log_in("alice", &code, &at(now()));
        damage_state(&desk.state_file("alice"), how);
        let refused = desk.run_with(&["verify", "alice"], &code);
        assert_eq!(refused.status, 2, "{how}: {refused:?}");
        assert!(
            refused.error().contains("state/alice: "),
            "{how}: {refused:?}"
        );

        let printed = desk.must(&["repair", "alice"]);
        assert!(printed.starts_with(LOST), "{how}: {printed}");
        assert_eq!(mode(&desk.state_file("alice")), 0o600);
        for offset in [0, 30, 300] {
            let code = totp_at(now() + offset, &[], &enrolled.secret);
            assert_ne!(desk.verify("alice", &code), "accepted", "{how} {offset}");
        }
        for code in &enrolled.recovery_codes {
            assert_eq!(desk.verify("alice", code), "replayed", "{how}");
        }
        let shown = desk.must(&["show", "alice"]);
        assert!(
            shown.contains("refuses codes for some minutes after a repair"),
            "{shown}"
        );
        assert!(
            shown.contains("recovery codes  0 left  (few: otpgate recovery)"),
            "{shown}"
        );
        assert_eq!(
            desk.must(&["repair", "alice"]),
            "alice: nothing to repair.\n"
        );
    }
}

#[test]
fn what_the_repair_advises_works() {
    let desk = Desk::new();
    let phone = desk.enroll("alice", &[]).secret;
    let key = desk.enroll("alice", &["--hotp", "--device", "key"]).secret;
    fs::remove_file(desk.state_file("alice")).unwrap();
    let printed = desk.must(&["repair", "alice"]);
    for advice in [
        "; `otpgate resync alice` makes them count at once.\n",
        "need `otpgate resync alice --device ID`.\n",
        "; `otpgate recovery alice` makes new ones.\n",
    ] {
        assert!(printed.contains(advice), "{printed}");
    }
    assert_eq!(desk.verify("alice", &hotp(0, &key)), "wrong");
    let codes = format!("{}\n{}\n", hotp(7, &key), hotp(8, &key));
    assert_eq!(
        desk.run_with(&["resync", "alice", "--device", "key"], &codes)
            .status,
        0
    );
    assert_eq!(desk.verify("alice", &hotp(9, &key)), "accepted");
    let codes = format!(
        "{}\n{}\n",
        totp_at(now() - 30, &[], &phone),
        totp_at(now(), &[], &phone)
    );
    assert_eq!(
        desk.run_with(&["resync", "alice", "--device", "phone"], &codes)
            .status,
        0
    );
    assert_eq!(
        desk.verify("alice", &totp_at(now() + 30, &[], &phone)),
        "accepted"
    );
    let printed = desk.json(&["recovery", "alice"]);
    let code = printed["recovery_codes"][0].as_str().unwrap();
    assert_eq!(desk.verify("alice", code), "accepted");
}

#[test]
fn time_based_codes_count_again_when_the_repair_said_so() {
    let desk = Desk::new();
    let secret = desk.enroll("alice", &[]).secret;
    fs::remove_file(desk.state_file("alice")).unwrap();
    desk.must(&["repair", "alice"]);
    // 20 steps of skew, one of window, and the one that has begun.
    for (minutes, accepted) in [(10, false), (13, true)] {
        let then = now() + minutes * 60;
        let verdict = desk.log_in("alice", &totp_at(then, &[], &secret), &at(then));
        let text = format!("{verdict:?}");
        assert_eq!(
            text.starts_with("Accepted"),
            accepted,
            "{minutes} minutes: {text}"
        );
    }
}

#[test]
fn owner_and_mode_are_put_right_and_nothing_is_lost() {
    for wrong in ["mode", "owner"] {
        for which in ["account", "state"] {
            let desk = Desk::new();
            let enrolled = desk.enroll("alice", &[]);
            let file = match which {
                "account" => desk.account_file("alice"),
                _ => desk.state_file("alice"),
            };
            match wrong {
                "mode" => fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap(),
                _ => chown(&file, Some(12345), Some(12345)).expect("this test is run as root"),
            }
            let refused = desk.run(&["show", "alice"]);
            let error = refused.error();
            assert!(
                error.contains("has mode 0644") || error.contains("is owned by uid 12345"),
                "{error}"
            );
            assert!(error.contains("run `otpgate repair USER`"), "{error}");
            assert_eq!(
                desk.must(&["repair", "alice"]),
                "alice: owner and mode are right again.\n"
            );
            assert_eq!(mode(&file), 0o600);
            let code = totp_at(now(), &[], &enrolled.secret);
            assert_eq!(desk.verify("alice", &code), "accepted", "{which} {wrong}");
        }
    }
}

#[test]
fn an_account_from_a_backup_keeps_what_logins_used_since() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &[]);
    let backup = fs::read(desk.account_file("alice")).unwrap();
    for device in ["two", "three", "four"] {
        desk.enroll("alice", &["--device", device]);
    }
    let code = totp_at(now(), &[], &enrolled.secret);
    let _ = desk.log_in("alice", &code, &at(now()));
    let _ = desk.log_in("alice", &enrolled.recovery_codes[0], &at(now()));
    fs::write(desk.account_file("alice"), backup).unwrap();
    let refused = desk.run(&["show", "alice"]);
    assert!(
        refused.error().contains("belongs to another account file"),
        "{refused:?}"
    );
    assert_eq!(
        desk.must(&["repair", "alice"]),
        "alice: the state belongs to the account again, and may have forgotten a used recovery code.\n\
         - The recovery codes no longer work; `otpgate recovery alice` makes new ones.\n"
    );
    assert_eq!(desk.verify("alice", &code), "replayed");
    for code in &enrolled.recovery_codes {
        assert_eq!(desk.verify("alice", code), "replayed");
    }
}

#[test]
fn what_cannot_be_made_up_is_left_alone() {
    for (damage, expected) in [
        (
            "account damaged",
            "accounts/alice.toml: damaged: line 1: not what an account holds",
        ),
        (
            "account gone",
            "accounts/alice.toml: is missing, though the state is there",
        ),
        ("account a link", "accounts/alice.toml: is a symbolic link"),
        ("state a link", "state/alice: is a symbolic link"),
    ] {
        let desk = Desk::new();
        desk.enroll("alice", &[]);
        let (account, state) = (desk.account_file("alice"), desk.state_file("alice"));
        match damage {
            "account damaged" => fs::write(&account, "x").unwrap(),
            "account gone" => fs::remove_file(&account).unwrap(),
            "account a link" => replace_by_link(&account, &desk.path("elsewhere")),
            _ => replace_by_link(&state, &desk.path("elsewhere")),
        }
        let ran = desk.run(&["repair", "alice"]);
        assert_eq!(ran.status, 2, "{damage}: {ran:?}");
        assert!(ran.error().contains(expected), "{damage}: {ran:?}");
        assert!(ran.error().contains("from a backup"), "{damage}: {ran:?}");
    }
    let ran = Desk::new().run(&["repair", "bob"]);
    assert_eq!(
        (ran.status, ran.error()),
        (2, "bob: is not enrolled; run `otpgate enroll USER`")
    );
}

fn replace_by_link(file: &Path, elsewhere: &Path) {
    fs::rename(file, elsewhere).unwrap();
    symlink(elsewhere, file).unwrap();
}

#[test]
fn a_sound_user_is_left_alone() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    let files = [desk.account_file("alice"), desk.state_file("alice")];
    let before = files.clone().map(|file| fs::read(file).unwrap());
    assert_eq!(
        desk.must(&["repair", "alice"]),
        "alice: nothing to repair.\n"
    );
    assert_eq!(files.map(|file| fs::read(file).unwrap()), before);
}
