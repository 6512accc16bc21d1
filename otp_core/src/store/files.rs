//! The store in files: `accounts/USER.toml` written by administration, `state/USER` by logins.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use super::error::{Problem, StoreError};
use super::lock::{self, LockError};
use super::safe_open::Directory;
use super::sealing::Sealing;
use super::slots::{self, Current};
use super::{Record, Store, decoys};
use crate::account::stored::StoredAccount;
use crate::account::{self, Account};
use crate::state::State;
use crate::user_name::UserName;

/// The directories of a store.
#[derive(Debug)]
pub struct FilesStore {
    pub(super) root: Directory,
    pub(super) accounts: Directory,
    pub(super) state: Directory,
    pub(super) decoys: Directory,
    pub(super) sealing: Sealing,
}

pub(super) const ACCOUNTS: &str = "accounts";
pub(super) const STATE: &str = "state";
pub(super) const DECOYS: &str = "decoys";

pub(super) fn names_in(
    directory: &Directory,
) -> Result<impl Iterator<Item = String> + use<>, StoreError> {
    let entries = rustix::fs::Dir::read_from(&directory.fd)
        .map_err(|error| StoreError::io(&directory.path, "list", error))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned())))
}

pub(super) fn account_file(user: &str) -> String {
    format!("{user}.toml")
}

/// What is there of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Enrolled,
    NotEnrolled,
}

/// Where a record stands: the user's two files, or a decoy's.
struct Place<'a> {
    accounts: &'a Directory,
    state: &'a Directory,
    name: &'a str,
    decoy: bool,
}

