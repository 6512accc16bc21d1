//! `otpgate list`, `show`, `disable`, `enable`, `remove`: what is enrolled, and taking it back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::Value;
use support::{Desk, at, keys, now, totp_at, wrong_code};

fn lines(printed: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn list_has_a_line_for_each_user() {
    let desk = Desk::new();
    assert_eq!(desk.must(&["list"]), "", "nobody yet");
    desk.enroll("alice", &[]);
    desk.enroll("alice", &["--device", "key", "--hotp"]);
    desk.enroll("jürg", &[]);
    desk.enroll("a/b", &[]);
    desk.must(&["disable", "jürg"]);
    desk.must(&["disable", "alice", "--device", "phone"]);
    let printed = desk.must(&["list"]);
    assert_eq!(
        lines(&printed),
        [
            "a/b                      phone (totp)",
            "alice                    phone (totp, disabled), key (hotp)",
            "jürg                     DISABLED  phone (totp)",
        ]
    );
}

#[test]
fn list_in_json_is_an_object_a_line_with_names_that_every_command_takes() {
    let desk = Desk::new();
    let users = ["alice", "jürg", "a/b", "with space", "%41", "line\nbreak"];
    for user in users {
        desk.enroll(user, &["--label", "x"]);
    }
    let printed = desk.must(&["list", "--json"]);
    let mut listed = Vec::new();
    for line in printed.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            keys(&object),
            ["devices", "enabled", "invited_until", "user"]
        );
        assert_eq!(keys(&object["devices"][0]), ["enabled", "id", "kind"]);
        let user = object["user"].as_str().unwrap().to_owned();
        assert_eq!(desk.show(&user)["user"], user.as_str());
        listed.push(user);
    }
    listed.sort_unstable();
    let mut users = users.map(str::to_owned);
    users.sort_unstable();
    assert_eq!(listed, users);
    let text = desk.must(&["list"]);
    assert!(
        text.contains("line%0Abreak "),
        "nobody's name breaks a line: {text}"
    );
}

