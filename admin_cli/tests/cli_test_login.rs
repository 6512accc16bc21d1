//! `otpgate test-login`: the stack is walked, and how it ends is explained.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;

use serde_json::Value;
use support::{Desk, Ran, keys};

fn test_login(desk: &Desk, stack: &str, arguments: &[&str], input: &str) -> Ran {
    let directory = desk.path("pam.d");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("vault"), stack).unwrap();
    let fixed = [
        "test-login",
        "vault",
        "root",
        "--pam-dir",
        directory.to_str().unwrap(),
    ];
    desk.run_with(&[&fixed, arguments].concat(), input)
}

const OPEN: &str = "auth required pam_permit.so\naccount required pam_permit.so\n";
const PASSWORD: &str = "auth required pam_unix.so nodelay\naccount required pam_permit.so\n";

#[test]
fn each_end_has_its_explanation() {
    let desk = Desk::new();
    for (stack, input, status, expected) in [
        (OPEN, "", 0, "Accepted: root would be let in by vault. "),
        (
            "auth required pam_deny.so\naccount required pam_permit.so\n",
            "",
            1,
            "Refused by the auth part of vault: pam_authenticate: Authentication failure (PAM_AUTH_ERR).",
        ),
        (
            "auth required pam_permit.so\naccount required pam_deny.so\n",
            "",
            1,
            "Refused by the account part of vault: ",
        ),
        (
            "auth required pam_no_such_module.so\naccount required pam_permit.so\n",
            "",
            1,
            "A module named in the stack cannot be loaded. `otpgate check` says which.",
        ),
        (
            PASSWORD,
            "",
            1,
            "There was no answer to a question, so nothing was tested.",
        ),
        (
            PASSWORD,
            "certainly wrong\n",
            1,
            "The password or the code was wrong, or the code did not count.",
        ),
    ] {
        let ran = test_login(&desk, stack, &[], input);
        assert_eq!(ran.status, status, "{stack}: {ran:?}");
        assert!(ran.stdout.contains(expected), "{stack}: {ran:?}");
        assert!(
            ran.stderr.starts_with(
                "This is what vault asks root. Codes that are accepted here are used up.\n"
            ),
            "{ran:?}"
        );
    }
}

#[test]
fn what_is_typed_appears_nowhere() {
    let desk = Desk::new();
    for arguments in [&[][..], &["--json"]] {
        let ran = test_login(&desk, PASSWORD, arguments, "Sup3rSecret\n");
        assert!(
            !ran.stdout.contains("Sup3r") && !ran.stderr.contains("Sup3r"),
            "{ran:?}"
        );
    }
}

#[test]
fn the_json_has_these_keys() {
    let desk = Desk::new();
    let ran = test_login(&desk, OPEN, &["--json", "--from", "192.0.2.7"], "");
    let object: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        keys(&object),
        ["accepted", "account", "auth", "service", "user"]
    );
    assert_eq!(object["accepted"], true);
    assert_eq!(
        (&object["auth"], &object["account"]),
        (&"PAM_SUCCESS".into(), &"PAM_SUCCESS".into())
    );
    let ran = test_login(&desk, "auth required pam_deny.so\n", &["--json"], "");
    let object: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&object["auth"], &object["account"]),
        (&"PAM_AUTH_ERR".into(), &Value::Null)
    );
}