impl FilesStore {
    /// Opens the store in this directory.
    ///
    /// # Errors
    /// [`StoreError`] when it is not there, or when anybody else may enter it.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let root = Directory::open(state_dir)?;
        let [accounts, state, decoys] = [ACCOUNTS, STATE, DECOYS].map(|name| root.inside(name));
        Ok(Self {
            accounts: accounts?,
            state: state?,
            decoys: decoys?,
            sealing: Sealing::load(&root)?,
            root,
        })
    }

    /// The directory of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root.path
    }

    /// The names of all users, in the order of the directory: those with an account, then those of whom
    /// only a state is left that should have one.
    ///
    /// # Errors
    /// [`StoreError`] when the directories cannot be read.
    pub fn users(&self) -> Result<impl Iterator<Item = UserName>, StoreError> {
        Ok(self.entries()?.map(|entry| entry.user))
    }

    /// Whether only a state is left of somebody who should have an account.
    pub(super) fn is_lone(&self, user: &UserName) -> bool {
        let account = self.accounts.has(&account_file(user.file_name()));
        matches!(account, Ok(false)) && self.is_enrolled(user).is_err()
    }

    /// The user's own record, locked.
    ///
    /// # Errors
    /// [`Problem::NotEnrolled`], and all that [`Store::lock`] fails with.
    pub fn lock_enrolled(&self, user: &UserName) -> Result<FileRecord, StoreError> {
        let record = self.lock(user)?;
        if record.is_decoy() {
            return Err(self.not_enrolled(user));
        }
        Ok(record)
    }

    pub(super) fn not_enrolled(&self, user: &UserName) -> StoreError {
        StoreError::new(Path::new(user.file_name()), Problem::NotEnrolled)
    }

    /// Looks for the two files, in the same order for everybody.
    fn presence(&self, user: &UserName) -> Result<Presence, StoreError> {
        let (name, file) = (user.file_name(), account_file(user.file_name()));
        match (self.accounts.has(&file)?, self.state.has(name)?) {
            (true, true) => Ok(Presence::Enrolled),
            (false, false) => Ok(Presence::NotEnrolled),
            // A removal takes the account first, then the state: look again before calling it damage.
            (true, false) if !self.accounts.has(&file)? => Ok(Presence::NotEnrolled),
            // And enrolled anew between the two looks.
            (true, false) if self.state.has(name)? => Ok(Presence::Enrolled),
            (true, false) => Err(StoreError::new(
                &self.state.join(name),
                Problem::StateMissing,
            )),
            (false, true) => self.presence_of_lone_state(user, &file),
        }
    }

    /// A state without an account: an enrolment or a removal under way, or cut short, says `pending`.
    fn presence_of_lone_state(&self, user: &UserName, file: &str) -> Result<Presence, StoreError> {
        let name = user.file_name();
        let current = self.read_state(&self.state, name)?;
        if self.accounts.has(file)? {
            return Ok(Presence::Enrolled);
        }
        match current {
            None => Ok(Presence::NotEnrolled),
            Some(current) if current.state.pending => Ok(Presence::NotEnrolled),
            Some(_) => Err(StoreError::new(
                &self.accounts.join(file),
                Problem::AccountMissing,
            )),
        }
    }

    /// Reads a state without its lock; `None` when there is no such file.
    fn read_state(&self, directory: &Directory, name: &str) -> Result<Option<Current>, StoreError> {
        let damaged = || StoreError::new(&directory.join(name), Problem::DamagedState);
        let Some(bytes) = directory.read(name, slots::FILE as u64)? else {
            return Ok(None);
        };
        slots::newest(&bytes, name).ok_or_else(damaged).map(Some)
    }

    /// Locks and reads; `None` when the files were replaced or removed meanwhile.
    fn try_lock(
        &self,
        place: &Place<'_>,
        deadline: Instant,
    ) -> Result<Option<FileRecord>, StoreError> {
        let path = || place.state.join(place.name);
        // A state that has grown is as damaged as one that has shrunk.
        let damaged = |error| match error {
            StoreError {
                path,
                problem: Problem::Size { .. },
            } => StoreError {
                path,
                problem: Problem::DamagedState,
            },
            error => error,
        };
        let Some((fd, _)) = place
            .state
            .open_file(place.name, OFlags::RDWR, slots::FILE as u64)
            .map_err(damaged)?
        else {
            return Ok(None);
        };
        lock::exclusive(&fd, deadline).map_err(|error| match error {
            LockError::Busy => StoreError::new(&path(), Problem::Busy),
            LockError::Failed(error) => StoreError::io(&path(), "lock", error),
        })?;
        let locked = LockedFile(fd);
        if !self.is_current(place, &locked)? {
            return Ok(None);
        }
        let current = locked.read(place)?;
        let file = account_file(place.name);
        let text = match place.accounts.read(&file, account::LARGEST_FILE)? {
            Some(text) => text,
            // Removed meanwhile. A decoy is never removed, only made half by an interrupted `init`.
            None if current.state.pending && !place.decoy => return Ok(None),
            None => {
                return Err(StoreError::new(
                    &place.accounts.join(&file),
                    Problem::AccountMissing,
                ));
            }
        };
        let account = self.read_account(&text, place.name, &place.accounts.join(&file))?;
        check_tie(&account, &current.state).map_err(|problem| StoreError::new(&path(), problem))?;
        let name = place.name.to_owned();
        Ok(Some(FileRecord {
            locked,
            path: path(),
            name,
            decoy: place.decoy,
            account,
            current,
        }))
    }

    /// Locks a decoy. One that is not whole is an error at once: nobody is about to bring it back.
    pub(super) fn lock_decoy(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<FileRecord, StoreError> {
        let directory = &self.decoys;
        let place = Place {
            accounts: directory,
            state: directory,
            name,
            decoy: true,
        };
        let of_a_decoy = |problem| Problem::Decoy(Box::new(problem));
        match self.try_lock(&place, deadline) {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err(StoreError::new(
                &directory.join(name),
                of_a_decoy(Problem::StateMissing),
            )),
            Err(StoreError {
                path,
                problem: Problem::Busy,
            }) => Err(StoreError {
                path,
                problem: Problem::Busy,
            }),
            Err(StoreError { path, problem }) => Err(StoreError {
                path,
                problem: of_a_decoy(problem),
            }),
        }
    }

    /// The decoys that are missing or damaged.
    #[must_use]
    pub fn damaged_decoys(&self) -> Vec<StoreError> {
        let lock = |number| self.lock_decoy(&decoys::name(number), Instant::now() + lock::DEADLINE);
        (0..decoys::COUNT)
            .filter_map(|number| lock(number).err())
            .collect()
    }

    /// Reads an account file's bytes, and opens its secrets.
    pub(super) fn read_account(
        &self,
        bytes: &[u8],
        name: &str,
        path: &Path,
    ) -> Result<Account, StoreError> {
        let stored =
            parse_account(bytes, name).map_err(|problem| StoreError::new(path, problem))?;
        self.sealing.open(&self.root, &stored, path)
    }

    /// Whether the locked descriptor is still what the path leads to.
    fn is_current(&self, place: &Place<'_>, locked: &LockedFile) -> Result<bool, StoreError> {
        let fail = |error| StoreError::io(&place.state.join(place.name), "stat", error);
        let held = rustix::fs::fstat(&locked.0).map_err(fail)?;
        match rustix::fs::statat(&place.state.fd, place.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok(
                held.st_nlink == 1 && (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)
            ),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(fail(error)),
        }
    }
}

/// Reads an account file's bytes and holds its user against the file name. Opens no secret.
pub(super) fn parse_account(bytes: &[u8], name: &str) -> Result<StoredAccount, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8)?;
    let account =
        StoredAccount::parse(text).map_err(|error| Problem::DamagedAccount(error.to_string()))?;
    if account.user != name {
        return Err(Problem::DamagedAccount(
            "it is the account of another user".into(),
        ));
    }
    Ok(account)
}

