//! The migration guide shows the lines that the import prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;
use std::path::Path;

use admin_cli::host::pamd::{Directive, parse};
use pam_login::options::Options;
use serde_json::Value;
use support::Desk;

fn guide() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/MIGRATION.md");
    fs::read_to_string(path).unwrap()
}

/// What the import would have in the place of this line.
fn advice(line: &str) -> String {
    let desk = Desk::new();
    fs::create_dir(desk.path("pam.d")).unwrap();
    fs::write(desk.path("pam.d/sshd"), format!("{line}\n")).unwrap();
    fs::write(desk.path("empty"), "").unwrap();
    let (pam, empty) = (desk.path("pam.d"), desk.path("empty"));
    let (pam, empty) = (pam.to_str().unwrap(), empty.to_str().unwrap());
    let source = if line.contains("pam_oath.so") {
        [
            "import",
            "oath",
            empty,
            "--dry-run",
            "--pam-dir",
            pam,
            "--json",
        ]
        .to_vec()
    } else {
        let from = ["import", "google", "--all", "--from", "/no/such/${USER}"];
        [&from[..], &["--dry-run", "--pam-dir", pam, "--json"]].concat()
    };
    let printed = desk.must(&source);
    let last: Value = serde_json::from_str(printed.lines().next_back().unwrap()).unwrap();
    last["pam_lines"][0]["after"].as_str().unwrap().to_owned()
}

#[test]
fn each_line_before_becomes_the_line_after() {
    let guide = guide();
    let lines = |start: &str| -> Vec<String> {
        let found = guide.lines().filter_map(|line| line.strip_prefix(start));
        found.map(|line| line.trim().to_owned()).collect()
    };
    let (before, after) = (lines("    before "), lines("    after "));
    assert_eq!((before.len(), after.len()), (3, 3));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(advice(before), *after, "instead of {before}");
    }
}

#[test]
fn the_module_takes_every_line_of_the_guide() {
    let mut ours = 0;
    for line in guide().lines() {
        let line = line.strip_prefix("    after ").unwrap_or(line).trim();
        for line in parse(line) {
            if let Directive::Module(module) = line.directive
                && module.name() == "pam_otpgate.so"
            {
                ours += 1;
                Options::parse(module.options.iter().map(String::as_str)).unwrap();
            }
        }
    }
    assert_eq!(ours, 4);
}
