//! `otpgate check`: what it finds in the store and the configuration, with a status for scripts.
//!
//! What it finds in pam.d and sshd is in the host_*.rs tests. The clock is this machine's, so what it
//! says of that is passed over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;

use serde_json::Value;
use support::{Desk, Ran, feed, keys};

const OURS: [&str; 4] = ["configuration", "store", "user-files", "file-system"];

/// A host whose PAM asks nobody for a code, and that has no sshd.
fn places(desk: &Desk) -> Vec<String> {
    for name in ["pam.d", "security"] {
        fs::create_dir_all(desk.path(name)).unwrap();
    }
    let mut places = Vec::new();
    for (flag, name) in [
        ("--pam-dir", "pam.d"),
        ("--module-dir", "security"),
        ("--sshd-config", "no_sshd_config"),
        ("--sshd", "no_sshd"),
    ] {
        places.extend([
            flag.to_owned(),
            desk.path(name).to_str().unwrap().to_owned(),
        ]);
    }
    places
}

fn check(desk: &Desk, arguments: &[&str]) -> Ran {
    let places = places(desk);
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    desk.run(&[&["check"], &places[..], arguments].concat())
}

/// All findings, with the exit status held against them.
fn findings(desk: &Desk) -> Vec<Value> {
    let ran = check(desk, &["--json"]);
    let findings: Vec<Value> =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let has = |severity: &str| {
        findings
            .iter()
            .any(|finding| finding["severity"] == severity)
    };
    let expected = match (has("error"), has("warning")) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    };
    assert_eq!(ran.status, expected, "{ran:?}");
    findings
}

/// Those about the store and the configuration. Where the temporary directory is, is not judged.
fn ours(desk: &Desk) -> Vec<Value> {
    let mut findings = findings(desk);
    findings.retain(|finding| OURS.contains(&finding["code"].as_str().unwrap()));
    findings.retain(|finding| finding["code"] != "file-system");
    findings
}

/// The only finding, as code, place, meaning and cure.
fn only(desk: &Desk) -> [String; 4] {
    let found = ours(desk);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["severity"], "error");
    ["code", "place", "meaning", "cure"].map(|key| found[0][key].as_str().unwrap().to_owned())
}

#[test]
fn a_sound_store_has_no_finding() {
    let desk = Desk::new();
    assert_eq!(ours(&desk), [Value::Null; 0]);
    for user in ["alice", "jürg", "a/b"] {
        desk.enroll(user, &[]);
    }
    desk.must(&["disable", "alice"]);
    assert_eq!(ours(&desk), [Value::Null; 0]);
}

#[test]
fn a_finding_in_json_has_five_keys() {
    let desk = Desk::new();
    let findings = findings(&desk);
    // No service uses the module: that much is certain here.
    assert!(
        findings
            .iter()
            .any(|finding| finding["code"] == "pam-unused"),
        "{findings:?}"
    );
    for finding in findings {
        assert_eq!(
            keys(&finding),
            ["code", "cure", "meaning", "place", "severity"]
        );
        assert!(["error", "warning"].contains(&finding["severity"].as_str().unwrap()));
        for key in ["code", "cure", "meaning", "place"] {
            assert_ne!(finding[key], "", "{finding}");
        }
    }
}

