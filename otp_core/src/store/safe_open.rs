//! Opening files without following, waiting or trusting.
//!
//! Every file is opened relative to a directory handle, with O_NOFOLLOW (a link planted there leads
//! nowhere), O_NONBLOCK (a FIFO does not hang a login) and O_CLOEXEC, and is looked at through its
//! descriptor before a byte of it is believed: CVE-2024-47191 in pam_oath was a path looked at first.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::error::{Problem, StoreError};

const ALWAYS: OFlags = OFlags::NOFOLLOW
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);
/// Access for group and others.
pub(super) const GROUP_AND_OTHERS: u32 = 0o077;
const WRITE_FOR_OTHERS: u32 = 0o022;

/// An open directory, and its path for error messages.
#[derive(Debug)]
pub struct Directory {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

impl Directory {
    /// Opens a directory of ours that nobody else may enter.
    ///
    /// # Errors
    /// [`Problem::NotInitialised`] when it is not there, and all that [`inspect`] finds.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_at(rustix::fs::CWD, path, path.to_owned())
    }

    /// The same, inside this one.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub fn inside(&self, name: &str) -> Result<Self, StoreError> {
        Self::open_at(self.fd.as_fd(), Path::new(name), self.path.join(name))
    }

    fn open_at(at: impl AsFd, name: &Path, path: PathBuf) -> Result<Self, StoreError> {
        Self::open_checked(at, name, path, GROUP_AND_OTHERS)
    }

    /// Opens a directory into which nobody else may write, such as `/etc/otpgate`.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub(super) fn open_readable(path: &Path) -> Result<Self, StoreError> {
        Self::open_checked(rustix::fs::CWD, path, path.to_owned(), WRITE_FOR_OTHERS)
            .map_err(|error| error.of(Problem::KeysDirectory))
    }

    fn open_checked(
        at: impl AsFd,
        name: &Path,
        path: PathBuf,
        forbidden: u32,
    ) -> Result<Self, StoreError> {
        let flags = ALWAYS | OFlags::DIRECTORY | OFlags::RDONLY;
        let fd =
            rustix::fs::openat(at, name, flags, Mode::empty()).map_err(|error| match error {
                Errno::NOENT => StoreError::new(&path, Problem::NotInitialised),
                // O_DIRECTORY with O_NOFOLLOW says ENOTDIR for a link.
                error => StoreError::io(&path, "open", error),
            })?;
        let stat = rustix::fs::fstat(&fd).map_err(|error| StoreError::io(&path, "stat", error))?;
        check_owner(&stat, &|| path.clone())
            .and_then(|()| check_mode(&stat, forbidden, &|| path.clone()))
            .map_err(|error| error.of(Problem::Directory))?;
        Ok(Self { fd, path })
    }

    /// Where `name` would be, for error messages.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file of ours; `None` when there is none.
    ///
    /// # Errors
    /// All that [`inspect`] finds, and a failing open.
    pub fn open_file(
        &self,
        name: &str,
        access: OFlags,
        most: u64,
    ) -> Result<Option<(OwnedFd, Stat)>, StoreError> {
        let fd = match rustix::fs::openat(&self.fd, name, ALWAYS | access, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(StoreError::io(&self.join(name), "open", error)),
        };
        let stat = inspect(&fd, GROUP_AND_OTHERS, most, &|| self.join(name))?;
        Ok(Some((fd, stat)))
    }

    /// Reads a file of ours whole; `None` when there is none.
    ///
    /// # Errors
    /// As [`Directory::open_file`], and a failing read.
    pub fn read(&self, name: &str, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some((fd, stat)) = self.open_file(name, OFlags::RDONLY, most)? else {
            return Ok(None);
        };
        read_whole(&fd, &stat, &|| self.join(name)).map(Some)
    }

    /// Whether there is anything of this name, links included. Says nothing of what it is.
    ///
    /// # Errors
    /// Whatever else stat fails with.
    pub fn has(&self, name: &str) -> Result<bool, StoreError> {
        match rustix::fs::statat(&self.fd, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(StoreError::io(&self.join(name), "stat", error)),
        }
    }
}

/// Reads a file that holds a secret, wherever it is: nobody but its owner may read it. `None` when there is
/// none.
///
/// # Errors
/// All that [`inspect`] finds, a failing open or read.
pub fn read_private(path: &Path, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    read_anywhere(path, GROUP_AND_OTHERS, most)
}

/// Reads a configuration file, which others may read but not write; `None` when there is none.
///
/// # Errors
/// All that [`inspect`] finds, a failing open or read, and text that is not UTF-8.
pub fn read_configuration(path: &Path, most: u64) -> Result<Option<String>, StoreError> {
    let bytes = read_anywhere(path, WRITE_FOR_OTHERS, most)
        .map_err(|error| error.of(Problem::Configuration))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| StoreError::new(path, Problem::Configuration(Box::new(Problem::NotUtf8))))?;
    Ok(Some(text.to_owned()))
}

fn read_anywhere(
    path: &Path,
    forbidden: u32,
    most: u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let fd = match rustix::fs::open(path, ALWAYS | OFlags::RDONLY, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(StoreError::io(path, "open", error)),
    };
    let stat = inspect(&fd, forbidden, most, &|| path.to_owned())?;
    read_whole(&fd, &stat, &|| path.to_owned()).map(Some)
}

/// Checks what was opened: a regular file with one name, owned by root (or, when not root, by the
/// caller), no forbidden permission bits, bounded size.
///
/// # Errors
/// The first thing that is wrong.
pub fn inspect(
    fd: &OwnedFd,
    forbidden: u32,
    most: u64,
    path: &dyn Fn() -> PathBuf,
) -> Result<Stat, StoreError> {
    let stat = rustix::fs::fstat(fd).map_err(|error| StoreError::io(&path(), "stat", error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(StoreError::new(&path(), Problem::FileType("regular file")));
    }
    // None at all: an administrator replaced it between open and now; the caller opens again.
    if stat.st_nlink > 1 {
        return Err(StoreError::new(
            &path(),
            Problem::HardLinks(stat.st_nlink as u64),
        ));
    }
    check_owner(&stat, path)?;
    check_mode(&stat, forbidden, path)?;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if size > most {
        return Err(StoreError::new(&path(), Problem::Size { size, most }));
    }
    Ok(stat)
}

fn check_owner(stat: &Stat, path: &dyn Fn() -> PathBuf) -> Result<(), StoreError> {
    let caller = rustix::process::geteuid().as_raw();
    if stat.st_uid == caller || stat.st_uid == 0 {
        return Ok(());
    }
    Err(StoreError::new(
        &path(),
        Problem::Owner {
            uid: stat.st_uid,
            expected: caller,
        },
    ))
}

fn check_mode(stat: &Stat, forbidden: u32, path: &dyn Fn() -> PathBuf) -> Result<(), StoreError> {
    let mode = Mode::from_raw_mode(stat.st_mode).as_raw_mode();
    if mode & forbidden == 0 {
        return Ok(());
    }
    Err(StoreError::new(&path(), Problem::Mode { mode, forbidden }))
}

/// Reads a file whose size is known. One buffer: growing would leave copies of secrets on the heap.
pub(super) fn read_whole(
    fd: &OwnedFd,
    stat: &Stat,
    path: &dyn Fn() -> PathBuf,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let size = usize::try_from(stat.st_size).unwrap_or_default();
    let mut bytes = Zeroizing::new(vec![0; size]);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match rustix::io::read(fd, room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(StoreError::io(&path(), "read", error)),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
