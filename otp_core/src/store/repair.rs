//! A state file that is gone, damaged, or of another time than its account.
//!
//! A fresh start would reopen every code that was ever used. So whatever the old file still tells is
//! kept, and what it does not tell is taken to be used up.

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::administration::{Administration, replace_state};
use super::error::{Problem, StoreError};
use super::files::account_file;
use super::safe_open::{Directory, GROUP_AND_OTHERS};
use super::{Store, slots};
use crate::account::{Account, Kind, LARGEST_FILE};
use crate::invite::Invite;
use crate::matching::MAX_SKEW;
use crate::state::{State, TokenState};
use crate::totp::UnixTime;
use crate::user_name::UserName;

/// What a repair did, and what is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repaired {
    /// There was nothing to do.
    Healthy,
    /// Owner or mode were put right.
    Permissions,
    /// The state was readable; it was tied to the account again, and nothing is lost.
    Kept,
    /// The state, or a part of it, could not tell what was used, so all of that counts as used.
    Lost {
        /// Some codes of time-based devices are refused until this moment.
        totp_from: Option<UnixTime>,
        /// Some HOTP devices need `otpgate resync`.
        counters: bool,
        /// The recovery codes no longer work.
        recovery: bool,
        /// The invite no longer works.
        invite: bool,
    },
}

impl Administration<'_> {
    /// Repairs a user's files as far as that is safe.
    ///
    /// # Errors
    /// [`Problem::AccountMissing`] and [`Problem::DamagedAccount`]: what was enrolled cannot be made up.
    pub fn repair(&self, user: &UserName, now: UnixTime) -> Result<Repaired, StoreError> {
        let store = self.store;
        let (name, file) = (user.file_name(), account_file(user.file_name()));
        let fixed = restrict(&store.accounts, &file)? | restrict(&store.state, name)?;
        match store.lock_enrolled(user) {
            Ok(_) if fixed => return Ok(Repaired::Permissions),
            Ok(_) => return Ok(Repaired::Healthy),
            Err(error) if error.is_repairable() => {}
            Err(error) => return Err(error),
        }
        let text = store
            .accounts
            .read(&file, LARGEST_FILE)?
            .ok_or_else(|| store.not_enrolled(user))?;
        let account = store.read_account(&text, name, &store.accounts.join(&file))?;
        let (state, repaired) = mended(&account, self.readable_state(name)?, now);
        drop(replace_state(&store.state, name, &state)?);
        store.is_enrolled(user)?;
        Ok(repaired)
    }

    fn readable_state(&self, name: &str) -> Result<Option<State>, StoreError> {
        let bytes = match self.store.state.read(name, slots::FILE as u64) {
            Err(StoreError {
                problem: Problem::Size { .. },
                ..
            }) => return Ok(None),
            bytes => bytes?,
        };
        Ok(bytes
            .and_then(|bytes| slots::newest(&bytes, name))
            .map(|current| current.state))
    }
}

/// Gives a regular file back to its owner alone. Says whether there was anything to do.
fn restrict(directory: &Directory, name: &str) -> Result<bool, StoreError> {
    let fail = |action, error| StoreError::io(&directory.join(name), action, error);
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    if !directory.has(name)? {
        return Ok(false);
    }
    let fd = rustix::fs::openat(&directory.fd, name, flags, Mode::empty())
        .map_err(|error| fail("open", error))?;
    let stat = rustix::fs::fstat(&fd).map_err(|error| fail("stat", error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
        return Err(StoreError::new(
            &directory.join(name),
            Problem::FileType("regular file with one name"),
        ));
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    let owner = rustix::process::geteuid();
    let wrong_mode = mode.as_raw_mode() & GROUP_AND_OTHERS != 0;
    if wrong_mode {
        rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR).map_err(|error| fail("chmod", error))?;
    }
    let wrong_owner = stat.st_uid != owner.as_raw() && stat.st_uid != 0;
    if wrong_owner {
        rustix::fs::chownat(&fd, "", Some(owner), None, AtFlags::EMPTY_PATH)
            .map_err(|error| fail("chown", error))?;
    }
    Ok(wrong_mode || wrong_owner)
}

/// A state for this account that reopens nothing: what the old one still tells holds, and what it does not
/// tell is taken to be used up.
///
/// A state that is behind its account was restored from a backup, and knows nothing of what was used
/// since. One that is more than one change ahead may have forgotten devices and recovery codes which the
/// account, restored from a backup itself, has again.
fn mended(account: &Account, known: Option<State>, now: UnixTime) -> (State, Repaired) {
    let generation = known.as_ref().map_or(0, |state| state.generation);
    let behind = known.is_none() || generation < account.generation;
    let forgetful = behind || generation > account.generation.saturating_add(1);
    let mut state = known.unwrap_or_default();
    let (mut totp_from, mut counters) = (None, false);
    for token in &account.tokens {
        let entry = state
            .tokens
            .iter()
            .find(|entry| entry.serial == token.serial)
            .cloned();
        if entry.is_some() && !behind {
            continue;
        }
        let mut entry = entry.unwrap_or_else(|| TokenState::new(token.serial, &token.kind));
        entry.candidate = None;
        match &token.kind {
            Kind::Totp { period } => {
                // The furthest step that could have been accepted until now, with the largest skew.
                entry.next = entry
                    .next
                    .max(period.step(now).saturating_add(MAX_SKEW + 2));
                let first = entry
                    .next
                    .saturating_sub(1)
                    .saturating_mul(u64::from(period.seconds()));
                totp_from = totp_from.max(Some(UnixTime(first)));
            }
            // Nobody can say where the counter stood; `otpgate resync` finds it from two codes.
            Kind::Hotp { .. } => {
                entry.next = u64::MAX;
                counters = true;
            }
            // A code that waits is lost with the old state, and the next one is another.
            Kind::Delivered { .. } => {}
        }
        state.set_token(entry);
    }
    if behind {
        // It may have been used since.
        state.sent.pending = None;
    }
    if forgetful {
        state.used_recovery = account.recovery_ids().collect();
        state.admissions = account.invite().map(Invite::used_up);
    }
    state.generation = account.generation;
    state.pending = false;
    state.follow(account, account);
    let recovery = forgetful && account.recovery_ids().next().is_some();
    let invite = forgetful && account.invite().is_some();
    let repaired = match (totp_from, counters, recovery, invite) {
        (None, false, false, false) => Repaired::Kept,
        _ => Repaired::Lost {
            totp_from,
            counters,
            recovery,
            invite,
        },
    };
    (state, repaired)
}
