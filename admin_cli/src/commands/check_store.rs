//! The part of `otpgate check` that looks at the configuration file and the state directory.

use std::io::ErrorKind;
use std::path::Path;

use otp_core::account::Account;
use otp_core::config::{Config, ConfigError};
use otp_core::store::google_authenticator::guesses::{Guesses, OWN_FILES};
use otp_core::store::{FilesStore, Problem, Store as _, StoreError};
use otp_core::user_name::UserName;

use super::check_delivery::check_account;
use super::check_invites::check_invites;
use super::check_seal::check_seal;
use super::name;
use crate::host::finding::Finding;
use crate::host::pam_stack::NamedConfig;

/// After so many damaged users the rest is counted, not listed.
const MOST_LISTED: usize = 50;

/// Why the configuration is not taken.
pub(super) fn configuration_finding(error: &ConfigError) -> Finding {
    match error {
        ConfigError::Missing(path) => Finding::error(
            "configuration",
            path.display().to_string(),
            "It is not there, though it was named. Every login is refused.",
            "correct the name, or make the file",
        ),
        ConfigError::File(error) => foundation_finding("configuration", error, "0644"),
        ConfigError::Text {
            path,
            line,
            problem,
        } => Finding::error(
            "configuration",
            format!("{}:{line}", path.display()),
            format!("{problem}. Every login is refused."),
            "correct the line; `otpgate check` tells when it is right",
        ),
    }
}

/// A line of pam.d that names a configuration which is not taken.
pub(super) fn named_config_finding(named: &NamedConfig, error: &ConfigError) -> Finding {
    let (file, line) = (named.file.display(), named.line);
    let about = configuration_finding(error);
    let cure = match error {
        ConfigError::Missing(_) => {
            format!("sudoedit +{line} {file}    # correct the path behind \"config=\"")
        }
        _ => about.cure,
    };
    Finding::error(
        "pam-config",
        format!("{file}:{line}"),
        format!(
            "This line names the configuration {}: {}",
            about.place, about.meaning
        ),
        cure,
    )
}

/// What would keep every login out of the store; damaged users aside.
pub(super) fn check_foundation(state_dir: &Path) -> Option<Finding> {
    match FilesStore::open(state_dir) {
        Ok(store) => check_nobody(&store),
        Err(error) => Some(foundation_finding("store", &error, "0700")),
    }
}

/// Reads the store as logins would.
pub(super) fn check_store(config: &Config) -> Vec<Finding> {
    let state_dir = config.state_dir.as_path();
    let store = match FilesStore::open(state_dir) {
        Ok(store) => store,
        Err(error) => return vec![foundation_finding("store", &error, "0700")],
    };
    let mut findings = check_seal(&store);
    // A key that is missing is missing for the decoys too.
    let has_key = findings.iter().all(|finding| finding.code != "seal-key");
    findings.extend(check_decoys(&store).filter(|_| has_key));
    findings.extend(check_users(&store, config));
    findings.extend(check_counts(state_dir));
    findings.extend(check_invites(&store));
    findings.extend(check_file_system(state_dir));
    findings
}

/// About a file or a directory without which nobody is let in.
fn foundation_finding(code: &'static str, error: &StoreError, mode: &str) -> Finding {
    let place = error.path.display().to_string();
    let mode = match error.problem {
        Problem::SealKey(_) => "0600",
        _ => mode,
    };
    let refused = format!("{}. Every login is refused.", error.problem);
    let (meaning, cure) = match error.problem.itself() {
        Problem::NotInitialised => (refused, "otpgate init".to_owned()),
        Problem::Owner { expected, .. } => (refused, format!("chown {expected} {place}")),
        Problem::Mode { .. } => (refused, format!("chmod {mode} {place}")),
        Problem::SealKeyText(_) | Problem::SealSettings(_) => (
            refused,
            "put the right file back from where you keep it".to_owned(),
        ),
        Problem::Io { error: cause, .. } if cause.kind() == ErrorKind::PermissionDenied => (
            format!("{}, so it was not checked.", error.problem),
            "run `otpgate check` as root".to_owned(),
        ),
        _ => (
            refused,
            format!("put back what belongs there, owned by root, with mode {mode}"),
        ),
    };
    Finding::error(code, place, meaning, cure)
}

/// Looks somebody up who cannot be enrolled, which takes the key of the decoys.
fn check_nobody(store: &FilesStore) -> Option<Finding> {
    decoy_finding(store.lock(&UserName::new(b"")).map(drop).err())
}

/// The same, then tries each decoy.
fn check_decoys(store: &FilesStore) -> Option<Finding> {
    check_nobody(store).or_else(|| decoy_finding(store.damaged_decoys()))
}

fn decoy_finding(damaged: impl IntoIterator<Item = StoreError>) -> Option<Finding> {
    // A login that is under way is no damage.
    let error = damaged
        .into_iter()
        .find(|error| !matches!(error.problem, Problem::Busy))?;
    let meaning = format!(
        "{}. It is needed to treat everybody alike, so logins are refused.",
        error.problem
    );
    let place = error.path.display().to_string();
    let cure = match error.problem.is_of_seal_key() {
        true => "otpgate seal status    # says which key is missing",
        false => "otpgate init",
    };
    Some(Finding::error("store", place, meaning, cure))
}

