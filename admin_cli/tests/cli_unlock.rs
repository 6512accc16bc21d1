//! `otpgate unlock`: failures are forgotten, used codes are not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use support::{Desk, at, now, totp_at, wrong_code, wrong_code_at};

#[test]
fn unlock_ends_a_wait() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &[]);
    // So far apart that none of them falls into a wait, which grows to minutes.
    for hours in (0..10).rev() {
        let then = now() - hours * 3600;
        let wrong = wrong_code_at(then, &enrolled.secret);
        let _ = desk.log_in("alice", &wrong, &at(then));
    }
    let code = totp_at(now(), &[], &enrolled.secret);
    assert_eq!(desk.verify("alice", &code), "throttled");
    let said = desk.run_with(&["verify", "alice"], &code).stdout;
    assert!(
        said.starts_with("Would be refused: too many failures lately: codes count again from 2"),
        "{said}"
    );
    assert!(
        said.ends_with("; `otpgate unlock alice` ends the wait.\n"),
        "{said}"
    );
    assert!(desk.must(&["show", "alice"]).contains(" wait until 2"));

    let printed = desk.must(&["unlock", "alice"]);
    assert!(
        printed.ends_with(" failures of alice are forgotten; the next code counts.\n"),
        "{printed}"
    );
    assert_eq!(desk.verify("alice", &code), "accepted");
    assert_eq!(desk.show("alice")["throttle"]["failures"], 0);
}

#[test]
fn unlock_ends_a_lock() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &[]);
    // One guess a day, so that none of them falls into a wait.
    for day in (1..=100).rev() {
        let then = now() - day * 86_400;
        let _ = desk.log_in("alice", &wrong_code_at(then, &enrolled.secret), &at(then));
    }
    let code = totp_at(now(), &[], &enrolled.secret);
    assert_eq!(desk.verify("alice", &code), "locked");
    let said = desk.run_with(&["verify", "alice"], &code).stdout;
    assert_eq!(
        said,
        "Would be refused: too many failures in all; run `otpgate unlock alice`.\n"
    );
    assert_eq!(desk.verify("alice", &enrolled.recovery_codes[0]), "locked");
    assert_eq!(
        desk.show("alice")["throttle"]["locked"],
        "unknown addresses"
    );
    assert!(
        desk.must(&["show", "alice"])
            .contains("; LOCKED for unknown addresses")
    );
    desk.must(&["unlock", "alice"]);
    assert_eq!(desk.verify("alice", &code), "accepted");
    assert_eq!(
        desk.show("alice")["throttle"]["locked"],
        serde_json::Value::Null
    );
}

#[test]
fn unlock_reopens_no_used_code() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &[]);
    let code = totp_at(now(), &[], &enrolled.secret);
    let _ = desk.log_in("alice", &code, &at(now()));
    let _ = desk.log_in("alice", &enrolled.recovery_codes[0], &at(now()));
    desk.must(&["unlock", "alice"]);
    assert_eq!(desk.verify("alice", &code), "replayed");
    assert_eq!(
        desk.verify("alice", &enrolled.recovery_codes[0]),
        "replayed"
    );
}

#[test]
fn one_failure_is_one_and_none_is_said() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &[]);
    assert_eq!(
        desk.must(&["unlock", "alice"]),
        "alice was not locked: no failure was on record.\n"
    );
    let _ = desk.log_in("alice", &wrong_code(&enrolled.secret), &at(now()));
    assert_eq!(
        desk.must(&["unlock", "alice"]),
        "1 failure of alice is forgotten; the next code counts.\n"
    );
    let ran = desk.run(&["unlock", "bob"]);
    assert_eq!(
        (ran.status, ran.error()),
        (2, "bob: is not enrolled; run `otpgate enroll USER`")
    );
}