/// A state belongs to the account's generation, or to the next one, when a change was cut short; and it
/// knows every device of the account, for one that it does not know would start with all codes unused.
pub(super) fn check_tie(account: &Account, state: &State) -> Result<(), Problem> {
    let ahead = state.generation.checked_sub(account.generation);
    if !matches!(ahead, Some(0 | 1)) {
        return Err(Problem::Generation {
            account: account.generation,
            state: state.generation,
        });
    }
    let known = |serial| state.tokens.iter().any(|token| token.serial == serial);
    match account.tokens.iter().find(|token| !known(token.serial)) {
        Some(token) => Err(Problem::UnknownDevice(token.id.clone())),
        None => Ok(()),
    }
}

/// A caller's limit on file sizes (`ulimit -f`) below the state file's: the commit would fail, or kill the
/// process, after the code was judged, and the attempt would not count. Local users set it for `su`.
fn check_size_limit(path: &Path) -> Result<(), StoreError> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    match limit {
        Some(bytes) if bytes < slots::FILE as u64 => {
            Err(StoreError::new(path, Problem::FileSizeLimit(bytes)))
        }
        _ => Ok(()),
    }
}

impl Store for FilesStore {
    type Record = FileRecord;

    fn is_enrolled(&self, user: &UserName) -> Result<bool, StoreError> {
        self.presence(user)
            .map(|presence| presence == Presence::Enrolled)
    }

    fn lock(&self, user: &UserName) -> Result<FileRecord, StoreError> {
        let deadline = Instant::now() + lock::DEADLINE;
        check_size_limit(&self.root.path)?;
        // Chosen for everybody, for the sake of the same calls in the same order.
        let decoy = decoys::choose(&self.decoys, user)?;
        loop {
            if self.presence(user)? == Presence::NotEnrolled {
                return self.lock_decoy(&decoy, deadline);
            }
            let place = Place {
                accounts: &self.accounts,
                state: &self.state,
                name: user.file_name(),
                decoy: false,
            };
            if let Some(record) = self.try_lock(&place, deadline)? {
                return Ok(record);
            }
            if Instant::now() >= deadline {
                return Err(StoreError::new(
                    &place.state.join(place.name),
                    Problem::Busy,
                ));
            }
        }
    }
}

/// A state file whose lock this process holds; dropping it gives the lock back.
pub(super) struct LockedFile(pub(super) OwnedFd);

impl LockedFile {
    fn read(&self, place: &Place<'_>) -> Result<Current, StoreError> {
        let path = || place.state.join(place.name);
        // Not wiped when dropped: there is no secret in a state.
        let mut bytes = vec![0; slots::FILE];
        let mut length = 0;
        while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
            match rustix::io::pread(&self.0, room, length as u64) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(StoreError::io(&path(), "read", error)),
            }
        }
        // A truncated file has no two slots; `newest` finds none.
        let whole = bytes.get(..length).unwrap_or_default();
        slots::newest(whole, place.name)
            .filter(|_| length == slots::FILE)
            .ok_or_else(|| StoreError::new(&path(), Problem::DamagedState))
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        lock::release(&self.0);
    }
}

/// A locked record of the files store.
pub struct FileRecord {
    pub(super) locked: LockedFile,
    path: PathBuf,
    name: String,
    decoy: bool,
    account: Account,
    current: Current,
}

impl fmt::Debug for FileRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRecord({})", self.path.display())
    }
}

impl FileRecord {
    /// Overwrites the other slot in place and waits for the disk; keeps the lock.
    pub(super) fn write(&mut self, state: &State) -> Result<(), StoreError> {
        let sequence = self.current.sequence.saturating_add(1);
        let bytes = slots::frame(state, sequence, &self.name);
        let offset = self.current.next_offset();
        write_all_at(&self.locked.0, &bytes, offset)
            .map_err(|error| StoreError::io(&self.path, "write", error))?;
        rustix::fs::fdatasync(&self.locked.0)
            .map_err(|error| StoreError::io(&self.path, "sync", error))?;
        self.current = Current {
            state: state.clone(),
            sequence,
            slot: 1 - self.current.slot,
        };
        Ok(())
    }
}

pub(super) fn write_all_at(fd: &OwnedFd, bytes: &[u8], offset: u64) -> Result<(), Errno> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pwrite(fd, rest, offset + written as u64) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Record for FileRecord {
    fn is_decoy(&self) -> bool {
        self.decoy
    }

    fn account(&self) -> &Account {
        &self.account
    }

    fn state(&self) -> &State {
        &self.current.state
    }

    fn commit(mut self, state: &State) -> Result<(), StoreError> {
        self.write(state)
    }
}