fn check_users(store: &FilesStore, config: &Config) -> Vec<Finding> {
    let entries = match store.entries() {
        Ok(entries) => entries,
        Err(error) => return vec![foundation_finding("store", &error, "0700")],
    };
    let decoys = store.path().join("decoys");
    let finding = |(user, account): (UserName, Result<Account, StoreError>)| match account {
        Ok(account) => check_account(config, &user, &account),
        // Nobody's own file; `check_decoys` speaks of it.
        Err(error) if error.path.starts_with(&decoys) => None,
        // Neither is what ails everybody.
        Err(error) if is_missing_key(store, &error) => None,
        Err(error) => Some(user_finding(&error, &user)),
    };
    let mut damaged = store.read_all(entries).filter_map(finding);
    let mut findings: Vec<Finding> = damaged.by_ref().take(MOST_LISTED).collect();
    let unlisted = damaged.count();
    if unlisted > 0 {
        findings.push(Finding::error(
            "user-files",
            store.path().display().to_string(),
            format!("{unlisted} more users have damaged files."),
            "otpgate list | grep DAMAGED",
        ));
    }
    findings
}

/// The key that secrets are to be sealed with is missing: `check_seal` has said so, once.
fn is_missing_key(store: &FilesStore, error: &StoreError) -> bool {
    let settings = store.sealing().settings();
    match error.problem.itself() {
        Problem::SealKeyMissing(_) => settings.is_some(),
        Problem::SealKeyUnknown(id) => settings.is_some_and(|settings| settings.key == *id),
        _ => false,
    }
}

/// Who logs in by a file of their own, and whose failures cannot be counted.
fn check_counts(state_dir: &Path) -> Vec<Finding> {
    if !state_dir.join(OWN_FILES).exists() {
        return Vec::new();
    }
    let damaged = |guesses: &Guesses| {
        let damaged = guesses
            .damaged()?
            .filter(|(_, error)| !matches!(error.problem, Problem::Busy));
        Ok(damaged
            .take(MOST_LISTED)
            .map(|(user, error)| count_finding(&error, &user))
            .collect())
    };
    match Guesses::open(state_dir).and_then(|guesses| damaged(&guesses)) {
        Ok(findings) => findings,
        Err(error) => vec![foundation_finding("store", &error, "0700")],
    }
}

fn count_finding(error: &StoreError, user: &UserName) -> Finding {
    let meaning = format!(
        "{}. {} logs in by a file of their own, and is refused.",
        error.problem,
        name::shown(user)
    );
    let cure = format!("otpgate unlock {}", name::quoted(user));
    Finding::error(
        "user-files",
        error.path.display().to_string(),
        meaning,
        cure,
    )
}

fn user_finding(error: &StoreError, user: &UserName) -> Finding {
    let (name, place) = (name::quoted(user), error.path.display().to_string());
    let cure = match error.problem {
        _ if error.is_repairable() => format!("otpgate repair {name}"),
        Problem::SealSettingsMissing => {
            "otpgate seal init    # with --key-file if the key is elsewhere".to_owned()
        }
        Problem::SealKeyMissing(id) | Problem::SealKeyUnknown(id) => {
            format!("put the key {id} back, in front of the others; then: otpgate seal rotate")
        }
        Problem::Busy => format!("fuser -v {place}    # says which process holds it"),
        Problem::Io { .. } => "dmesg    # says what is wrong with the disk".to_owned(),
        _ => format!(
            "restore the file from a backup, or: otpgate remove {name} --force && otpgate enroll {name}"
        ),
    };
    let meaning = format!("{}. {} is refused.", error.problem, name::shown(user));
    Finding::error("user-files", place, meaning, cure)
}

/// The promise that a login needs no free space holds where a file is overwritten in place.
fn check_file_system(state_dir: &Path) -> Option<Finding> {
    // Magic numbers from statfs(2).
    const NOT_IN_PLACE: [(u64, &str); 6] = [
        (0x9123_683e, "btrfs"),
        (0x2fc1_2fc1, "ZFS"),
        (0x794c_7630, "overlayfs"),
        (0x6969, "NFS"),
        (0xca45_1a4e, "bcachefs"),
        (0x0102_1994, "tmpfs"),
    ];
    let stat = rustix::fs::statfs(state_dir).ok()?;
    let kind = u64::try_from(stat.f_type).ok()? & 0xffff_ffff;
    let (_, name) = NOT_IN_PLACE.iter().find(|(magic, _)| *magic == kind)?;
    let meaning = match *name {
        "tmpfs" => "The state directory is in memory (tmpfs): a restart forgets who is enrolled.".to_owned(),
        "NFS" => "The state directory is on NFS: locks and durability depend on the server, and a login waits for it.".to_owned(),
        name => format!("{name} writes to free space even when a file is overwritten: on a full disk logins are refused."),
    };
    let cure =
        "move state_dir to ext4 or xfs, or make sure that the disk never fills up".to_owned();
    Some(Finding::warning(
        "file-system",
        state_dir.display().to_string(),
        meaning,
        cure,
    ))
}
