//! Every sample is what it says it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use admin_cli::delivery::smtp;
use admin_cli::host::pamd::{Directive, parse};
use otp_core::config::{Config, Way};
use pam_login::options::{ALL, Options};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn without_comment_marks(text: &str) -> String {
    let start = text.find("# [profile.strong]").unwrap();
    let uncommented: Vec<&str> = text[start..]
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| !line.starts_with("Rules:") && !line.starts_with("Channels:"))
        .collect();
    format!("{}{}", &text[..start], uncommented.join("\n"))
}

#[test]
fn the_configuration_shows_the_defaults() {
    let text = fs::read_to_string(sample("otpgate.toml")).unwrap();
    assert_eq!(
        Config::parse(&text, Path::new("otpgate.toml")).unwrap(),
        Config::default()
    );
    let all = Config::parse(&without_comment_marks(&text), Path::new("otpgate.toml")).unwrap();
    let counts = (all.rules.len(), all.profiles.len(), all.channels.len());
    assert_eq!(counts, (4, 1, 4));
}

#[test]
fn every_channel_is_one() {
    let mut names = Vec::new();
    for entry in fs::read_dir(sample("channels")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let config = Config::parse(&text, &path).unwrap_or_else(|error| panic!("{error}"));
        let mut channels = config.channels.into_values();
        let (channel, none) = (channels.next().unwrap(), channels.next());
        assert!(none.is_none(), "{}: one to copy", path.display());
        if let Way::Smtp(mail) = &channel.way {
            smtp::sender(mail).unwrap();
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let described = fs::read_to_string(sample("README.md")).unwrap();
        assert!(
            described.contains(&format!("channels/{name}.toml")),
            "{name}"
        );
        names.push(name);
    }
    names.sort();
    assert_eq!(
        names,
        [
            "command", "mail", "ntfy", "pushover", "relay", "sms", "webhook"
        ]
    );
}

#[test]
fn the_configuration_of_the_server_shows_the_defaults() {
    let text = fs::read_to_string(sample("otpgate-sshd.toml")).unwrap();
    let parse = |text: &str| {
        ssh_frontend::config::Config::parse(text, Path::new("otpgate-sshd.toml")).unwrap()
    };
    assert_eq!(parse(&text), parse(""));
}

#[test]
fn the_pam_lines_are_understood() {
    let mut ours = 0;
    for name in ["sshd", "sshd-enrol", "sudo", "combined", "otpgate-sshd"] {
        let text = fs::read_to_string(sample("pam.d").join(name)).unwrap();
        for line in parse(&text) {
            if let Directive::Module(module) = line.directive
                && module.name().starts_with("pam_otpgate")
            {
                ours += 1;
                Options::parse(module.options.iter().map(String::as_str)).unwrap();
            }
        }
    }
    assert_eq!(ours, 9);
}

#[test]
fn sshd_takes_its_sample() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.expect("openssh-client is missing").success());
    let output = Command::new("/usr/sbin/sshd")
        .args(["-T", "-f"])
        .arg(sample("sshd_config.d/otpgate.conf"))
        .arg("-h")
        .arg(&key)
        .output()
        .expect("openssh-server is missing");
    let settings = String::from_utf8(output.stdout).unwrap();
    for line in [
        "usepam yes",
        "kbdinteractiveauthentication yes",
        "passwordauthentication no",
        "authenticationmethods publickey,keyboard-interactive keyboard-interactive",
    ] {
        assert!(
            settings.lines().any(|setting| setting == line),
            "{line} is not in\n{settings}"
        );
    }
}

#[test]
fn every_option_of_the_module_is_described() {
    let text = fs::read_to_string(sample("README.md")).unwrap();
    for option in ALL {
        assert!(
            text.contains(&format!("`{option}`")),
            "{option} is not in examples/README.md"
        );
    }
}

#[test]
fn the_answers_for_scripts_are_understood_and_name_every_key() {
    let text = fs::read_to_string(sample("askpass.toml")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let load = |text: &str| {
        let path = directory.path().join("askpass.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        admin_cli::askpass::config::Config::load(&path).map_err(|error| error.to_string())
    };
    load(&text).unwrap();
    let all: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .filter(|line| line.contains(" = ") || line.starts_with("[["))
        .collect();
    load(&all.join("\n")).unwrap();
    for section in ["", "[[login]]\n"] {
        let unknown = load(&format!("{section}unknown = 1\n")).unwrap_err();
        let keys: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
        assert!(keys.len() > 2, "{unknown}");
        for key in keys.into_iter().filter(|key| *key != "login") {
            let there = all
                .iter()
                .any(|line| line.starts_with(&format!("{key} = ")));
            assert!(there, "{key} is not in examples/askpass.toml");
        }
    }
}
