//! The same work for those who have no file: a refusal costs one counted failure and one replaced file,
//! whoever it is about.
//!
//! Otherwise the time it takes would tell who is known and who has a rate limit. There are 64 of them, beside
//! the counts of those who have files; a keyed hash of the name picks one, as for [`crate::store::decoys`],
//! so that a flood for one name keeps nobody else waiting. Their secrets are random and open nothing.

use std::path::Path;

use zeroize::Zeroizing;

use super::decide::{Attempt, Refusal, Verdict, decide};
use super::guesses::{Guard, Guesses};
use super::place::{Place, Trust};
use super::text::SecretFile;
use crate::clock::Clock;
use crate::secret::Secret;
use crate::store::decoys;
use crate::store::error::{Problem, StoreError};
use crate::store::files::DECOYS;
use crate::store::safe_open::Directory;

/// Counts a failure of nobody's, as [`super::UsersFile::settle`] counts one.
///
/// # Errors
/// [`StoreError`] when it cannot be counted; nothing depends on it.
pub fn count(
    guard: &Guard<'_>,
    attempt: &Attempt<'_>,
    clock: &impl Clock,
) -> Result<(), StoreError> {
    let name = choose(guard)?;
    super::check_size_limit(guard.state_dir)?;
    let guesses = Guesses::open(guard.state_dir)?;
    let mut record = guesses.lock(&name)?;
    let now = clock.now();
    if let Ok(left) = record.admit(guard, now) {
        let attempt = attempt.bounded(left, record.knows(guard.source, now));
        let wrong = Verdict::Refused(Refusal::Wrong);
        record.count(guard, wrong, attempt.guesses(), now);
    }
    record.commit()
}

/// Decides over the stand-in, and replaces it.
///
/// # Errors
/// [`StoreError`] when it cannot be locked, read or replaced; nothing depends on it.
pub fn replace(
    guard: &Guard<'_>,
    attempt: &Attempt<'_>,
    clock: &impl Clock,
) -> Result<(), StoreError> {
    let name = choose(guard)?;
    let guesses = Guesses::open(guard.state_dir)?;
    let path = guesses
        .directory
        .join(&format!("{name}.google_authenticator"));
    super::check_size_limit(&path)?;
    let place = Place::open(&path)?;
    let place = place.ok_or_else(|| StoreError::new(guard.state_dir, Problem::NotInitialised))?;
    let _lock = guesses.locks.lock(place.key()?)?;
    place.clear()?;
    let trust = Trust {
        owner: None,
        mode: 0o600,
    };
    let (file, stamp) = match place.read(&trust)? {
        Some((file, stamp)) => (file, Some(stamp)),
        None => (new_file(&path)?, None),
    };
    // Counted against a limit, it changes with every attempt.
    let attempt = Attempt {
        counted: false,
        ..*attempt
    };
    let (_, new) = decide(&file, &attempt, clock.now());
    let new = new.unwrap_or(file);
    match stamp {
        Some(stamp) => place.replace(&new, &stamp),
        None => place.create(&new),
    }
}

/// No user name is encoded with a dot in front, so this is nobody's name.
fn choose(guard: &Guard<'_>) -> Result<String, StoreError> {
    let decoys = Directory::open(guard.state_dir)?.inside(DECOYS)?;
    decoys::choose(&decoys, guard.user).map(|number| format!(".{number}"))
}

fn new_file(path: &Path) -> Result<SecretFile, StoreError> {
    let random = || StoreError::new(path, Problem::Random);
    let secret = Secret::generate().map_err(|_| random())?;
    let text = format!(
        "{}\n\" RATE_LIMIT 3 30\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n",
        *secret.to_base32()
    );
    SecretFile::new(Zeroizing::new(text.into_bytes())).ok_or_else(random)
}
