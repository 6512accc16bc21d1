//! Enrolling many users at once: the order of an enrolment, with waits for the disk that a thousand share.
//!
//! Everything is written in a directory of its own first and waited for; then the states are renamed to
//! where they belong, `pending`, then the accounts; then `pending` is taken back. So a kill or a power cut
//! at any moment leaves each user enrolled or not, and in the directory what the next administrator
//! clears away. That `pending` is gone is not waited for each time: it says only that a missing account would
//! be no damage, and the wait costs as much as all the others together.

use std::collections::HashSet;
use std::time::Instant;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::administration::{Administration, OWNER_ONLY, refused, sync_directory};
use super::error::{Problem, StoreError};
use super::files::{FilesStore, LockedFile, account_file, write_all_at};
use super::safe_open::Directory;
use super::{lock, slots};
use crate::account::Account;
use crate::state::State;
use crate::user_name::UserName;

const STAGING: &str = "staging";

/// Somebody to enrol.
#[derive(Debug)]
pub struct Enrolment {
    /// Who.
    pub user: UserName,
    /// With what.
    pub account: Account,
    /// What is used up already.
    pub state: State,
}

impl Administration<'_> {
    /// Enrols users who have no account, each as [`Administration::create`] would. A few thousand at a
    /// time: other administrators wait meanwhile, and the texts are held in memory. When it returns, all are
    /// enrolled for good; [`Administration::sync_all`] belongs behind the last call.
    ///
    /// # Errors
    /// Before anything is written: [`Problem::AlreadyEnrolled`], a name that no store takes or that stands
    /// there twice, an account that no file takes. Later, whatever cannot be written; then some of the
    /// users are enrolled, and the same call with the others may be tried again.
    pub fn create_all(&self, mut users: Vec<Enrolment>) -> Result<(), StoreError> {
        let mut names = HashSet::with_capacity(users.len());
        for enrolment in &mut users {
            self.prepare(enrolment)?;
            if !names.insert(enrolment.user.file_name().to_owned()) {
                return Err(refused(&enrolment.user, "stands there twice".into()));
            }
        }
        let staging = self.store.make_staging()?;
        let written = self.stage(&staging, &users);
        if let Err(error) = written {
            // Full disk: leave nothing half-written behind.
            let _ = self.store.clear_staging();
            return Err(error);
        }
        self.publish(&staging, &users)?;
        for enrolment in &users {
            self.settle(&enrolment.user)?;
        }
        self.store.clear_staging()
    }

    fn prepare(&self, enrolment: &mut Enrolment) -> Result<(), StoreError> {
        let Enrolment {
            user,
            account,
            state,
        } = enrolment;
        self.check_new(user)?;
        account.generation = account.generation.max(1);
        state.generation = account.generation;
        state.pending = true;
        state.follow(account, account);
        Ok(())
    }

    fn stage(&self, staging: &Directory, users: &[Enrolment]) -> Result<(), StoreError> {
        for (number, enrolment) in users.iter().enumerate() {
            let text = self.sealing.account_text(&enrolment.account)?;
            let state = slots::new_file(&enrolment.state, enrolment.user.file_name());
            write_new(staging, &state_name(number), &state)?;
            write_new(staging, &account_name(number), text.as_bytes())?;
        }
        self.sync_all()
    }

    fn publish(&self, staging: &Directory, users: &[Enrolment]) -> Result<(), StoreError> {
        let FilesStore {
            accounts, state, ..
        } = self.store;
        for (number, enrolment) in users.iter().enumerate() {
            let name = enrolment.user.file_name();
            rename(staging, &state_name(number), state, name)?;
        }
        sync_directory(state)?;
        for (number, enrolment) in users.iter().enumerate() {
            let name = account_file(enrolment.user.file_name());
            rename(staging, &account_name(number), accounts, &name)?;
        }
        sync_directory(accounts)
    }

    /// Takes `pending` back, without waiting for the disk. A login that came first has done so already, and
    /// what it used up must stay used up: so the state is looked at under its lock.
    fn settle(&self, user: &UserName) -> Result<(), StoreError> {
        let (states, name) = (&self.store.state, user.file_name());
        let path = || states.join(name);
        let file = states.open_file(name, OFlags::RDWR, slots::FILE as u64)?;
        // Gone, or another one by now: somebody has changed the user meanwhile.
        let Some((fd, _)) = file else { return Ok(()) };
        lock::exclusive(&fd, Instant::now() + lock::DEADLINE)
            .map_err(|_| StoreError::new(&path(), Problem::Busy))?;
        let locked = LockedFile(fd);
        let mut bytes = vec![0; slots::FILE];
        let length = rustix::io::pread(&locked.0, &mut bytes[..], 0)
            .map_err(|error| StoreError::io(&path(), "read", error))?;
        let current = slots::newest(bytes.get(..length).unwrap_or_default(), name);
        let current = current.ok_or_else(|| StoreError::new(&path(), Problem::DamagedState))?;
        if !current.state.pending {
            return Ok(());
        }
        let offset = current.next_offset();
        let state = State {
            pending: false,
            ..current.state
        };
        let slot = slots::frame(&state, current.sequence.saturating_add(1), name);
        write_all_at(&locked.0, &slot, offset)
            .map_err(|error| StoreError::io(&path(), "write", error))
    }

    /// Waits until all that was written to this file system is on the disk.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn sync_all(&self) -> Result<(), StoreError> {
        let root = &self.store.root;
        rustix::fs::syncfs(&root.fd).map_err(|error| StoreError::io(&root.path, "sync", error))
    }
}

impl FilesStore {
    pub(super) fn make_staging(&self) -> Result<Directory, StoreError> {
        let fail = |error| StoreError::io(&self.root.join(STAGING), "make the directory", error);
        rustix::fs::mkdirat(&self.root.fd, STAGING, OWNER_ONLY | Mode::XUSR).map_err(fail)?;
        self.root.inside(STAGING)
    }

    /// Removes what an interrupted [`Administration::create_all`] left.
    pub(super) fn clear_staging(&self) -> Result<(), StoreError> {
        if !self.root.has(STAGING)? {
            return Ok(());
        }
        let staging = self.root.inside(STAGING)?;
        let fail = |error| StoreError::io(&staging.path, "remove", error);
        let entries = rustix::fs::Dir::read_from(&staging.fd).map_err(fail)?;
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                rustix::fs::unlinkat(&staging.fd, name, AtFlags::empty()).map_err(fail)?;
            }
        }
        rustix::fs::unlinkat(&self.root.fd, STAGING, AtFlags::REMOVEDIR).map_err(fail)
    }
}

fn state_name(number: usize) -> String {
    format!("{number}.state")
}

pub(super) fn account_name(number: usize) -> String {
    format!("{number}.toml")
}

pub(super) fn write_new(directory: &Directory, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let fail = |error: Errno| StoreError::io(&directory.join(name), "write", error);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&directory.fd, name, flags, OWNER_ONLY).map_err(fail)?;
    write_all_at(&fd, bytes, 0).map_err(fail)
}

pub(super) fn rename(
    from: &Directory,
    old: &str,
    to: &Directory,
    new: &str,
) -> Result<(), StoreError> {
    rustix::fs::renameat(&from.fd, old, &to.fd, new)
        .map_err(|error| StoreError::io(&to.join(new), "rename", error))
}
