//! The part of `otpgate check` about people's own files: who is judged by one, and whose home is not there.

use std::path::Path;

use otp_core::config::{Config, GoogleAuthenticatorFiles};
use otp_core::store::google_authenticator::base::{Base, is_person};
use otp_core::store::google_authenticator::location::{names_homes, shared_directory};
use otp_core::store::{FilesStore, Problem, Store as _};
use otp_core::user_name::UserName;
use pam_login::options::Options;

use super::import::homes::{Person, everybody};
use crate::host::finding::Finding;

/// After so many the rest is counted, not named.
const MOST_NAMED: usize = 5;
const FILE: &str = ".google_authenticator";

/// What our auth lines make of people's own files.
pub(super) fn check_own_files(config: &Config, place: &Path, lines: &[Options]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = lines.iter().filter_map(directory_finding).collect();
    let falls_back = config.google_authenticator_files == GoogleAuthenticatorFiles::Fallback;
    let by_store: Vec<_> = lines.iter().filter(|line| !line.files.any()).collect();
    let falls_back = falls_back && !by_store.is_empty();
    let in_homes = |line: &&Options| match &line.files.secret {
        Some(pattern) => names_homes(pattern),
        None => line.files.any() || falls_back,
    };
    let let_pass = lines.iter().filter(in_homes).any(|line| line.nullok);
    if !falls_back && !let_pass {
        return findings;
    }
    // Who is listed nowhere cannot be looked at; `import google --users-from` says so too.
    let people: Vec<Person> = everybody().unwrap_or_default();
    let people: Vec<&Person> = people
        .iter()
        .filter(|person| is_person(person.uid))
        .collect();
    if falls_back {
        findings.extend(files_finding(config, place, &people));
    }
    if let_pass {
        findings.extend(homes_finding(&people));
    }
    findings
}

/// The directory of a line with `secret=/var/ga/${USER}`.
fn directory_finding(line: &Options) -> Option<Finding> {
    let pattern = line
        .files
        .secret
        .as_deref()
        .filter(|pattern| !names_homes(pattern))?;
    let directory = shared_directory(pattern)?;
    Base::Shared(&directory).check().err()?;
    Some(Finding::error(
        "own-files-directory",
        directory.display().to_string(),
        format!(
            "It is not there, or is no directory, and secret={pattern} looks for people's files in it: everybody is refused, for nobody can say who has one."
        ),
        format!(
            "mkdir {}    # or mount it, or correct the line",
            directory.display()
        ),
    ))
}

fn files_finding(config: &Config, place: &Path, people: &[&Person]) -> Option<Finding> {
    let store = FilesStore::open(&config.state_dir).ok()?;
    let counts = |person: &Person| {
        let file = Path::new(&person.home).join(FILE);
        let name = UserName::from(person.name.as_str());
        file.symlink_metadata().is_ok() && matches!(store.is_enrolled(&name), Ok(false))
    };
    let with_file = named(people, counts)?;
    Some(Finding::warning(
        "own-files",
        place.display().to_string(),
        format!(
            "{with_file} not enrolled, with a ~/{FILE}: they are asked for its codes, and whoever can write that file sets its secret (google_authenticator_files = \"fallback\")."
        ),
        "otpgate import google --all    # then write google_authenticator_files = \"off\"",
    ))
}

fn homes_finding(people: &[&Person]) -> Option<Finding> {
    let missing = |person: &Person| {
        let found = Base::Home(Path::new(&person.home), person.uid).check();
        found.is_err_and(|error| matches!(error.problem, Problem::NotMounted))
    };
    let homeless = named(people, missing)?;
    Some(Finding::warning(
        "own-files-home",
        "/etc/passwd",
        format!(
            "{homeless} without their home, which is not there or is an empty directory of somebody else's: whether they have a file of their own cannot be said, so those of them who are not enrolled are refused, nullok or not."
        ),
        "mount or make the homes; for people who are to have none: usermod --home /nonexistent USER",
    ))
}

/// `alice, bob and 3 more are`; `None` for nobody.
fn named(people: &[&Person], which: impl Fn(&Person) -> bool) -> Option<String> {
    let chosen = people.iter().filter(|person| which(person));
    let names: Vec<&str> = chosen.map(|person| person.name.as_str()).collect();
    let first = names.get(..MOST_NAMED.min(names.len()))?.join(", ");
    match names.len() {
        0 => None,
        1 => Some(format!("{first} is")),
        count if count <= MOST_NAMED => Some(format!("{first} are")),
        count => Some(format!("{first} and {} more are", count - MOST_NAMED)),
    }
}
