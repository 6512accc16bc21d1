//! Errors: one line that says what, where and what to do; nothing secret; the same in JSON.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::Value;
use support::{Desk, feed, tool, totp_at};

/// Every command that needs a user, with that user missing.
const ABOUT_A_USER: [&[&str]; 9] = [
    &["show", "bob"],
    &["verify", "bob"],
    &["recovery", "bob"],
    &["disable", "bob"],
    &["enable", "bob"],
    &["remove", "bob"],
    &["unlock", "bob"],
    &["resync", "bob"],
    &["repair", "bob"],
];

#[test]
fn nobody_of_that_name() {
    let desk = Desk::new();
    for arguments in ABOUT_A_USER {
        let ran = desk.run(arguments);
        assert_eq!(ran.status, 2, "{arguments:?}: {ran:?}");
        assert_eq!(
            ran.error(),
            "bob: is not enrolled; run `otpgate enroll USER`",
            "{arguments:?}"
        );
        assert_eq!(ran.stdout, "");
        let ran = desk.run(&[arguments, &["--json"]].concat());
        let object: Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(
            object["error"],
            "bob: is not enrolled; run `otpgate enroll USER`"
        );
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""));
    }
}

#[test]
fn no_store_yet() {
    let desk = Desk::before_init("");
    let expected = format!(
        "{}: no otpgate store here; run `otpgate init`",
        desk.state_dir().display()
    );
    for arguments in ABOUT_A_USER
        .into_iter()
        .chain([&["list"][..], &["enroll", "bob"]])
    {
        let ran = desk.run(arguments);
        assert_eq!(
            (ran.status, ran.error()),
            (2, expected.as_str()),
            "{arguments:?}"
        );
    }
    assert!(!desk.state_dir().exists(), "only init makes it");
}

#[test]
fn init_may_be_repeated() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &[]);
    let printed = desk.must(&["init"]);
    let ready = format!(
        "{} is ready. Next: `otpgate enroll USER`",
        desk.state_dir().display()
    );
    assert!(printed.starts_with(&ready), "{printed}");
    let code = totp_at(support::now(), &[], &enrolled.secret);
    assert_eq!(desk.verify("alice", &code), "accepted");
    assert_eq!(
        desk.json(&["init"])["state_dir"],
        desk.state_dir().to_str().unwrap()
    );
    let mode = fs::metadata(desk.state_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
}

#[test]
fn a_configuration_that_was_named_has_to_be_there() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_otpgate"));
    for subcommand in ["list", "check", "init"] {
        let ran = feed(command.args(["--config", "/no/such.toml", subcommand]), "");
        assert_eq!(ran.status, 2, "{ran:?}");
        assert_eq!(
            ran.error(),
            "/no/such.toml: cannot be found; correct --config, or leave it out for /etc/otpgate/otpgate.toml"
        );
        command = std::process::Command::new(env!("CARGO_BIN_EXE_otpgate"));
    }
}

#[test]
fn a_wrong_configuration_stops_every_command_with_its_line() {
    let desk = Desk::before_init("[throttle]\nmax_failure = 3\n");
    for arguments in ABOUT_A_USER
        .into_iter()
        .chain([&["list"][..], &["init"], &["enroll", "bob"]])
    {
        let ran = desk.run(arguments);
        assert_eq!(ran.status, 2);
        let error = ran.error();
        assert!(
            error.contains("otpgate.toml:4: unknown key \"max_failure\""),
            "{arguments:?}: {error}"
        );
        assert!(error.contains("the nearest is \"max_failures\""), "{error}");
    }
    assert!(!desk.state_dir().exists());
}

#[test]
fn without_root() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    fs::set_permissions(desk.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = desk.path("otpgate");
    support::copy_command(&program);
    for arguments in [
        &["list"][..],
        &["show", "alice"],
        &["enroll", "bob"],
        &["remove", "alice"],
        &["init"],
    ] {
        let mut command = tool("setpriv", "util-linux");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .arg("--config")
            .arg(desk.path("otpgate.toml"))
            .args(arguments);
        let ran = feed(&mut command, "");
        assert_eq!(ran.status, 2, "{arguments:?}");
        let error = ran.error();
        assert!(
            error.contains("Permission denied") && error.contains("run as root"),
            "{error}"
        );
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["show", "alice"],
        &["show", "alice", "--json"],
        &["man"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = desk.command(arguments).stdout(full).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            error.contains("cannot write to standard output: No space left on device"),
            "{error}"
        );
    }
}

#[test]
fn closed_or_binary_input_is_no_panic() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    for (arguments, status) in [
        (&["verify", "alice"][..], 1),
        (&["resync", "alice"], 1),
        (&["enroll", "bob"], 1),
        (&["enroll", "bob", "--secret-from", "-"], 2),
        (&["code", "--secret-from", "-"], 2),
    ] {
        let mut command = desk.command(arguments);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {output:?}"
        );

        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", "exec \"$@\" <&-", "sh"])
            .arg(env!("CARGO_BIN_EXE_otpgate"));
        shell
            .arg("--config")
            .arg(desk.path("otpgate.toml"))
            .args(arguments);
        let output = shell.output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {output:?}"
        );

        let binary = desk.path("binary");
        fs::write(&binary, b"\xff\xfe\x00\n\x01\n".repeat(2000)).unwrap();
        let mut command = desk.command(arguments);
        let output = command
            .stdin(fs::File::open(&binary).unwrap())
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{arguments:?}: {error}"
        );
        assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    }
}

#[test]
fn verify_explains_answers_that_are_no_codes() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    for (typed, reason) in [
        ("", "empty_answer"),
        ("   ", "empty_answer"),
        ("hello", "wrong"),
        ("12345", "wrong"),
        ("12\u{8}456", "control_bytes"),
        (&"1".repeat(600), "answer_too_long"),
    ] {
        assert_eq!(desk.verify("alice", typed), reason, "{typed:?}");
    }
    let ran = desk.run_with(&["verify", "alice", "--json"], "");
    let object: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        object,
        serde_json::json!({ "user": "alice", "accepted": false, "reason": "no_answer" })
    );
}

#[test]
fn verify_uses_nothing_up() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &[]);
    let before = desk.show("alice");
    let code = totp_at(support::now(), &[], &enrolled.secret);
    for _ in 0..5 {
        assert_eq!(desk.verify("alice", &code), "accepted");
        assert_eq!(
            desk.verify("alice", &enrolled.recovery_codes[0]),
            "accepted"
        );
        assert_eq!(desk.verify("alice", "abcdef"), "wrong");
    }
    assert_eq!(desk.show("alice"), before);
}