#[test]
fn list_goes_on_after_damaged_users_and_says_so_with_its_status() {
    let desk = Desk::new();
    for user in ["alice", "bob", "carol"] {
        desk.enroll(user, &[]);
    }
    fs::write(desk.account_file("bob"), "secret = 'GEZDGNBVGY3TQOJQ'").unwrap();
    fs::remove_file(desk.state_file("carol")).unwrap();
    let ran = desk.run(&["list"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    let printed = lines(&ran.stdout);
    assert_eq!(printed[0], "alice                    phone (totp)");
    assert!(
        printed[1].starts_with("bob                      DAMAGED: "),
        "{ran:?}"
    );
    assert!(printed[1].contains("bob.toml: damaged: line 1"), "{ran:?}");
    assert!(
        printed[2].ends_with("is missing, though the account is there; run `otpgate repair USER`")
    );
    assert!(!ran.stdout.contains("GEZDGNBVGY3TQOJQ"), "{ran:?}");
    let ran = desk.run(&["list", "--json"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    let objects = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let damaged: Vec<Value> = objects
        .filter(|object| object.get("error").is_some())
        .collect();
    assert_eq!(damaged.len(), 2);
    assert_eq!(keys(&damaged[0]), ["error", "user"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let desk = Desk::new();
    for number in 0..20 {
        desk.enroll(&format!("user{number}"), &[]);
    }
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["show", "user1"],
        &["show", "user1", "--json"],
        &["recovery", "user1", "--json"],
        &["man"],
        &["completions", "bash"],
    ] {
        let mut command = desk.command(arguments);
        // A pipe whose reader is gone before the first byte.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(Stdio::from(writer)).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn show_tells_the_help_desk_what_it_asks() {
    let desk = Desk::new();
    let enrolled = desk.enroll(
        "alice",
        &[
            "--algorithm",
            "sha256",
            "--digits",
            "8",
            "--service",
            "sshd",
        ],
    );
    desk.enroll("alice", &["--device", "key", "--hotp", "--counter", "5"]);
    assert_eq!(
        desk.must(&["show", "alice"]),
        "alice\n\
         \x20 device          phone  totp sha256 8 digits, 30 s, only for sshd\n\
         \x20 device          key  hotp sha1 6 digits, next counter 5\n\
         \x20 recovery codes  10 left\n\
         \x20 last login      never\n\
         \x20 failures since  0\n"
    );
    let code = totp_at(now(), &["--totp=sha256", "-d8"], &enrolled.secret);
    let _ = desk.log_in("alice", &code, &at(now()));
    let _ = desk.log_in("alice", "00000000", &at(now()));
    for code in &enrolled.recovery_codes[..8] {
        let _ = desk.log_in("alice", code, &at(now()));
    }
    let _ = desk.log_in("alice", "00000000", &at(now()));
    let text = desk.must(&["show", "alice"]);
    for expected in [
        "  recovery codes  2 left  (few: otpgate recovery)\n",
        " from local\n",
        "  failures since  1, last 2",
        "  throttle        1 failure counts, ",
        "(otpgate unlock forgets them)\n",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn show_in_json_has_these_keys() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &[]);
    desk.enroll("alice", &["--device", "key", "--hotp"]);
    let code = totp_at(now(), &[], &enrolled.secret);
    let _ = desk.log_in("alice", &code, &at(now()));
    let _ = desk.log_in("alice", &wrong_code(&enrolled.secret), &at(now()));
    let shown = desk.show("alice");
    assert_eq!(
        keys(&shown),
        [
            "codes_sent_this_hour",
            "created",
            "devices",
            "enabled",
            "failures_since_last_success",
            "generation",
            "invite",
            "last_failure",
            "last_success",
            "own_file",
            "recovery_codes_left",
            "throttle",
            "user",
        ]
    );
    for device in shown["devices"].as_array().unwrap() {
        assert_eq!(
            keys(device),
            [
                "address",
                "algorithm",
                "channel",
                "created",
                "digits",
                "enabled",
                "id",
                "kind",
                "next",
                "period",
                "services",
                "skew"
            ]
        );
    }
    assert_eq!(shown["devices"][1]["period"], Value::Null);
    for event in ["last_success", "last_failure"] {
        assert_eq!(keys(&shown[event]), ["at", "source"]);
    }
    assert_eq!(
        keys(&shown["throttle"]),
        [
            "failures",
            "foreign_blocked_until",
            "foreign_failures",
            "known_sources",
            "locked"
        ]
    );
    assert_eq!(
        keys(&shown["throttle"]["known_sources"][0]),
        ["blocked_until", "failures", "last_success", "source"]
    );
    assert!(!shown.to_string().contains(&enrolled.secret), "no secret");
}

#[test]
fn a_disabled_user_is_refused_until_enabled() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &[]);
    let code = totp_at(now(), &[], &enrolled.secret);
    let said = desk.must(&["disable", "alice"]);
    let (what, next) = said.split_once('\n').unwrap();
    assert_eq!(what, "alice is disabled: every code is refused.");
    assert!(next.contains("`loginctl terminate-user alice`"), "{said}");
    assert_eq!(desk.show("alice")["enabled"], false);
    assert!(
        desk.must(&["show", "alice"])
            .starts_with("alice  DISABLED (otpgate enable)\n")
    );
    assert_eq!(desk.verify("alice", &code), "disabled");
    assert_eq!(
        desk.verify("alice", &enrolled.recovery_codes[0]),
        "disabled"
    );
    let said = desk.run_with(&["verify", "alice"], &code).stdout;
    assert_eq!(
        said,
        "Would be refused: the user is disabled; run `otpgate enable alice`.\n"
    );
    assert_eq!(desk.must(&["enable", "alice"]), "alice is enabled.\n");
    assert_eq!(desk.verify("alice", &code), "accepted");
}

#[test]
fn a_disabled_device_leaves_the_others() {
    let desk = Desk::new();
    let phone = desk.enroll("alice", &[]);
    let tablet = desk.enroll("alice", &["--device", "tablet"]);
    let codes = [&phone, &tablet].map(|enrolled| totp_at(now(), &[], &enrolled.secret));
    let printed = desk.must(&["disable", "alice", "--device", "phone"]);
    assert_eq!(printed, "The device phone of alice is disabled.\n");
    let reasons = codes.clone().map(|code| desk.verify("alice", &code));
    assert_eq!(reasons, ["wrong", "accepted"]);
    assert!(
        desk.must(&["show", "alice"])
            .contains("phone  totp sha1 6 digits, 30 s, DISABLED\n")
    );
    desk.must(&["enable", "alice", "--device", "phone"]);
    assert_eq!(
        codes.map(|code| desk.verify("alice", &code)),
        ["accepted", "accepted"]
    );
}

#[test]
fn changes_in_json_say_who_and_what() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    for command in ["disable", "enable", "unlock", "repair", "remove"] {
        let printed = desk.json(&[command, "alice"]);
        assert_eq!(keys(&printed), ["done", "user"], "{command}");
        assert_eq!(printed["user"], "alice");
    }
}

#[test]
fn devices_that_are_meant_are_named() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    desk.enroll("alice", &["--device", "tablet"]);
    for command in ["disable", "enable", "remove", "resync"] {
        let ran = desk.run(&[command, "alice", "--device", "phon"]);
        assert_eq!(ran.status, 2, "{command}");
        assert!(
            ran.error()
                .ends_with("has no device named phon; there are: phone, tablet"),
            "{command}: {ran:?}"
        );
    }
    let ran = desk.run(&["resync", "alice"]);
    assert!(
        ran.error()
            .ends_with("has several devices; add --device with one of: phone, tablet"),
        "{ran:?}"
    );
    for device in ["phone", "tablet"] {
        desk.must(&["remove", "alice", "--device", device]);
    }
    let ran = desk.run(&["resync", "alice"]);
    assert!(
        ran.error()
            .contains("has no device; run `otpgate enroll USER`"),
        "{ran:?}"
    );
}

#[test]
fn the_last_device_leaves_recovery_codes_alone() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &[]);
    let code = totp_at(now(), &[], &enrolled.secret);
    let printed = desk.must(&["remove", "alice", "--device", "phone"]);
    assert_eq!(
        printed,
        "The device phone of alice is removed. It was the last: only recovery codes let alice in, until \
         `otpgate enroll alice`.\n"
    );
    assert_eq!(desk.verify("alice", &code), "wrong");
    assert_eq!(
        desk.verify("alice", &enrolled.recovery_codes[0]),
        "accepted"
    );
    assert!(
        desk.must(&["show", "alice"])
            .contains("  device          none (otpgate enroll)\n")
    );
    assert_eq!(desk.must(&["list"]), "alice                    no device\n");
}

