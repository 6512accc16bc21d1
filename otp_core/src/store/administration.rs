//! Everything that changes accounts: enrolment, devices, recovery codes, removal.
//!
//! One administrator at a time (`flock` on `administration.lock`), and under the lock of the user's
//! state for as long as a change takes, so that a login sees either the old pair of files or the new
//! one. The state goes first, with the next generation, then the account: a crash between the two leaves
//! the old account in force with a state that remembers everything either of them needs.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::error::{Problem, StoreError};
use super::files::{
    ACCOUNTS, DECOYS, FileRecord, FilesStore, LockedFile, STATE, account_file, write_all_at,
};
use super::google_authenticator::guesses::Guesses;
use super::lock::{self, LockError};
use super::safe_open::Directory;
use super::sealing::Sealing;
use super::{Record, Store, decoys, slots};
use crate::account::Account;
use crate::state::State;
use crate::user_name::UserName;

const LOCK_FILE: &str = "administration.lock";
/// No user name is encoded with a dot in front, so this is nobody's file.
pub(super) const TEMPORARY: &str = ".new";
pub(super) const OWNER_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);

/// The right to change accounts. There is one of it at a time.
pub struct Administration<'a> {
    pub(super) store: &'a FilesStore,
    /// As it is now: the store may have been opened before a rotation.
    pub(super) sealing: Sealing,
    _lock: LockedFile,
}

/// Makes the directories, the decoys and their key; what is there already stays as it is.
///
/// # Errors
/// [`StoreError`] for what cannot be made, or must not be trusted.
pub fn init(state_dir: &Path) -> Result<FilesStore, StoreError> {
    make_directory(state_dir)?;
    for name in [ACCOUNTS, STATE, DECOYS] {
        make_directory(&state_dir.join(name))?;
    }
    let store = FilesStore::open(state_dir)?;
    let administration = store.administer()?;
    administration.make_decoys()?;
    drop(administration);
    // Where a policy keeps logins from making files here, these are there already.
    Guesses::open(state_dir)?;
    Ok(store)
}

fn make_directory(path: &Path) -> Result<(), StoreError> {
    match rustix::fs::mkdir(path, OWNER_ONLY | Mode::XUSR) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(StoreError::io(path, "make the directory", error)),
    }
}

impl FilesStore {
    /// Waits for other administrators, and clears away what an interrupted one left.
    ///
    /// # Errors
    /// [`StoreError`] when the lock file cannot be opened or stays locked.
    pub fn administer(&self) -> Result<Administration<'_>, StoreError> {
        let path = self.root.join(LOCK_FILE);
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(&self.root.fd, LOCK_FILE, flags, OWNER_ONLY)
            .map_err(|error| StoreError::io(&path, "open", error))?;
        lock::exclusive(&fd, Instant::now() + lock::DEADLINE).map_err(|error| match error {
            LockError::Busy => StoreError::new(&path, Problem::Busy),
            LockError::Failed(error) => StoreError::io(&path, "lock", error),
        })?;
        let administration = Administration {
            store: self,
            sealing: Sealing::load(&self.root)?,
            _lock: LockedFile(fd),
        };
        for directory in [&self.root, &self.accounts, &self.state, &self.decoys] {
            remove_file(directory, TEMPORARY)?;
        }
        self.clear_staging()?;
        Ok(administration)
    }
}

