//! `otpgate invite`, and what the other commands make of people who are invited.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;

use serde_json::Value;
use support::{Desk, RFC_SECRET};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn invite(desk: &Desk, arguments: &[&str]) -> Value {
    json(&desk.must(&[&["invite", "alice", "--json"], arguments].concat()))
}

#[test]
fn an_invite_is_printed_once_and_stored_as_a_hash() {
    let desk = Desk::new();
    let invited = invite(&desk, &["--expires", "2h"]);
    let ticket = invited["invite"].as_str().unwrap();
    assert_eq!(
        (ticket.len(), &invited["user"]),
        (29, &Value::from("alice"))
    );
    let account = fs::read_to_string(desk.account_file("alice")).unwrap();
    assert!(
        account.contains("[invite]") && !account.contains(ticket),
        "{account}"
    );

    let shown = json(&desk.must(&["show", "alice", "--json"]));
    assert_eq!(shown["invite"]["admissions_left"], 3);
    assert_eq!(shown["invite"]["expires"], invited["expires"]);
    assert_eq!(
        (&shown["recovery_codes_left"], &shown["devices"]),
        (&Value::from(0), &Value::from(Vec::<Value>::new()))
    );
    for command in [vec!["show", "alice"], vec!["list"]] {
        assert!(
            desk.must(&command).contains("invited until "),
            "{command:?}"
        );
    }
    let listed = json(&desk.must(&["list", "--json"]));
    assert_eq!(listed["invited_until"], invited["expires"]);
    let checked = desk.run_with(&["verify", "alice"], &format!("{ticket}\n"));
    assert!(
        checked.status == 0 && checked.stdout.contains("let in to enrol"),
        "{checked:?}"
    );
    let text = desk.must(&["invite", "alice"]);
    assert!(
        text.contains("The invite before it no longer works."),
        "{text}"
    );
    let checked = desk.run_with(&["verify", "alice"], &format!("{ticket}\n"));
    assert_eq!(checked.status, 1, "{checked:?}");
}

#[test]
fn who_is_enrolled_is_not_invited_and_reads_what_to_do_instead() {
    let desk = Desk::new();
    let secret = desk.secret_file(RFC_SECRET);
    desk.must(&["enroll", "alice", "--no-confirm", "--secret-from", &secret]);
    let before = fs::read(desk.account_file("alice")).unwrap();
    let refused = desk.run(&["invite", "alice"]);
    assert_eq!(refused.status, 2);
    for part in [
        "is enrolled (phone)",
        "otpgate enroll alice --device ID",
        "otpgate remove alice",
    ] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    assert_eq!(fs::read(desk.account_file("alice")).unwrap(), before);
    desk.must(&["remove", "alice", "--device", "phone"]);
    let text = desk.must(&["invite", "alice"]);
    assert!(
        text.contains("The old recovery codes no longer work."),
        "{text}"
    );
    desk.must(&["disable", "alice"]);
    let refused = desk.run(&["invite", "alice"]);
    assert!(
        refused.status == 2 && refused.stderr.contains("otpgate enable alice"),
        "{refused:?}"
    );
}

#[test]
fn an_enrolment_by_command_takes_the_place_of_the_invite() {
    let desk = Desk::new();
    let ticket = invite(&desk, &[])["invite"].as_str().unwrap().to_owned();
    let refused = desk.run(&["recovery", "alice"]);
    assert!(
        refused.status == 2 && refused.stderr.contains("is invited"),
        "{refused:?}"
    );
    let secret = desk.secret_file(RFC_SECRET);
    let enrolled = json(&desk.must(&[
        "enroll",
        "alice",
        "--no-confirm",
        "--json",
        "--secret-from",
        &secret,
    ]));
    assert_eq!(enrolled["recovery_codes"].as_array().unwrap().len(), 10);
    let shown = json(&desk.must(&["show", "alice", "--json"]));
    assert_eq!(
        (&shown["invite"], &shown["recovery_codes_left"]),
        (&Value::Null, &Value::from(10))
    );
    let checked = desk.run_with(&["verify", "alice"], &format!("{ticket}\n"));
    assert_eq!(checked.status, 1, "{checked:?}");
}

#[test]
fn an_invite_that_is_over_is_shown_and_found() {
    let desk = Desk::new();
    invite(&desk, &["--expires", "1s"]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(desk.must(&["list"]).contains("invited, EXPIRED "));
    let found = desk.run(&["check", "--json"]);
    assert!(found.stdout.contains("invite-over"), "{found:?}");
    desk.must(&["remove", "alice"]);
    assert!(
        !desk
            .run(&["check", "--json"])
            .stdout
            .contains("invite-over")
    );
}

#[test]
fn check_warns_of_open_rules_without_bounds() {
    let rule = |rest: &str| format!("[[rule]]\nthen = \"require\"\nenrol = \"open\"\n{rest}");
    let bounded = "from = [\"192.0.2.0/24\"]\nenrol_until = \"2099-12-31\"\n";
    for (settings, expected) in [
        (rule(""), true),
        (rule("from = [\"192.0.2.0/24\"]\n"), true),
        (rule("enrol_until = \"2099-12-31\"\n"), true),
        (rule(bounded), false),
    ] {
        let desk = Desk::with_settings(&settings);
        let found = desk.run(&["check", "--json"]);
        assert_eq!(
            found.stdout.contains("rule-enrol-open"),
            expected,
            "{settings}: {found:?}"
        );
    }
}

#[test]
fn lifetimes_and_names_that_make_no_sense_are_refused() {
    let desk = Desk::new();
    for expires in ["0s", "31d", "soon", "-1h", ""] {
        let refused = desk.run(&["invite", "alice", "--expires", expires]);
        assert_eq!(refused.status, 2, "{expires:?}: {refused:?}");
    }
    desk.must(&["invite", "alice", "--expires", "30d"]);
    let refused = desk.run(&["invite", ""]);
    assert!(
        refused.status == 2 && refused.stderr.contains("USER is empty"),
        "{refused:?}"
    );
}

#[test]
fn a_repair_that_lost_the_state_uses_the_invite_up() {
    let desk = Desk::new();
    invite(&desk, &[]);
    fs::write(desk.state_file("alice"), "damage").unwrap();
    let repaired = desk.must(&["repair", "alice"]);
    assert!(repaired.contains("otpgate invite alice"), "{repaired}");
    let shown = json(&desk.must(&["show", "alice", "--json"]));
    assert_eq!(shown["invite"]["admissions_left"], 0);
}
