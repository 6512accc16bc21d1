//! `otpgate seal`: what is stolen tells nothing, what is missing is refused, and there is a way back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use serde_json::Value;
use support::{Desk, RFC_SECRET, Ran, hotp, keys, mode};

/// A desk with alice and bob, and where the key of its seal is.
fn desk() -> (Desk, PathBuf) {
    let desk = Desk::new();
    let secret = desk.secret_file(RFC_SECRET);
    desk.enroll("alice", &["--hotp", "--secret-from", &secret]);
    desk.enroll("bob", &["--hotp", "--secret-from", &secret]);
    let key = desk.path("seal.key");
    (desk, key)
}

fn sealed() -> (Desk, PathBuf) {
    let (desk, key) = desk();
    desk.must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
    (desk, key)
}

fn status(desk: &Desk) -> (i32, Value) {
    let ran = desk.run(&["--json", "seal", "status"]);
    let json = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    (ran.status, json)
}

fn account(desk: &Desk, user: &str) -> String {
    fs::read_to_string(desk.account_file(user)).unwrap()
}

fn key_lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Whether a secret stands in any file of the state directory, in any form that somebody would look for.
fn gives_away(desk: &Desk, base32: &str) -> Option<PathBuf> {
    let raw = BASE32_NOPAD.decode(base32.as_bytes()).unwrap();
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    let forms: [Vec<u8>; 6] = [
        raw,
        base32.into(),
        base32.to_lowercase().into(),
        hex.to_uppercase().into(),
        hex.into(),
        // As six letters of it would do for a guess at the rest.
        base32[4..16].into(),
    ];
    files_below(&desk.state_dir()).into_iter().find(|path| {
        let bytes = fs::read(path).unwrap();
        let has = |form: &Vec<u8>| bytes.windows(form.len()).any(|window| window == &form[..]);
        forms.iter().any(has)
    })
}

#[test]
fn a_stolen_state_directory_gives_no_secret_away() {
    let (desk, key) = desk();
    let random = desk.enroll("carol", &["--totp"]).secret;
    assert!(gives_away(&desk, RFC_SECRET).is_some(), "the search works");
    assert!(gives_away(&desk, &random).is_some(), "the search works");
    let key_file = key.to_str().unwrap();
    let done = desk.json(&["seal", "init", "--key-file", key_file]);
    assert_eq!(done["changed"], 3);
    let later = desk.enroll("dave", &["--totp", "--device", "later"]).secret;
    for secret in [RFC_SECRET, &random, &later] {
        assert_eq!(gives_away(&desk, secret), None);
    }
    for line in key_lines(&key) {
        for file in files_below(&desk.state_dir()) {
            let bytes = fs::read(&file).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(&line), "the key in {}", file.display());
        }
    }
    assert_eq!(mode(&key), 0o600);
}

#[test]
fn everything_goes_on_working_sealed() {
    let (desk, _) = sealed();
    assert_eq!(desk.verify("alice", &hotp(0, RFC_SECRET)), "accepted");
    assert_eq!(desk.verify("alice", "000000"), "wrong");
    let exported = desk.json(&["export", "alice"]);
    assert!(exported["uris"][0].as_str().unwrap().contains(RFC_SECRET));
    assert_eq!(desk.show("alice")["devices"][0]["id"], "phone");
    let generation = desk.show("bob")["generation"].clone();
    // Each of them writes the account anew.
    let secret = desk.secret_file(RFC_SECRET);
    desk.enroll("bob", &["--device", "tablet", "--secret-from", &secret]);
    desk.must(&["recovery", "bob"]);
    desk.must(&["disable", "bob", "--device", "tablet"]);
    desk.must(&["remove", "bob", "--device", "tablet"]);
    assert_ne!(desk.show("bob")["generation"], generation);
    assert_eq!(gives_away(&desk, RFC_SECRET), None);
    // A state that is lost.
    fs::write(desk.state_file("bob"), "x").unwrap();
    desk.must(&["repair", "bob"]);
    assert_eq!(gives_away(&desk, RFC_SECRET), None);
    let uris = desk.path("uris");
    let uri = format!("otpauth://totp/Example:erin?secret={RFC_SECRET}&issuer=Example\n");
    fs::write(&uris, uri).unwrap();
    desk.must(&["import", "otpauth", uris.to_str().unwrap()]);
    assert!(account(&desk, "erin").contains("sealed:"));
    assert_eq!(gives_away(&desk, RFC_SECRET), None);
    let list = desk.must(&["list"]);
    assert_eq!(list.lines().count(), 3);
    assert!(!list.contains("DAMAGED"));
}

