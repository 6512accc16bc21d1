//! Keys as ssh-keygen makes them, and files that are none.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use super::*;

fn keygen(path: &Path, arguments: &[&str]) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-f"])
        .arg(path)
        .args(arguments)
        .status()
        .unwrap();
    assert!(made.success());
}

fn error_of(path: &Path) -> String {
    load(&[path.to_owned()]).unwrap_err().to_string()
}

#[test]
fn keys_of_ssh_keygen_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    for (name, arguments) in [
        ("ed25519", &["-t", "ed25519", "-N", ""][..]),
        ("p256", &["-t", "ecdsa", "-b", "256", "-N", ""]),
        ("p384", &["-t", "ecdsa", "-b", "384", "-N", ""]),
        ("p521", &["-t", "ecdsa", "-b", "521", "-N", ""]),
    ] {
        let path = directory.path().join(name);
        keygen(&path, arguments);
        let keys = load(std::slice::from_ref(&path)).unwrap();
        assert_eq!(
            *keys[0].0,
            std::fs::read_to_string(&path).unwrap(),
            "{name}"
        );
        assert!(russh::keys::decode_secret_key(&keys[0].0, None).is_ok());
    }
}

#[test]
fn keys_that_cannot_serve_are_refused_with_the_cure() {
    let directory = tempfile::tempdir().unwrap();
    for (name, arguments, expected) in [
        (
            "encrypted",
            &["-t", "ed25519", "-N", "passphrase"][..],
            "has a passphrase",
        ),
        ("rsa", &["-t", "rsa", "-N", ""], "is of the type ssh-rsa"),
        (
            "pem",
            &["-t", "ecdsa", "-m", "PEM", "-N", ""],
            "not a private key in OpenSSH's format",
        ),
    ] {
        let path = directory.path().join(name);
        keygen(&path, arguments);
        let error = error_of(&path);
        assert!(error.contains(expected), "{error}");
        let cure = format!("ssh-keygen -t ed25519 -f {} -N \"\"", path.display());
        assert!(error.contains(&cure), "{error}");
    }
}

#[test]
fn files_that_others_could_have_made_or_read_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    assert!(error_of(&path).contains("--generate-host-key"));
    keygen(&path, &["-t", "ed25519", "-N", ""]);
    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let error = error_of(&path);
        assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
        assert!(!error.contains("repair USER"), "{error}");
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(error_of(&link).contains("is a symbolic link"));
    assert!(error_of(directory.path()).contains("is not a regular file"));
}

#[test]
fn a_generated_key_is_whole_private_and_known_to_ssh_keygen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let fingerprint = generate(&path).unwrap();
    assert_eq!(load(std::slice::from_ref(&path)).unwrap().len(), 1);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    for file in ["key", "key.pub"] {
        let shown = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(directory.path().join(file))
            .output()
            .unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains(&fingerprint), "{shown}");
    }
}

#[test]
fn a_key_that_is_there_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "mine").unwrap();
    let error = generate(&path).unwrap_err();
    assert!(matches!(error, HostKeyError::Exists(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}
