//! The same work for those who have no file: a refusal costs one replaced file, whoever it is about.
//!
//! Otherwise the time it takes would tell who is known and who has a rate limit. The file is one for all,
//! in the state directory; its secret is random and opens nothing.

use std::path::Path;

use zeroize::Zeroizing;

use super::decide::{Attempt, decide};
use super::lock::Locks;
use super::place::{Place, Trust};
use super::text::SecretFile;
use crate::clock::Clock;
use crate::secret::Secret;
use crate::store::error::{Problem, StoreError};

const FILE: &str = "google_authenticator.stand-in";

/// Decides over the stand-in, and replaces it.
///
/// # Errors
/// [`StoreError`] when it cannot be locked, read or replaced; nothing depends on it.
pub fn settle(
    state_dir: &Path,
    attempt: &Attempt<'_>,
    clock: &impl Clock,
) -> Result<(), StoreError> {
    let path = state_dir.join(FILE);
    super::check_size_limit(&path)?;
    let locks = Locks::open(state_dir)?;
    let place = Place::open(&path)?;
    let place = place.ok_or_else(|| StoreError::new(state_dir, Problem::NotInitialised))?;
    let _lock = locks.lock(place.key()?)?;
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
    let (_, new) = decide(&file, attempt, clock.now());
    let new = new.unwrap_or(file);
    match stamp {
        Some(stamp) => place.replace(&new, &stamp),
        None => place.create(&new),
    }
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