#[test]
fn scratch_codes_cannot_be_guessed_from_what_is_stored() {
    let desk = Desk::new();
    let file = desk.path("google");
    let text = format!("{RFC_SECRET}\n\" TOTP_AUTH\n12345678\n87654321\n");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let from = file.to_str().unwrap();
    desk.run(&["import", "google", "root", "--from", from]);
    assert!(account(&desk, "root").contains("hashes"));
    let key = desk.path("seal.key");
    desk.must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
    let sealed = account(&desk, "root");
    assert!(!sealed.contains("hashes"), "{sealed}");
    assert!(sealed.contains("scratch = \"sealed:"), "{sealed}");
    assert_eq!(desk.verify("root", "12345678"), "accepted");
}

#[test]
fn sealing_changes_nothing_that_was_enrolled() {
    let (desk, key) = desk();
    let before = desk.show("alice");
    let state = fs::read(desk.state_file("alice")).unwrap();
    desk.must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
    desk.must(&["seal", "rotate"]);
    desk.must(&["seal", "off"]);
    assert_eq!(desk.show("alice"), before);
    assert_eq!(fs::read(desk.state_file("alice")).unwrap(), state);
}

#[test]
fn init_never_overwrites_a_key_and_may_be_run_again() {
    let (desk, key) = sealed();
    let text = fs::read(&key).unwrap();
    let stored = account(&desk, "alice");
    let again = desk.json(&["seal", "init"]);
    assert_eq!(
        (&again["changed"], &again["failed"]),
        (&0.into(), &0.into())
    );
    assert_eq!(fs::read(&key).unwrap(), text);
    assert_eq!(account(&desk, "alice"), stored);
    // A key that somebody put there first.
    let other = Desk::new();
    let path = other.path("seal.key");
    fs::copy(&key, &path).unwrap();
    other.must(&["seal", "init", "--key-file", path.to_str().unwrap()]);
    assert_eq!(fs::read(&path).unwrap(), text);
    assert_eq!(status(&other).1["key"], status(&desk).1["key"]);
}

#[test]
fn status_counts() {
    let (desk, key) = desk();
    let (code, before) = status(&desk);
    assert_eq!((code, &before["on"]), (0, &false.into()));
    assert_eq!(before["accounts"]["unsealed"], 2);
    desk.must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
    let (code, after) = status(&desk);
    assert_eq!((code, &after["on"]), (0, &true.into()));
    let expected = [
        "accounts",
        "key",
        "key_file",
        "key_found",
        "keys_in_file",
        "on",
    ];
    assert_eq!(keys(&after), expected);
    let expected = ["damaged", "other_key", "sealed", "unknown_key", "unsealed"];
    assert_eq!(keys(&after["accounts"]), expected);
    assert_eq!(after["accounts"]["sealed"], 2);
    assert_eq!(after["keys_in_file"][0], after["key"]);
    // Somebody put an account back from an old backup.
    let sealed = account(&desk, "alice");
    desk.must(&["seal", "off"]);
    let clear = account(&desk, "alice");
    desk.must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
    fs::write(desk.account_file("alice"), clear).unwrap();
    let (code, left) = status(&desk);
    assert_eq!((code, &left["accounts"]["unsealed"]), (1, &1.into()));
    assert_eq!(desk.verify("alice", &hotp(0, RFC_SECRET)), "accepted");
    desk.must(&["seal", "init"]);
    assert_eq!(status(&desk).0, 0);
    fs::write(desk.account_file("alice"), sealed).unwrap();
    assert_eq!(
        status(&desk).0,
        0,
        "the key file has stayed, so it is the same key"
    );
}

