//! Everybody, as they come: names by the thousand, in the order of the directory, read in the order of the disk.
//!
//! A directory's order is that of hashes, and a disk that is asked in it waits for each file by itself: a
//! million users took eight minutes. So the files of a batch are asked for in the order of their inodes, all
//! before the first is read. Nothing is locked: whoever only looks must not keep a login waiting.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Advice, OFlags};

use super::error::{Problem, StoreError};
use super::files::{FilesStore, account_file, check_tie};
use super::safe_open::{Directory, read_whole};
use super::{Record as _, slots};
use crate::account::{self, Account};
use crate::user_name::UserName;

/// Users who are read together: so many files are open at once, twice.
const BATCH: usize = 400;

/// Somebody who is listed.
#[derive(Debug)]
pub struct Entry {
    /// Who.
    pub user: UserName,
    /// Where on the disk, roughly.
    inode: u64,
}

type Listed = (UserName, Result<Account, StoreError>);

impl FilesStore {
    /// All users, in the order of the directory: those with an account, then those of whom only a state is
    /// left that should have one.
    ///
    /// # Errors
    /// [`StoreError`] when the directories cannot be read.
    pub fn entries(&self) -> Result<impl Iterator<Item = Entry>, StoreError> {
        let with_account = entries_of(&self.accounts, ".toml")?;
        let lone = entries_of(&self.state, "")?.filter(|entry| self.is_lone(&entry.user));
        Ok(with_account.chain(lone))
    }

    /// What each of them has enrolled, as they come. Who was removed meanwhile is left out.
    pub fn read_all<'a>(
        &'a self,
        mut entries: impl Iterator<Item = Entry> + 'a,
    ) -> impl Iterator<Item = Listed> + 'a {
        let mut batch = Vec::new().into_iter();
        let all = std::iter::from_fn(move || {
            if batch.as_slice().is_empty() {
                let next = entries.by_ref().take(BATCH).collect();
                batch = self.read_batch(next).into_iter();
            }
            batch.next()
        });
        let is_gone = |error: &StoreError| matches!(error.problem, Problem::NotEnrolled);
        all.filter(move |(_, account)| !account.as_ref().is_err_and(is_gone))
    }

    fn read_batch(&self, entries: Vec<Entry>) -> Vec<Listed> {
        let mut by_place: Vec<(usize, Entry)> = entries.into_iter().enumerate().collect();
        by_place.sort_unstable_by_key(|(_, entry)| entry.inode);
        let asked: Vec<_> = by_place
            .into_iter()
            .map(|(position, entry)| {
                let name = entry.user.file_name();
                let account = ask(&self.accounts, &account_file(name), account::LARGEST_FILE);
                let state = ask(&self.state, name, slots::FILE as u64);
                (position, entry.user, account, state)
            })
            .collect();
        let mut read: Vec<(usize, Listed)> = asked
            .into_iter()
            .map(|(position, user, account, state)| {
                let account = self.read_pair(&user, account, state);
                (position, (user, account))
            })
            .collect();
        read.sort_unstable_by_key(|(position, _)| *position);
        read.into_iter().map(|(_, listed)| listed).collect()
    }

    /// Whoever seems damaged is looked at again under the lock: a login or an administrator may have been at it.
    fn read_pair(
        &self,
        user: &UserName,
        account: Option<Asked>,
        state: Option<Asked>,
    ) -> Result<Account, StoreError> {
        let read = account.zip(state).and_then(|(account, state)| {
            let current = slots::newest(&state.read()?, user.file_name())?;
            // Where it stands is said by the look under the lock.
            let (bytes, name) = (account.read()?, user.file_name());
            let account = self.read_account(&bytes, name, Path::new(name)).ok()?;
            check_tie(&account, &current.state).ok()?;
            Some(account)
        });
        match read {
            Some(account) => Ok(account),
            None => self
                .lock_enrolled(user)
                .map(|record| record.account().clone()),
        }
    }
}

fn entries_of(
    directory: &Directory,
    suffix: &'static str,
) -> Result<impl Iterator<Item = Entry> + use<>, StoreError> {
    let entries = rustix::fs::Dir::read_from(&directory.fd)
        .map_err(|error| StoreError::io(&directory.path, "list", error))?;
    Ok(entries.filter_map(move |entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().to_str().ok()?.strip_suffix(suffix)?;
        Some(Entry {
            user: UserName::from_file_name(name)?,
            inode: entry.ino(),
        })
    }))
}

/// A file that the disk has been asked for.
struct Asked {
    fd: OwnedFd,
    stat: rustix::fs::Stat,
}

fn ask(directory: &Directory, name: &str, most: u64) -> Option<Asked> {
    let (fd, stat) = directory.open_file(name, OFlags::RDONLY, most).ok()??;
    // A file system that takes no advice is only slower.
    let _ = rustix::fs::fadvise(&fd, 0, None, Advice::WillNeed);
    Some(Asked { fd, stat })
}

impl Asked {
    fn read(&self) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        read_whole(&self.fd, &self.stat, &std::path::PathBuf::new).ok()
    }
}
