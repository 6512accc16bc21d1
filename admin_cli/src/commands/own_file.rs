//! What is counted of people who log in by a file of their own, enrolled or not.

use std::path::Path;

use nix::unistd::User;
use otp_core::state::State;
use otp_core::store::StoreError;
use otp_core::store::google_authenticator::guesses::Guesses;
use otp_core::user_name::UserName;

/// The name as it was typed, and as the system spells it: failures are counted under the latter.
fn spellings(typed: &str) -> Vec<UserName> {
    let mut names = vec![UserName::from(typed)];
    // A name service that does not answer leaves what was typed.
    let known = User::from_name(typed).ok().flatten();
    let canonical = known.map(|user| UserName::from(user.name.as_str()));
    names.extend(canonical.filter(|name| *name != UserName::from(typed)));
    names
}

/// What is on record of this user; `None` for nothing.
pub(super) fn state(state_dir: &Path, typed: &str) -> Result<Option<State>, StoreError> {
    let guesses = Guesses::open(state_dir)?;
    for name in spellings(typed) {
        if let Some(state) = guesses.state(&name)? {
            return Ok(Some(state));
        }
    }
    Ok(None)
}

/// Forgets the failures on record, and says how many; `None` for one of whom nothing is.
pub(super) fn unlock(state_dir: &Path, typed: &str) -> Result<Option<u16>, StoreError> {
    let guesses = Guesses::open(state_dir)?;
    let mut forgotten: Option<u16> = None;
    for name in spellings(typed) {
        if let Some(failures) = guesses.unlock(&name)? {
            forgotten = Some(forgotten.unwrap_or(0).saturating_add(failures));
        }
    }
    Ok(forgotten)
}
