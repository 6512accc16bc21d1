//! One file in a directory of its user's: opened without following or waiting, replaced in one step.
//!
//! All of this runs with the user's identity. The directory is opened once and everything goes by its
//! handle, so that a home renamed in between changes nothing.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::super::error::{Problem, StoreError};
use super::super::files::write_all_at;
use super::super::safe_open::read_whole;
use super::lock::byte_of;
use super::text::{LARGEST, SecretFile};

/// Behind the file's name: the new file until it is whole. One name, so that a kill leaves one at most.
const TEMPORARY: &str = "~otpgate";
/// The bits that are looked at: permissions, sticky and setgid.
const MODE_BITS: u32 = 0o3777;

/// Which file is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// Whose it has to be; `None` with `no_strict_owner`.
    pub owner: Option<u32>,
    /// The mode bits it may have (`allowed_perm`).
    pub mode: u32,
}

/// What tells one version of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    file: (u64, u64),
    size: i64,
    modified: (i64, i64),
}

impl Stamp {
    #[allow(clippy::unnecessary_cast)] // The fields' types differ between architectures.
    fn of(stat: &Stat) -> Self {
        Self {
            file: (stat.st_dev as u64, stat.st_ino as u64),
            size: stat.st_size as i64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        }
    }
}

/// A name in an open directory.
pub(super) struct Place {
    directory: OwnedFd,
    name: OsString,
    temporary: OsString,
    path: PathBuf,
}

impl Place {
    /// Opens the directory of this path; `None` when it is not there. Links on the way are followed: homes
    /// are moved about with them.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(StoreError::new(path, Problem::FileType("regular file")));
        };
        // O_PATH: passing through needs no right to list.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = match rustix::fs::open(parent, flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(StoreError::io(parent, "open", error)),
        };
        let mut temporary = name.to_owned();
        temporary.push(TEMPORARY);
        Ok(Some(Self {
            directory,
            temporary,
            name: name.to_owned(),
            path: path.to_owned(),
        }))
    }

    /// Which byte of the lock file is this file's: other spellings of a user's name or of the path lead to
    /// the same one.
    pub(super) fn key(&self) -> Result<i64, StoreError> {
        let stat =
            rustix::fs::fstat(&self.directory).map_err(|error| self.failed("stat", error))?;
        let Stamp {
            file: (device, inode),
            ..
        } = Stamp::of(&stat);
        let (device, inode) = (device.to_be_bytes(), inode.to_be_bytes());
        Ok(byte_of(&[&device, &inode, self.name.as_encoded_bytes()]))
    }

    /// Reads the file; `None` when there is none.
    pub(super) fn read(&self, trust: &Trust) -> Result<Option<(SecretFile, Stamp)>, StoreError> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.failed("open", error)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|error| self.failed("stat", error))?;
        self.check(&stat, trust)?;
        let bytes = read_whole(&fd, &stat, &|| self.path.clone())?;
        let file = SecretFile::new(bytes).ok_or_else(|| self.new_error(Problem::NoSecretFile))?;
        Ok(Some((file, Stamp::of(&stat))))
    }

    fn check(&self, stat: &Stat, trust: &Trust) -> Result<(), StoreError> {
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.new_error(Problem::FileType("regular file")));
        }
        let forbidden = MODE_BITS & !trust.mode;
        if stat.st_mode & forbidden != 0 {
            let mode = stat.st_mode & 0o7777;
            return Err(self.new_error(Problem::OpenToOthers { mode, forbidden }));
        }
        if let Some(expected) = trust.owner
            && stat.st_uid != expected
        {
            let uid = stat.st_uid;
            return Err(self.new_error(Problem::NotTheUsers { uid, expected }));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if !(1..=LARGEST).contains(&size) {
            return Err(self.new_error(Problem::NoSecretFile));
        }
        Ok(())
    }

    /// Removes what a killed login left.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        match rustix::fs::unlinkat(&self.directory, &self.temporary, AtFlags::empty()) {
            // Who may not remove it may not write either, and hears of that when there is something to write.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Puts a new file in the old one's place, durably. The old one stays whole until then.
    pub(super) fn replace(&self, new: &SecretFile, old: &Stamp) -> Result<(), StoreError> {
        self.put(new, Some(old))
    }

    /// The same where there is none.
    pub(super) fn create(&self, new: &SecretFile) -> Result<(), StoreError> {
        self.put(new, None)
    }

    fn put(&self, new: &SecretFile, old: Option<&Stamp>) -> Result<(), StoreError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.directory, &self.temporary, flags, Mode::RUSR)
            .map_err(|error| self.failed("write", error))?;
        let replaced = self.fill_and_rename(&fd, new, old);
        if replaced.is_err() {
            let _ = rustix::fs::unlinkat(&self.directory, &self.temporary, AtFlags::empty());
        }
        replaced?;
        self.sync_directory(&fd)
    }

    fn fill_and_rename(
        &self,
        fd: &OwnedFd,
        new: &SecretFile,
        old: Option<&Stamp>,
    ) -> Result<(), StoreError> {
        // Whatever the host's umask is: its user has to be able to read it at the next login.
        rustix::fs::fchmod(fd, Mode::RUSR).map_err(|error| self.failed("write", error))?;
        write_all_at(fd, new.bytes(), 0).map_err(|error| self.failed("write", error))?;
        rustix::fs::fsync(fd).map_err(|error| self.failed("write", error))?;
        // Another host with the same home, or its user, does not know of our lock.
        let now = match rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(Stamp::of(&stat)),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(self.failed("stat", error)),
        };
        if now.as_ref() != old {
            return Err(self.new_error(Problem::Changed));
        }
        rustix::fs::renameat(
            &self.directory,
            &self.temporary,
            &self.directory,
            &self.name,
        )
        .map_err(|error| self.failed("write", error))
    }

    /// A rename is durable with its directory; in one that its user may not list, with the file system.
    fn sync_directory(&self, fd: &OwnedFd) -> Result<(), StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let synced = match rustix::fs::openat(&self.directory, ".", flags, Mode::empty()) {
            Ok(directory) => rustix::fs::fsync(directory),
            Err(Errno::ACCESS) => rustix::fs::syncfs(fd),
            Err(error) => Err(error),
        };
        match synced {
            // Some network file systems cannot, and do it at once.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(self.failed("write", error)),
        }
    }

    fn failed(&self, action: &'static str, error: Errno) -> StoreError {
        match error {
            Errno::LOOP | Errno::NXIO | Errno::ISDIR => StoreError::io(&self.path, action, error),
            error => self.new_error(Problem::Io {
                action,
                error: error.into(),
            }),
        }
    }

    fn new_error(&self, problem: Problem) -> StoreError {
        StoreError::new(&self.path, problem)
    }
}

/// Whether the file system takes nothing now, of anybody: what `allow_readonly` is about.
pub(super) fn is_read_only(error: &StoreError) -> bool {
    matches!(&error.problem, Problem::Io { error, .. } if matches!(
        error.kind(),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    ))
}
