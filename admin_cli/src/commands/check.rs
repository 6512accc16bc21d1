//! `otpgate check`: what would lock people out or let them round the code, before they notice.

use std::path::Path;

use otp_core::config::Config;
use otp_core::rules::Then;
use otp_core::store::FilesStore;
use pam_login::options::Options;

use super::setup::paths;
use super::{Context, is_uninitialised};
use crate::cli::Check;
use crate::error::CliError;
use crate::host::finding::{Finding, exit_status, render, sorted};
use crate::host::{CheckRequest, check_host};

/// After so many damaged users the rest is counted, not listed.
const MOST_LISTED: usize = 50;

pub(super) fn run(context: &Context<'_>, arguments: &Check) -> Result<u8, CliError> {
    let config = Config::load(&context.cli.config);
    let mut findings = Vec::new();
    let config = config.unwrap_or_else(|error| {
        findings.push(Finding::error(
            "configuration",
            context.cli.config.display().to_string(),
            format!("{error}. Every login is refused."),
            "correct the line; `otpgate check` tells when it is right".to_owned(),
        ));
        Config::default()
    });
    if findings.is_empty() {
        findings.extend(check_store(&config.state_dir));
    }
    let judge = |options: &[String]| {
        Options::parse(options.iter().map(String::as_str))
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let request = CheckRequest {
        user: arguments.user.clone(),
        from: arguments.from,
        has_deny_rules: config.rules.iter().any(|rule| rule.then == Then::Deny),
        judge_options: &judge,
    };
    findings.extend(check_host(
        &paths(&arguments.places, &config.state_dir),
        &request,
    ));
    let findings = sorted(findings);
    let json = serde_json::to_value(&findings).map_err(|error| CliError::new(error.to_string()))?;
    let text = if findings.is_empty() {
        "Nothing found.\n".to_owned()
    } else {
        render(&findings)
    };
    context.print(&json, &text)?;
    Ok(exit_status(&findings))
}

fn check_store(state_dir: &Path) -> Vec<Finding> {
    let place = state_dir.display().to_string();
    let store = match FilesStore::open(state_dir) {
        Ok(store) => store,
        Err(error) => {
            let cure = if is_uninitialised(&error) {
                "otpgate init"
            } else {
                "put owner and mode right, then check again"
            };
            let meaning = format!("{error}. Every login is refused.");
            return vec![Finding::error("store", place, meaning, cure.to_owned())];
        }
    };
    let mut findings = check_users(&store);
    findings.extend(check_file_system(state_dir));
    findings
}

/// Reads every user as a login would.
fn check_users(store: &FilesStore) -> Vec<Finding> {
    let users = match store.users() {
        Ok(users) => users,
        Err(error) => {
            let meaning = format!("{error}. Nobody can be checked.");
            return vec![Finding::error(
                "store",
                store.path().display().to_string(),
                meaning,
                "run as root".to_owned(),
            )];
        }
    };
    let mut findings = Vec::new();
    let mut unlisted = 0_usize;
    for user in users {
        let Err(error) = store.lock_enrolled(&user) else {
            continue;
        };
        if findings.len() >= MOST_LISTED {
            unlisted += 1;
            continue;
        }
        let meaning = format!("{}. {user} is refused.", error.problem);
        let cure = if error.is_repairable() {
            format!("otpgate repair {user}")
        } else {
            format!(
                "restore the file from a backup, or: otpgate remove {user} --force && otpgate enroll {user}"
            )
        };
        findings.push(Finding::error(
            "user-files",
            error.path.display().to_string(),
            meaning,
            cure,
        ));
    }
    if unlisted > 0 {
        let meaning = format!("{unlisted} more users have damaged files.");
        let place = store.path().display().to_string();
        findings.push(Finding::error(
            "user-files",
            place,
            meaning,
            "otpgate list | grep DAMAGED".to_owned(),
        ));
    }
    findings
}

/// The promise that a login needs no free space holds where a file is overwritten in place.
fn check_file_system(state_dir: &Path) -> Option<Finding> {
    // Magic numbers from statfs(2).
    const COPY_ON_WRITE: [(u64, &str); 6] = [
        (0x9123_683e, "btrfs"),
        (0x2fc1_2fc1, "ZFS"),
        (0x794c_7630, "overlayfs"),
        (0x6969, "NFS"),
        (0xca45_1a4e, "bcachefs"),
        (0x0102_1994, "tmpfs"),
    ];
    let stat = rustix::fs::statfs(state_dir).ok()?;
    let kind = u64::try_from(stat.f_type).ok()? & 0xffff_ffff;
    let (_, name) = COPY_ON_WRITE.iter().find(|(magic, _)| *magic == kind)?;
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
