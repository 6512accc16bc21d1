//! `otpgate init` and the users' own files: what is written into the configuration, and what is left alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use otp_core::config::{Config, GoogleAuthenticatorFiles};
use support::Desk;

const KEY: &str = "google_authenticator_files";

#[test]
fn what_an_administrator_decided_stays() {
    let decided = format!("{KEY} = \"fallback\"\n[totp]\nwindow = 2\n");
    let desk = Desk::before_init(&decided);
    let path = desk.path("otpgate.toml");
    let before = fs::read(&path).unwrap();
    assert_eq!(desk.json(&["init"])["switched_off"], false);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn it_is_decided_once_and_what_is_written_is_understood() {
    let desk = Desk::before_init("[totp]\nwindow = 2\n");
    let path = desk.path("otpgate.toml");
    let before = fs::read_to_string(&path).unwrap();
    // Whether this host's homes have such files is not for the test to say.
    let off = desk.json(&["init"])["switched_off"].as_bool().unwrap();
    let after = fs::read_to_string(&path).unwrap();
    let config = Config::load(Some(&path)).unwrap();
    if off {
        assert_eq!(after, format!("{KEY} = \"off\"\n{before}"));
        assert_eq!(
            config.google_authenticator_files,
            GoogleAuthenticatorFiles::Off
        );
    } else {
        assert_eq!(after, before);
    }
    assert_eq!(config.parameters.reach.totp_window, 2);
    // A second time changes nothing, also when the line was taken out again.
    fs::write(&path, &before).unwrap();
    assert_eq!(desk.json(&["init"])["switched_off"], false);
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn a_configuration_in_the_current_directory_is_written_too() {
    let desk = Desk::before_init("");
    let mut init = Command::new(env!("CARGO_BIN_EXE_otpgate"));
    init.args(["--config", "otpgate.toml", "init"])
        .current_dir(desk.path(""));
    let ran = init.output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn a_directory_that_a_package_made_is_no_decision() {
    let decide = |made: bool| {
        let desk = Desk::before_init("");
        if made {
            fs::create_dir(desk.state_dir()).unwrap();
            fs::set_permissions(desk.state_dir(), fs::Permissions::from_mode(0o700)).unwrap();
        }
        desk.json(&["init"])["switched_off"].as_bool().unwrap()
    };
    assert_eq!(decide(true), decide(false));
}