impl Administration<'_> {
    /// Enrols a user who has no account.
    ///
    /// # Errors
    /// [`Problem::AlreadyEnrolled`], and whatever cannot be written; then the user is not enrolled.
    pub fn create(
        &self,
        user: &UserName,
        mut account: Account,
        mut state: State,
    ) -> Result<(), StoreError> {
        self.check_new(user)?;
        account.generation = account.generation.max(1);
        state.generation = account.generation;
        let Place {
            accounts,
            states,
            name,
        } = self.place(user);
        state.follow(&account, &account);
        let text = self.sealing.account_text(&account)?;
        write_pair(accounts, states, name, &text, &mut state)
    }

    /// Whether the user can be enrolled: has no account, and a name that a file can have.
    pub(super) fn check_new(&self, user: &UserName) -> Result<(), StoreError> {
        if self.store.is_enrolled(user)? {
            return Err(StoreError::new(
                Path::new(user.file_name()),
                Problem::AlreadyEnrolled,
            ));
        }
        if UserName::from_file_name(user.file_name()).as_ref() != Some(user) {
            return Err(refused(user, "the user name is empty or too long".into()));
        }
        Ok(())
    }

    /// Changes a user's account and state together. `change` sees the current ones.
    ///
    /// # Errors
    /// What `change` refuses, [`Problem::NotEnrolled`], and whatever cannot be written.
    pub fn update<T>(
        &self,
        user: &UserName,
        change: impl FnOnce(&mut Account, &mut State) -> Result<T, String>,
    ) -> Result<T, StoreError> {
        let mut record = self.store.lock_enrolled(user)?;
        let old = record.account().clone();
        let (mut account, mut state) = (old.clone(), record.state().clone());
        let result = change(&mut account, &mut state).map_err(|why| refused(user, why))?;
        // Whoever has a device is not invited any more, whichever way it came.
        account.invite = account.invite().cloned();
        account.generation = old.generation.saturating_add(1);
        state.generation = account.generation;
        state.pending = false;
        state.follow(&old, &account);
        // Checked before anything is written: a state without its account would be damage.
        let text = self.sealing.account_text(&account)?;
        record.write(&state)?;
        self.replace_account(user, &text)?;
        Ok(result)
    }

    /// Changes what logins change, and nothing that was enrolled.
    ///
    /// # Errors
    /// What `change` refuses, [`Problem::NotEnrolled`], and whatever cannot be written.
    pub fn update_state<T>(
        &self,
        user: &UserName,
        change: impl FnOnce(&Account, &mut State) -> Result<T, String>,
    ) -> Result<T, StoreError> {
        let record = self.store.lock_enrolled(user)?;
        let mut state = record.state().clone();
        let result = change(record.account(), &mut state).map_err(|why| refused(user, why))?;
        record.commit(&state)?;
        Ok(result)
    }

    /// Removes a user's account and state.
    ///
    /// # Errors
    /// [`Problem::NotEnrolled`], damage, and whatever cannot be removed.
    pub fn remove(&self, user: &UserName) -> Result<(), StoreError> {
        let mut record: FileRecord = self.store.lock_enrolled(user)?;
        // From here on the account may be gone without that being damage.
        let state = State {
            pending: true,
            ..record.state().clone()
        };
        record.write(&state)?;
        self.remove_files(user)
    }

    /// Removes whatever files there are of a user, damaged ones too.
    ///
    /// # Errors
    /// Whatever cannot be removed.
    pub fn remove_damaged(&self, user: &UserName) -> Result<(), StoreError> {
        match self.remove(user) {
            Err(error) if !matches!(error.problem, Problem::NotEnrolled) => self.remove_files(user),
            result => result,
        }
    }

    fn remove_files(&self, user: &UserName) -> Result<(), StoreError> {
        let Place {
            accounts,
            states,
            name,
        } = self.place(user);
        remove_file(accounts, &account_file(name))?;
        sync_directory(accounts)?;
        remove_file(states, name)?;
        sync_directory(states)
    }

    fn replace_account(&self, user: &UserName, text: &str) -> Result<(), StoreError> {
        let Place { accounts, name, .. } = self.place(user);
        let temporary = write_temporary(accounts, text.as_bytes())?;
        drop(temporary);
        rename_temporary(accounts, &account_file(name))
    }

    fn place<'b>(&'b self, user: &'b UserName) -> Place<'b> {
        Place {
            accounts: &self.store.accounts,
            states: &self.store.state,
            name: user.file_name(),
        }
    }

    /// Makes the key and the decoys that are missing, and replaces what is damaged: nothing of anybody's
    /// is in them.
    pub(super) fn make_decoys(&self) -> Result<(), StoreError> {
        // A key that is missing for the moment is no damage of the decoys.
        self.sealing.key()?;
        let directory = &self.store.decoys;
        let random = || StoreError::new(&directory.path, Problem::Random);
        let key = directory.read(decoys::KEY_FILE, decoys::KEY_LENGTH);
        if !matches!(key, Ok(Some(key)) if key.len() as u64 == decoys::KEY_LENGTH) {
            let mut key = [0; decoys::KEY_LENGTH as usize];
            getrandom::fill(&mut key).map_err(|_| random())?;
            drop(write_temporary(directory, &key)?);
            rename_temporary(directory, decoys::KEY_FILE)?;
        }
        for number in 0..decoys::COUNT {
            let name = decoys::name(number);
            if self
                .store
                .lock_decoy(&name, Instant::now() + lock::DEADLINE)
                .is_ok()
            {
                continue;
            }
            let account = decoys::account(number).map_err(|_| random())?;
            let mut state = State::new(&account);
            let text = self.sealing.account_text(&account)?;
            write_pair(directory, directory, &name, &text, &mut state)?;
        }
        Ok(())
    }
}