/// What may stand in the place of the key file, and what the error says.
type Damage = (&'static str, fn(&Path), &'static str, &'static str);

const DAMAGES: &[Damage] = &[
    (
        "missing",
        |key| fs::remove_file(key).unwrap(),
        "is missing",
        "put it back",
    ),
    (
        "readable",
        |key| chmod(key, 0o644),
        "mode 0644",
        "chmod 600",
    ),
    ("a link", |key| link(key), "symbolic link", "plain file"),
    (
        "a directory",
        |key| directory(key),
        "not a regular file",
        "plain file",
    ),
    (
        "garbage",
        |key| fs::write(key, "garbage\n").unwrap(),
        "line 1",
        "put the right file back",
    ),
    (
        "empty",
        |key| fs::write(key, "").unwrap(),
        "no key in it",
        "put the right file back",
    ),
    (
        "too large",
        |key| fs::write(key, "#".repeat(5000)).unwrap(),
        "5000 bytes",
        "plain file",
    ),
    (
        "another key",
        |key| fs::write(key, "ab".repeat(32)).unwrap(),
        "other seal keys",
        "add the line",
    ),
];

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn link(key: &Path) {
    fs::rename(key, key.with_extension("real")).unwrap();
    symlink(key.with_extension("real"), key).unwrap();
}

fn directory(key: &Path) {
    fs::remove_file(key).unwrap();
    fs::create_dir(key).unwrap();
}

#[test]
fn without_its_key_nothing_is_opened_and_nothing_written() {
    for (name, damage, what, cure) in DAMAGES {
        let (desk, key) = sealed();
        damage(&key);
        let accounts = fs::read_dir(desk.state_dir().join("accounts"))
            .unwrap()
            .count();
        let secret = desk.secret_file(RFC_SECRET);
        for arguments in [
            &["show", "alice"][..],
            &["export", "alice"],
            &["disable", "alice"],
            &["enroll", "carol", "--no-confirm", "--secret-from", &secret],
            &["init"],
            &["seal", "rotate"],
            &["seal", "init"],
        ] {
            let ran = desk.run(arguments);
            let error = ran.error();
            assert_eq!(ran.status, 2, "{name}: {arguments:?}: {ran:?}");
            assert!(
                error.contains(key.to_str().unwrap()),
                "{name}: {arguments:?}: {error}"
            );
            assert!(
                error.contains(what) && error.contains(cure),
                "{name}: {arguments:?}: {error}"
            );
        }
        let ran = desk.run_with(&["verify", "alice", "--json"], &hotp(0, RFC_SECRET));
        assert_eq!(ran.status, 2, "{name}: {ran:?}");
        assert_eq!(gives_away(&desk, RFC_SECRET), None, "{name}");
        let now = fs::read_dir(desk.state_dir().join("accounts"))
            .unwrap()
            .count();
        assert_eq!(now, accounts, "{name}: nobody was enrolled");
        let found = check(&desk);
        let about_key = found
            .iter()
            .filter(|finding| finding["place"] == key.to_str().unwrap());
        assert_eq!(about_key.count(), 1, "{name}: once: {found:?}");
        assert_eq!(found.len(), 1, "{name}: and nothing else: {found:?}");
        assert_eq!(found[0]["severity"], "error", "{name}");
    }
}

/// What `otpgate check` finds in the store.
fn check(desk: &Desk) -> Vec<Value> {
    for name in ["pam.d", "security"] {
        fs::create_dir_all(desk.path(name)).unwrap();
    }
    let path = |name: &str| desk.path(name).to_str().unwrap().to_owned();
    let (pam, modules, none) = (path("pam.d"), path("security"), path("none"));
    let ran = desk.run(&[
        "check",
        "--json",
        "--pam-dir",
        &pam,
        "--module-dir",
        &modules,
        "--sshd-config",
        &none,
        "--sshd",
        &none,
        "--otpgate-sshd",
        &none,
        "--otpgate-sshd-config",
        &none,
    ]);
    let mut found: Vec<Value> =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    found.retain(|finding| {
        let code = finding["code"].as_str().unwrap();
        code.starts_with("seal") || ["store", "user-files", "configuration"].contains(&code)
    });
    found
}

#[test]
fn check_tells_what_is_left_to_do() {
    let (desk, key) = desk();
    assert_eq!(check(&desk), [""; 0].map(Value::from));
    let clear = account(&desk, "alice");
    desk.must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
    assert_eq!(check(&desk), [""; 0].map(Value::from));
    let sealed = account(&desk, "alice");

    fs::write(desk.account_file("alice"), clear).unwrap();
    let found = check(&desk);
    assert_eq!((found.len(), &found[0]["code"]), (1, &"seal-clear".into()));
    assert_eq!(found[0]["cure"], "otpgate seal init");
    fs::write(desk.account_file("alice"), &sealed).unwrap();

    add_key(&key);
    let found = check(&desk);
    assert_eq!(
        (found.len(), &found[0]["code"]),
        (1, &"seal-unfinished".into())
    );
    assert_eq!(found[0]["cure"], "otpgate seal rotate");
    desk.must(&["seal", "rotate"]);
    assert_eq!(check(&desk), [""; 0].map(Value::from));

    // Of before the rotation.
    fs::write(desk.account_file("alice"), sealed).unwrap();
    let found = check(&desk);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["code"], "user-files");
    assert!(
        found[0]["cure"].as_str().unwrap().contains("put the key"),
        "{found:?}"
    );
    assert_eq!(status(&desk).1["accounts"]["unknown_key"], 1);
}