#[test]
fn a_service_in_order_is_status_0_but_for_the_clock_and_the_disk() {
    let desk = Desk::new();
    let places = places(&desk);
    fs::write(desk.path("security/pam_otpgate.so"), "").unwrap();
    fs::write(desk.path("security/pam_unix.so"), "").unwrap();
    fs::write(
        desk.path("pam.d/vault"),
        "auth requisite pam_unix.so\nauth required pam_otpgate.so\naccount required pam_unix.so\n",
    )
    .unwrap();
    for name in [
        "pam.d",
        "security",
        "pam.d/vault",
        "security/pam_otpgate.so",
    ] {
        fs::set_permissions(desk.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let findings = findings(&desk);
    let others: Vec<&Value> = findings
        .iter()
        .filter(|finding| {
            let code = finding["code"].as_str().unwrap();
            !code.starts_with("clock") && code != "file-system"
        })
        .collect();
    assert!(others.is_empty(), "{others:?} in {places:?}");
}

#[test]
fn the_text_says_where_what_and_what_to_type() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    fs::remove_file(desk.state_file("alice")).unwrap();
    let ran = check(&desk, &[]);
    assert_eq!(ran.status, 2, "{ran:?}");
    let place = desk.state_file("alice");
    let expected = format!(
        "ERROR {} [user-files]\n    is missing, though the account is there. alice is refused.\n    \
         -> type: otpgate repair alice\n",
        place.display()
    );
    assert!(ran.stdout.starts_with(&expected), "{ran:?}");
}

#[test]
fn a_store_that_is_not_there_or_open_to_others() {
    let desk = Desk::before_init("");
    let state_dir = desk.state_dir().display().to_string();
    let [code, place, meaning, cure] = only(&desk);
    assert_eq!(
        (code.as_str(), place.as_str()),
        ("store", state_dir.as_str())
    );
    assert_eq!(meaning, "no otpgate store here. Every login is refused.");
    assert_eq!(cure, "otpgate init");

    desk.must(&["init"]);
    for name in ["", "accounts", "state", "decoys"] {
        let directory = desk.state_dir().join(name);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let [code, _, meaning, cure] = only(&desk);
        assert_eq!(code, "store");
        assert!(
            meaning.starts_with("has mode 0755, which gives away access"),
            "{meaning}"
        );
        let cure = cure.strip_prefix("chmod 0700 ").unwrap();
        fs::set_permissions(cure, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(ours(&desk), [Value::Null; 0], "{name}: the cure works");
    }
    chown(desk.state_dir(), Some(12345), None).expect("this test is run as root");
    let [_, _, meaning, cure] = only(&desk);
    assert!(
        meaning.starts_with("is owned by uid 12345 instead of uid 0"),
        "{meaning}"
    );
    assert_eq!(cure, format!("chown 0 {state_dir}"));
}

#[test]
fn damaged_users_come_with_the_command_that_helps() {
    let write = |text: &'static str| move |file: &std::path::Path| fs::write(file, text).unwrap();
    let remove = |file: &std::path::Path| fs::remove_file(file).unwrap();
    let open = |file: &std::path::Path| {
        fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
    };
    let grow = |file: &std::path::Path| fs::write(file, vec![1; 70_000]).unwrap();
    type Damage<'a> = &'a dyn Fn(&std::path::Path);
    let repair = "otpgate repair 'o'\\''neill'";
    let restore = "restore the file from a backup, or: otpgate remove 'o'\\''neill' --force && otpgate enroll \
                   'o'\\''neill'";
    let cases: [(&str, &str, Damage<'_>, &str); 8] = [
        ("state gone", "state", &remove, repair),
        ("state damaged", "state", &write("x"), repair),
        ("state overgrown", "state", &grow, repair),
        ("state open", "state", &open, repair),
        ("account open", "account", &open, repair),
        ("account damaged", "account", &write("x"), restore),
        ("account overgrown", "account", &grow, restore),
        ("account gone", "account", &remove, restore),
    ];
    for (name, which, damage, expected) in cases {
        let desk = Desk::new();
        desk.enroll("alice", &[]);
        desk.enroll("o'neill", &[]);
        let file = match which {
            "state" => desk.state_file("o%27neill"),
            _ => desk.account_file("o%27neill"),
        };
        damage(&file);
        let [code, place, meaning, cure] = only(&desk);
        assert_eq!(
            (code.as_str(), place),
            ("user-files", file.display().to_string()),
            "{name}"
        );
        assert!(
            meaning.ends_with(". o'neill is refused."),
            "{name}: {meaning}"
        );
        assert_eq!(cure, expected, "{name}");
        if cure == repair {
            let mut shell = Command::new("sh");
            let otpgate = format!(
                "otpgate() {{ '{}' --config '{}' \"$@\"; }}; {cure}",
                env!("CARGO_BIN_EXE_otpgate"),
                desk.path("otpgate.toml").display()
            );
            let ran = feed(shell.args(["-c", &otpgate]), "");
            assert_eq!(ran.status, 0, "{name}: {ran:?}");
            assert_eq!(ours(&desk), [Value::Null; 0], "{name}: the cure works");
        }
    }
}

#[test]
fn many_damaged_users_are_counted() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    let account = fs::read_to_string(desk.account_file("alice")).unwrap();
    for number in 0..60 {
        let file = desk.account_file(&format!("user{number}"));
        fs::write(&file, &account).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let found = ours(&desk);
    assert_eq!(found.len(), 51);
    let rest = found
        .iter()
        .find(|finding| finding["cure"] == "otpgate list | grep DAMAGED");
    assert_eq!(
        rest.unwrap()["meaning"],
        "10 more users have damaged files."
    );
}

#[test]
fn missing_decoys_are_the_stores_affair_and_nobodys_account() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    let decoys = desk.state_dir().join("decoys");
    for file in fs::read_dir(&decoys).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let [code, place, meaning, cure] = only(&desk);
    assert_eq!(
        (code.as_str(), cure.as_str()),
        ("store", "otpgate init"),
        "{meaning}"
    );
    assert_eq!(place, decoys.join("key").display().to_string());
    desk.must(&["init"]);
    assert_eq!(ours(&desk), [Value::Null; 0], "the cure works");
}

#[test]
fn one_damaged_decoy_is_found_among_all_of_them() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    let decoys = desk.state_dir().join("decoys");
    for (name, text) in [
        ("05", None),
        ("31.toml", None),
        ("17", Some("x")),
        ("key", Some("x")),
    ] {
        let file = decoys.join(name);
        match text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let [code, place, meaning, cure] = only(&desk);
        assert_eq!(
            (code.as_str(), cure.as_str()),
            ("store", "otpgate init"),
            "{meaning}"
        );
        assert!(place.contains("/decoys/"), "{name}: {place}");
        desk.must(&["init"]);
        assert_eq!(ours(&desk), [Value::Null; 0], "{name}: the cure works");
    }
}

#[test]
fn a_wrong_configuration_is_an_error_with_its_line() {
    let desk = Desk::before_init("[totp]\nwindw = 1\n");
    let [code, place, meaning, _] = only(&desk);
    assert_eq!(code, "configuration");
    assert_eq!(place, format!("{}:4", desk.path("otpgate.toml").display()));
    assert!(
        meaning.starts_with("unknown key \"windw\"; the nearest is \"window\""),
        "{meaning}"
    );
    assert!(meaning.ends_with(". Every login is refused."), "{meaning}");
}

#[test]
fn a_configuration_that_others_may_write_is_an_error() {
    let desk = Desk::new();
    let file = desk.path("otpgate.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let [code, place, meaning, cure] = only(&desk);
    assert_eq!(
        (code.as_str(), place),
        ("configuration", file.display().to_string())
    );
    assert!(meaning.starts_with("has mode 0666"), "{meaning}");
    assert_eq!(cure, format!("chmod 0644 {}", file.display()));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(ours(&desk), [Value::Null; 0], "the cure works");
}

/// A service whose lines name a configuration of their own, and the finding with this code.
fn vault(desk: &Desk, config: &str, account: &str, code: &str) -> Option<Value> {
    places(desk);
    fs::write(
        desk.path("pam.d/vault"),
        format!(
            "auth requisite pam_unix.so\nauth required pam_otpgate.so config={config}\n{account}account required pam_unix.so\n"
        ),
    )
    .unwrap();
    findings(desk)
        .into_iter()
        .find(|finding| finding["code"] == code)
}

#[test]
fn a_configuration_that_a_line_names_has_to_be_taken() {
    let desk = Desk::new();
    let other = desk.path("other.toml");
    let named = other.to_str().unwrap().to_owned();
    let place = format!("{}:2", desk.path("pam.d/vault").display());
    let write = |text: &str, mode| {
        fs::write(&other, text).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(mode)).unwrap();
    };
    let judged = || vault(&desk, &named, "", "pam-config");
    let expect = |meaning: &str, cure: &str| {
        let finding = judged().unwrap();
        assert_eq!(finding["severity"], "error");
        assert_eq!(finding["place"], place.as_str());
        let said = finding["meaning"].as_str().unwrap();
        assert!(said.contains(meaning) && said.contains(&named), "{said}");
        assert!(
            finding["cure"].as_str().unwrap().starts_with(cure),
            "{finding}"
        );
    };
    expect("is not there, though it was named", "sudoedit +2 ");
    write("[totp]\nwindw = 1\n", 0o644);
    expect("unknown key \"windw\"", "correct the line");
    write("", 0o666);
    expect("has mode 0666", "chmod 0644 ");
    write("", 0o644);
    assert_eq!(judged(), None);
}

#[test]
fn deny_rules_of_the_configuration_that_a_line_names_need_an_account_line() {
    let desk = Desk::new();
    let other = desk.path("other.toml");
    let named = other.to_str().unwrap().to_owned();
    fs::write(&other, "[[rule]]\nusers = [\"bob\"]\nthen = \"deny\"\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
    let code = "pam-deny-not-enforced";
    assert!(vault(&desk, &named, "", code).is_some());
    let account = format!("account required pam_otpgate.so config={named}\n");
    assert_eq!(vault(&desk, &named, &account, code), None);

    // And those of the command's own configuration do not count for a line that names another.
    let denies = Desk::with_settings("[[rule]]\nusers = [\"bob\"]\nthen = \"deny\"\n");
    fs::write(&other, "").unwrap();
    assert_eq!(vault(&denies, &named, "", code), None);
}

#[test]
fn without_root_it_says_that_it_could_not_look() {
    let desk = Desk::new();
    fs::set_permissions(desk.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let places = places(&desk);
    let program = desk.path("otpgate");
    support::copy_command(&program);
    let mut command = support::tool("setpriv", "util-linux");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program)
        .args(["check", "--json", "--config"])
        .arg(desk.path("otpgate.toml"))
        .args(places);
    let ran = feed(&mut command, "");
    assert_eq!(ran.status, 2, "{ran:?}");
    let findings: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let store = findings
        .iter()
        .find(|finding| finding["code"] == "store")
        .unwrap();
    assert!(
        store["meaning"]
            .as_str()
            .unwrap()
            .ends_with("so it was not checked."),
        "{store}"
    );
    assert_eq!(store["cure"], "run `otpgate check` as root");
}