struct Place<'a> {
    accounts: &'a Directory,
    states: &'a Directory,
    name: &'a str,
}

pub(super) fn refused(user: &UserName, why: String) -> StoreError {
    StoreError::new(Path::new(user.file_name()), Problem::Refused(why))
}

/// A pending state, then the account, then the state without `pending`; locked from before it is there.
fn write_pair(
    accounts: &Directory,
    states: &Directory,
    name: &str,
    text: &str,
    state: &mut State,
) -> Result<(), StoreError> {
    state.pending = true;
    let locked = replace_state(states, name, state)?;
    drop(write_temporary(accounts, text.as_bytes())?);
    rename_temporary(accounts, &account_file(name))?;
    state.pending = false;
    let path = || states.join(name);
    let bytes = slots::frame(state, 2, name);
    write_all_at(&locked.0, &bytes, slots::SLOT as u64)
        .map_err(|error| StoreError::io(&path(), "write", error))?;
    rustix::fs::fdatasync(&locked.0).map_err(|error| StoreError::io(&path(), "sync", error))
}

/// Puts a new state file in the place of whatever is there, and returns it locked.
pub(super) fn replace_state(
    states: &Directory,
    name: &str,
    state: &State,
) -> Result<LockedFile, StoreError> {
    let file = write_temporary(states, &slots::new_file(state, name))?;
    lock::exclusive(&file, Instant::now() + lock::DEADLINE)
        .map_err(|_| StoreError::new(&states.join(TEMPORARY), Problem::Busy))?;
    let locked = LockedFile(file);
    rename_temporary(states, name)?;
    Ok(locked)
}

pub(super) fn write_temporary(directory: &Directory, bytes: &[u8]) -> Result<OwnedFd, StoreError> {
    let path = || directory.join(TEMPORARY);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&directory.fd, TEMPORARY, flags, OWNER_ONLY)
        .map_err(|error| StoreError::io(&path(), "make", error))?;
    let written = write_all_at(&fd, bytes, 0).and_then(|()| rustix::fs::fsync(&fd));
    if let Err(error) = written {
        // Full disk: leave nothing half-written behind.
        let _ = rustix::fs::unlinkat(&directory.fd, TEMPORARY, AtFlags::empty());
        return Err(StoreError::io(&path(), "write", error));
    }
    Ok(fd)
}

pub(super) fn rename_temporary(directory: &Directory, name: &str) -> Result<(), StoreError> {
    rustix::fs::renameat(&directory.fd, TEMPORARY, &directory.fd, name)
        .map_err(|error| StoreError::io(&directory.join(name), "rename", error))?;
    sync_directory(directory)
}

pub(super) fn sync_directory(directory: &Directory) -> Result<(), StoreError> {
    rustix::fs::fsync(&directory.fd).map_err(|error| StoreError::io(&directory.path, "sync", error))
}

pub(super) fn remove_file(directory: &Directory, name: &str) -> Result<(), StoreError> {
    match rustix::fs::unlinkat(&directory.fd, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(StoreError::io(&directory.join(name), "remove", error)),
    }
}