fn add_key(key: &Path) {
    let mut text = fs::read_to_string(key).unwrap();
    text.push_str(&"cd".repeat(32));
    fs::write(key, text).unwrap();
}

#[test]
fn a_secret_of_somebody_else_is_refused() {
    let (desk, _) = sealed();
    let secret = |user: &str| {
        let text = account(&desk, user);
        let line = text
            .lines()
            .find(|line| line.starts_with("secret = "))
            .unwrap();
        line.to_owned()
    };
    let (alices, bobs) = (secret("alice"), secret("bob"));
    let swapped = account(&desk, "alice").replace(&alices, &bobs);
    fs::write(desk.account_file("alice"), swapped).unwrap();
    let refused = desk.run(&["export", "alice"]);
    let error = refused.error();
    assert!(error.contains("another user's or device's"), "{error}");
    assert!(error.contains("accounts/alice.toml"), "{error}");
    assert_eq!(desk.run(&["show", "bob"]).status, 0);
    // Between the devices of one user too.
    desk.enroll("bob", &["--device", "tablet"]);
    let text = account(&desk, "bob");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("secret = "))
        .collect();
    let swapped = text.replacen(lines[1], lines[0], 1);
    fs::write(desk.account_file("bob"), swapped).unwrap();
    assert!(
        desk.run(&["show", "bob"])
            .error()
            .contains("another user's or device's")
    );
}

#[test]
fn a_rotation_replaces_the_key_and_old_backups_need_the_old_one() {
    let (desk, key) = sealed();
    let (old_keys, old_account) = (key_lines(&key), account(&desk, "alice"));
    let old = status(&desk).1["key"].clone();
    let done = desk.json(&["seal", "rotate"]);
    assert_eq!(done["changed"], 2);
    assert_ne!(done["key"], old);
    assert_eq!(key_lines(&key).len(), 1);
    assert_ne!(key_lines(&key), old_keys);
    assert_eq!(status(&desk).0, 0);
    assert_eq!(desk.verify("alice", &hotp(0, RFC_SECRET)), "accepted");

    fs::write(desk.account_file("alice"), old_account).unwrap();
    let refused = desk.run(&["show", "alice"]);
    assert!(
        refused.error().contains(old.as_str().unwrap()),
        "{refused:?}"
    );
    let both = [old_keys, key_lines(&key)].concat().join("\n");
    fs::write(&key, both).unwrap();
    assert_eq!(desk.verify("alice", &hotp(0, RFC_SECRET)), "accepted");
    let new = status(&desk).1["key"].clone();
    desk.must(&["seal", "rotate"]);
    assert_eq!(status(&desk).0, 0);
    assert_eq!(status(&desk).1["key"], new, "no third key was needed");
}