#[test]
fn a_removed_user_leaves_no_file() {
    let desk = Desk::new();
    let old = desk.enroll("alice", &[]);
    let said = desk.must(&["remove", "alice"]);
    let (what, next) = said.split_once('\n').unwrap();
    assert_eq!(what, "alice is no longer enrolled.");
    assert!(next.contains("`usermod --expiredate 1 alice`"), "{said}");
    assert!(!desk.account_file("alice").exists() && !desk.state_file("alice").exists());
    let ran = desk.run_with(&["verify", "alice"], "123456\n");
    assert_eq!(
        ran.error(),
        "alice: is not enrolled; run `otpgate enroll USER`"
    );
    let new = desk.enroll("alice", &[]);
    assert_eq!(new.recovery_codes.len(), 10, "a new user again");
    assert_eq!(
        desk.verify("alice", &totp_at(now(), &[], &old.secret)),
        "wrong"
    );
    assert_eq!(desk.verify("alice", &old.recovery_codes[0]), "wrong");
}

#[test]
fn damaged_users_are_removed_by_force() {
    for damage in ["account text", "no account", "no state", "mode"] {
        let desk = Desk::new();
        desk.enroll("alice", &[]);
        let (account, state) = (desk.account_file("alice"), desk.state_file("alice"));
        match damage {
            "account text" => fs::write(&account, "x").unwrap(),
            "no account" => fs::remove_file(&account).unwrap(),
            "no state" => fs::remove_file(&state).unwrap(),
            _ => fs::set_permissions(&account, fs::Permissions::from_mode(0o666)).unwrap(),
        }
        let ran = desk.run(&["remove", "alice"]);
        assert_eq!(ran.status, 2, "{damage}");
        assert!(ran.error().contains("run `otpgate re"), "{damage}: {ran:?}");
        desk.must(&["remove", "alice", "--force"]);
        assert!(!account.exists() && !state.exists(), "{damage}");
        desk.enroll("alice", &[]);
    }
    let desk = Desk::new();
    let ran = desk.run(&["remove", "bob", "--force"]);
    assert!(ran.error().contains("bob: is not enrolled"), "{ran:?}");
    let ran = desk.run(&["remove", "bob", "--force", "--device", "phone"]);
    assert!(ran.stderr.contains("cannot be used with"), "{ran:?}");
}

#[test]
fn two_devices_overlap_until_the_old_one_is_taken_away() {
    let desk = Desk::new();
    let old = desk.enroll("alice", &[]);
    let said = desk.must(&[
        "enroll",
        "alice",
        "--device",
        "new",
        "--no-confirm",
        "--qr",
        "none",
    ]);
    assert!(
        said.contains("Codes of phone still count too. When alice has logged in with new: `otpgate remove alice --device phone`"),
        "{said}"
    );
    let code = totp_at(now(), &[], &old.secret);
    assert_eq!(desk.verify("alice", &code), "accepted");
    desk.must(&["remove", "alice", "--device", "phone"]);
    assert_eq!(desk.verify("alice", &code), "wrong");
    assert_eq!(desk.show("alice")["devices"][0]["id"], "new");
}
