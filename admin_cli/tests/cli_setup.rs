//! `otpgate setup`: what it asks of the store and of the configuration before it touches anything.
//!
//! What it writes is in host_setup.rs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use support::{Desk, Ran};

const STACK: &str = "auth requisite pam_unix.so\naccount required pam_unix.so\n";

/// A host with one service and a module that libpam would load.
fn prepare(desk: &Desk) {
    for name in ["pam.d", "security"] {
        fs::create_dir(desk.path(name)).unwrap();
        fs::set_permissions(desk.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(desk.path("security/pam_otpgate.so"), "").unwrap();
    fs::write(desk.path("pam.d/vault"), STACK).unwrap();
}

fn setup(desk: &Desk, arguments: &[&str]) -> Ran {
    let (pam, module) = (desk.path("pam.d"), desk.path("security"));
    let places = [
        "setup",
        "vault",
        "--pam-dir",
        pam.to_str().unwrap(),
        "--module-dir",
        module.to_str().unwrap(),
    ];
    desk.run(&[&places, arguments].concat())
}

fn stack(desk: &Desk) -> String {
    fs::read_to_string(desk.path("pam.d/vault")).unwrap()
}

fn refused(desk: &Desk, words: &[&str]) {
    for arguments in [&[][..], &["--dry-run"], &["--require"]] {
        let ran = setup(desk, arguments);
        assert_eq!(ran.status, 2, "{ran:?}");
        for words in words {
            assert!(ran.error().contains(words), "{words}: {ran:?}");
        }
        assert_eq!(stack(desk), STACK, "{arguments:?}");
        assert!(!desk.state_dir().join("setup/vault").exists());
    }
}

#[test]
fn a_store_that_logins_cannot_use_is_refused_with_what_helps() {
    let desk = Desk::before_init("");
    prepare(&desk);
    refused(
        &desk,
        &[
            "no otpgate store here",
            "Nothing was changed. First: otpgate init",
        ],
    );
    assert!(!desk.state_dir().exists(), "refusing makes no directory");

    desk.must(&["init"]);
    chown(desk.state_dir(), Some(12345), None).unwrap();
    refused(&desk, &["is owned by uid 12345", "First: chown 0 "]);
    chown(desk.state_dir(), Some(0), None).unwrap();
    fs::remove_file(desk.state_dir().join("decoys/key")).unwrap();
    refused(&desk, &["decoys/key", "First: otpgate init"]);

    desk.must(&["init"]);
    let ran = setup(&desk, &[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    fs::remove_dir_all(desk.state_dir().join("decoys")).unwrap();
    let ran = setup(&desk, &["--undo"]);
    assert_eq!(ran.status, 0, "the way back is always open: {ran:?}");
    assert_eq!(stack(&desk), STACK);
}

#[test]
fn a_module_that_is_not_there_is_refused() {
    let desk = Desk::new();
    prepare(&desk);
    fs::remove_file(desk.path("security/pam_otpgate.so")).unwrap();
    refused(
        &desk,
        &[
            "The module is not there",
            "Type: install -m 644 target/release/libpam_otpgate.so",
        ],
    );
}

#[test]
fn the_lines_name_the_configuration_of_the_command_by_its_absolute_path() {
    let desk = Desk::new();
    prepare(&desk);
    let named = desk.path("otpgate.toml");
    for arguments in [&[][..], &["--config", "./otpgate.toml"]] {
        let (pam, module) = (desk.path("pam.d"), desk.path("security"));
        let mut command = desk.command(&["setup", "vault", "--pam-dir"]);
        command.arg(pam).arg("--module-dir").arg(module);
        if !arguments.is_empty() {
            command = std::process::Command::new(env!("CARGO_BIN_EXE_otpgate"));
            command.args(arguments).args([
                "setup",
                "vault",
                "--pam-dir",
                "pam.d",
                "--module-dir",
                "security",
            ]);
        }
        let ran = support::feed(command.current_dir(desk.root.path()), "");
        assert_eq!(ran.status, 0, "{ran:?}");
        for line in [
            format!(
                "auth required pam_otpgate.so nullok config={}",
                named.display()
            ),
            format!("account required pam_otpgate.so config={}", named.display()),
        ] {
            assert!(
                stack(&desk).lines().any(|found| found == line),
                "{line}: {}",
                stack(&desk)
            );
        }
        fs::write(desk.path("pam.d/vault"), STACK).unwrap();
    }
}