#[test]
fn what_cannot_be_sealed_anew_keeps_the_old_key() {
    let (desk, key) = sealed();
    let good = account(&desk, "alice");
    fs::write(desk.account_file("alice"), "garbage").unwrap();
    let ran = desk.run(&["seal", "rotate"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stderr.contains("accounts/alice.toml"), "{ran:?}");
    assert_eq!(key_lines(&key).len(), 2, "the old key may still be needed");
    fs::write(desk.account_file("alice"), good).unwrap();
    assert_eq!(desk.verify("alice", &hotp(0, RFC_SECRET)), "accepted");
    desk.must(&["seal", "rotate"]);
    assert_eq!(key_lines(&key).len(), 1);
    assert_eq!(status(&desk).0, 0);
}

#[test]
fn there_is_a_way_back_and_a_way_elsewhere() {
    let (desk, key) = sealed();
    let elsewhere = desk.path("elsewhere.key");
    let to = ["seal", "init", "--key-file", elsewhere.to_str().unwrap()];
    let refused = desk.run(&to);
    assert!(
        refused.error().contains("is missing"),
        "no second key is made: {refused:?}"
    );
    fs::rename(&key, &elsewhere).unwrap();
    desk.must(&to);
    assert_eq!(desk.verify("alice", &hotp(0, RFC_SECRET)), "accepted");
    let done = desk.json(&["seal", "off"]);
    assert_eq!(done["changed"], 2);
    assert!(elsewhere.exists(), "backups may need it");
    assert!(!desk.state_dir().join("seal.toml").exists());
    fs::remove_file(&elsewhere).unwrap();
    assert_eq!(desk.verify("alice", &hotp(0, RFC_SECRET)), "accepted");
    assert!(gives_away(&desk, RFC_SECRET).is_some());
    let decoys = fs::read_dir(desk.state_dir().join("decoys")).unwrap();
    for decoy in decoys {
        let bytes = fs::read(decoy.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("sealed:"));
    }
}

#[test]
fn a_key_that_is_lost_for_good_can_be_left_behind() {
    let (desk, key) = sealed();
    fs::remove_file(&key).unwrap();
    let ran = desk.run(&["seal", "off"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    desk.must(&["remove", "alice", "--force"]);
    desk.must(&["remove", "bob", "--force"]);
    desk.must(&["seal", "off"]);
    let secret = desk.secret_file(RFC_SECRET);
    desk.enroll("alice", &["--hotp", "--secret-from", &secret]);
    assert_eq!(desk.verify("alice", &hotp(0, RFC_SECRET)), "accepted");
    desk.must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
    assert_eq!(status(&desk).0, 0);
}

#[test]
fn settings_that_are_lost_or_damaged_are_no_reason_to_write_in_clear() {
    let (desk, key) = sealed();
    let settings = desk.state_dir().join("seal.toml");
    fs::write(&settings, "on = true\nkeys = 1\n").unwrap();
    for arguments in [&["show", "alice"], &["disable", "bob"], &["seal", "status"]] {
        assert!(
            desk.run(arguments).error().contains("seal.toml"),
            "{arguments:?}"
        );
    }
    fs::remove_file(&settings).unwrap();
    assert!(
        desk.run(&["show", "alice"])
            .error()
            .contains("otpgate seal init")
    );
    let other = desk.path("other.key");
    fs::write(&other, "ab".repeat(32)).unwrap();
    chmod(&other, 0o600);
    let wrong = desk.run(&["seal", "init", "--key-file", other.to_str().unwrap()]);
    assert!(wrong.error().contains("other seal keys"), "{wrong:?}");
    desk.must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
    assert_eq!(status(&desk).0, 0);
    assert_eq!(desk.verify("alice", &hotp(0, RFC_SECRET)), "accepted");
}

#[test]
fn a_key_is_not_made_where_it_would_be_stolen_or_lost() {
    let (desk, _) = desk();
    let inside = desk.state_dir().join("seal.key");
    let linked = desk.path("linked");
    symlink(desk.state_dir(), &linked).unwrap();
    let open = desk.path("open");
    fs::create_dir(&open).unwrap();
    chmod(&open, 0o777);
    for (place, what) in [
        (inside, "inside the state directory"),
        (linked.join("seal.key"), "inside the state directory"),
        (PathBuf::from("seal.key"), "absolute path"),
        (desk.path("nowhere/seal.key"), "no such directory"),
        (open.join("seal.key"), "mode 0777"),
    ] {
        let ran: Ran = desk.run(&["seal", "init", "--key-file", place.to_str().unwrap()]);
        assert!(ran.error().contains(what), "{}: {ran:?}", place.display());
        assert!(!place.exists());
    }
    assert_eq!(status(&desk).1["on"], false);
}

#[test]
fn a_key_in_memory_comes_from_elsewhere() {
    // On a disk, whatever the temporary directory is.
    let root = tempfile::tempdir_in("/var/tmp").unwrap();
    let desk = Desk { root };
    let config = format!("state_dir = \"{}\"\n", desk.state_dir().display());
    fs::write(desk.path("otpgate.toml"), config).unwrap();
    desk.must(&["init"]);
    desk.enroll("alice", &["--totp"]);
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let key = memory.path().join("seal.key");
    let init = ["seal", "init", "--key-file", key.to_str().unwrap()];
    let refused = desk.run(&init);
    assert!(
        refused.error().contains("lost at the next restart"),
        "{refused:?}"
    );
    assert!(!key.exists());
    fs::write(&key, "ab".repeat(32)).unwrap();
    chmod(&key, 0o600);
    desk.must(&init);
    let refused = desk.run(&["seal", "rotate"]);
    assert!(refused.error().contains("second line"), "{refused:?}");
    assert_eq!(status(&desk).0, 0, "nothing has changed");
    fs::write(&key, format!("{}\n{}\n", "ab".repeat(32), "cd".repeat(32))).unwrap();
    let rotated = desk.must(&["seal", "rotate"]);
    assert!(rotated.contains("is in memory"), "{rotated}");
    assert_eq!(key_lines(&key), ["cd".repeat(32)]);
    assert_eq!(status(&desk).0, 0);
    // After a restart the old line may be there again, and does no harm.
    fs::write(&key, format!("{}\n{}\n", "ab".repeat(32), "cd".repeat(32))).unwrap();
    desk.must(&["show", "alice"]);
    desk.must(&["seal", "rotate"]);
    assert_eq!(key_lines(&key), ["cd".repeat(32)]);
}
