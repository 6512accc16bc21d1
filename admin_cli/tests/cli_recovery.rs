//! `otpgate recovery`: a new set works, each code once, and the old set no longer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;

use otp_core::policy::{Accepted, Proof, Verdict};
use support::{Desk, at, keys, now};

fn codes(desk: &Desk) -> Vec<String> {
    let printed = desk.json(&["recovery", "alice"]);
    assert_eq!(keys(&printed), ["recovery_codes", "user"]);
    assert_eq!(printed["user"], "alice");
    let codes = printed["recovery_codes"].as_array().unwrap().iter();
    codes
        .map(|code| code.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_new_set_ends_the_old_one() {
    let desk = Desk::new();
    let old = desk.enroll("alice", &[]).recovery_codes;
    let new = codes(&desk);
    assert_eq!(new.len(), 10);
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(desk.verify("alice", old), "wrong");
        assert_eq!(desk.verify("alice", new), "accepted");
    }
    assert_eq!(desk.show("alice")["recovery_codes_left"], 10);
}

#[test]
fn each_code_lets_in_once() {
    let desk = Desk::new();
    let codes = desk.enroll("alice", &[]).recovery_codes;
    for (used, code) in (1..).zip(&codes[..3]) {
        let verdict = desk.log_in("alice", code, &at(now()));
        let expected = Verdict::Accepted(Accepted {
            proof: Proof::Recovery { left: 10 - used },
            code_length: 0,
            recovery_left: Some(10 - used),
        });
        assert_eq!(verdict, expected);
        assert_eq!(desk.verify("alice", code), "replayed");
        assert_eq!(desk.show("alice")["recovery_codes_left"], 10 - used);
    }
}

#[test]
fn used_codes_of_an_old_set_do_not_count_against_the_new_one() {
    let desk = Desk::new();
    let old = desk.enroll("alice", &[]).recovery_codes;
    for code in &old {
        let _ = desk.log_in("alice", code, &at(now()));
    }
    assert_eq!(desk.show("alice")["recovery_codes_left"], 0);
    let new = codes(&desk);
    assert_eq!(desk.show("alice")["recovery_codes_left"], 10);
    assert_eq!(desk.verify("alice", &new[9]), "accepted");
}

#[test]
fn typing_is_forgiven() {
    let desk = Desk::new();
    let code = desk.enroll("alice", &[]).recovery_codes.remove(0);
    for typed in [
        code.to_lowercase(),
        code.replace('-', ""),
        code.replace('-', " "),
        format!("  {code}  "),
        code.replace('0', "O").replace('1', "l"),
    ] {
        assert_eq!(desk.verify("alice", &typed), "accepted", "{typed}");
    }
    assert_eq!(desk.verify("alice", &code[..code.len() - 1]), "wrong");
}

#[test]
fn the_text_says_what_became_of_the_old_ones() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    let printed = desk.must(&["recovery", "alice"]);
    assert!(
        printed.starts_with("The old recovery codes of alice no longer work.\n\nRecovery codes.")
    );
    let listed: Vec<&str> = printed
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    assert_eq!(listed.len(), 10);
    for code in listed {
        assert_eq!(desk.verify("alice", code), "accepted", "{code}");
    }
    let stored = fs::read_to_string(desk.account_file("alice")).unwrap();
    assert!(
        printed
            .lines()
            .all(|line| line.len() < 20 || !stored.contains(line.trim())),
        "in clear"
    );
}

#[test]
fn a_set_that_nobody_could_read_is_said_to_be_new() {
    let desk = Desk::new();
    let old = desk.enroll("alice", &[]).recovery_codes;
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = desk
        .command(&["recovery", "alice"])
        .stdout(full)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        error.contains("the old recovery codes of alice no longer work, and cannot write"),
        "{error}"
    );
    assert!(error.ends_with("; run it again\n"), "{error}");
    assert_eq!(desk.verify("alice", &old[0]), "wrong");
}
