//! The manual pages in `packaging/man` name every option and every key, with its default. The samples hold
//! the defaults of the code, which tests of their own compare; the pages are compared with the samples.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pam_login::options::ALL;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The heads of a page's lists that are marked so, as people read them.
fn heads(page: &str, mark: &str) -> BTreeSet<String> {
    let start = format!(".It {mark} ");
    read(page)
        .lines()
        .filter_map(|line| line.strip_prefix(&start))
        .map(|head| head.replace(" Ns Ar ", "").replace("\\(dq", "\""))
        .collect()
}

/// `key = value` of a sample, commented out or not.
fn settings(sample: &str) -> BTreeSet<String> {
    let is_key = |key: &str| {
        let letter = |c: char| c.is_ascii_lowercase() || c == '_';
        !key.is_empty() && key.chars().all(letter)
    };
    read(sample)
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .filter_map(|line| line.split_once(" = "))
        .filter(|(key, _)| is_key(key))
        .map(|(key, value)| {
            let value = value.split(" #").next().unwrap_or_default();
            format!("{key} = {}", value.trim())
        })
        .collect()
}

fn keys(settings: &BTreeSet<String>) -> BTreeSet<&str> {
    let key = |setting: &'_ String| setting.find(" = ").unwrap_or(setting.len());
    settings
        .iter()
        .map(|setting| &setting[..key(setting)])
        .collect()
}

#[test]
fn pam_otpgate_has_every_option_and_no_other() {
    let described = heads("../packaging/man/pam_otpgate.8", "Cm");
    let known: BTreeSet<String> = ALL.iter().map(ToString::to_string).collect();
    assert_eq!(described, known);
}

#[test]
fn otpgate_toml_has_every_key_with_its_default() {
    let described = heads("../packaging/man/otpgate.toml.5", "Li");
    let sample = settings("otpgate.toml");
    assert_eq!(
        keys(&described),
        &keys(&sample) | &BTreeSet::from(["services"])
    );
    // Rules and channels have no defaults, and several of them are in the sample.
    let of_rules = [
        "users",
        "groups",
        "services",
        "from",
        "then",
        "enrol",
        "enrol_until",
    ];
    let of_channels = [
        "kind",
        "server",
        "security",
        "subject",
        "body",
        "user",
        "password_file",
        "ca_file",
        "on_demand",
        "url",
        "method",
        "headers",
        "form",
        "json",
        "token_file",
        "success",
        "argv",
    ];
    let with_default = |setting: &&String| {
        let key = setting.split(" = ").next().unwrap_or_default();
        !of_rules.contains(&key) && !of_channels.contains(&key)
    };
    let missing: Vec<&String> = sample.difference(&described).filter(with_default).collect();
    assert!(missing.is_empty(), "not in otpgate.toml(5): {missing:?}");
}

#[test]
fn otpgate_sshd_toml_has_every_key_with_its_default() {
    let described = heads("../packaging/man/otpgate-sshd.toml.5", "Li");
    let mut sample = settings("otpgate-sshd.toml");
    // A second way, shown for those who want keys as well.
    sample.remove("authentication_methods = [\"publickey,keyboard-interactive\"]");
    assert_eq!(described, sample);
}

#[test]
fn otpgate_askpass_toml_has_every_key_with_its_default() {
    let described = heads("../packaging/man/otpgate-askpass.toml.5", "Li");
    let sample = settings("askpass.toml");
    let missing: Vec<&String> = described.difference(&sample).collect();
    assert!(missing.is_empty(), "not in askpass.toml: {missing:?}");
    assert_eq!(keys(&described), keys(&sample));
}
