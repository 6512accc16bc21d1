//! One login at a time for each file, by a byte of a file that is root's.
//!
//! A lock on the user's file would be lost with the rename that replaces it; one on the home could be held
//! by anybody who may read that, and NFS may have neither. So `google_authenticator.lock` lies in the state
//! directory, and each user's file has one byte of it, chosen by the directory and the name: nobody waits
//! for somebody else's file, and nothing grows. The locks are those of the open file (OFD), not of the
//! process: sshd may authenticate in threads, and closing some other descriptor must not give one back.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use super::super::error::{Problem, StoreError};
use super::super::lock::{DEADLINE, pause};
use super::super::safe_open::{Directory, GROUP_AND_OTHERS, inspect};
use super::place::Place;

const FILE: &str = "google_authenticator.lock";

/// The file with the locks.
pub struct Locks {
    fd: OwnedFd,
    path: PathBuf,
}

/// A lock that is held. Dropping it gives it back.
pub struct Held<'a> {
    locks: &'a Locks,
    byte: i64,
}

/// The byte for what these parts name together.
pub(super) fn byte_of(parts: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let hash = hash.finalize();
    let first = hash.iter().take(8);
    let number = first.fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    // Offsets end at 2^63 - 1, and the range behind the byte has to fit too.
    i64::try_from(number >> 2).unwrap_or_default()
}

impl Locks {
    /// Opens the file in the state directory, and makes it if it is not there.
    ///
    /// # Errors
    /// [`StoreError`] for a directory or file that is not there or must not be trusted.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let directory = Directory::open(state_dir)?;
        let path = directory.join(FILE);
        let flags = OFlags::RDWR
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC
            | OFlags::NONBLOCK
            | OFlags::NOCTTY;
        let fd = rustix::fs::openat(&directory.fd, FILE, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| StoreError::io(&path, "open", error))?;
        inspect(&fd, GROUP_AND_OTHERS, 0, &|| path.clone())?;
        Ok(Self { fd, path })
    }

    /// Takes the lock of the user's file at this path, for as long as it is taken over into the store: no login
    /// reads or writes it meanwhile. `None` when its directory is gone.
    ///
    /// # Errors
    /// As [`Locks::lock`], and when the directory cannot be opened.
    pub fn hold(&self, path: &Path) -> Result<Option<Held<'_>>, StoreError> {
        let place = Place::open(path)?;
        place.map(|place| self.lock(place.key()?)).transpose()
    }

    /// Takes the lock of this byte; tried, not waited for, as with [`super::super::lock`].
    ///
    /// # Errors
    /// [`Problem::Busy`] after the deadline, or what the kernel says.
    pub fn lock(&self, byte: i64) -> Result<Held<'_>, StoreError> {
        let deadline = Instant::now() + DEADLINE;
        let mut tries = 0;
        loop {
            match self.set(byte, libc::F_WRLCK) {
                Ok(()) => return Ok(Held { locks: self, byte }),
                Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => {}
                Err(error) => return Err(self.failed(error)),
            }
            if Instant::now() >= deadline {
                return Err(StoreError::new(&self.path, Problem::Busy));
            }
            pause(tries);
            tries += 1;
        }
    }

    fn set(&self, byte: i64, kind: libc::c_int) -> Result<(), Errno> {
        // The constants are small, whatever width this system's struct has.
        let small = |number: libc::c_int| libc::c_short::try_from(number).unwrap_or_default();
        let lock = libc::flock {
            l_type: small(kind),
            l_whence: small(libc::SEEK_SET),
            l_start: byte,
            l_len: 1,
            l_pid: 0,
        };
        fcntl(&self.fd, FcntlArg::F_OFD_SETLK(&lock)).map(drop)
    }

    fn failed(&self, error: Errno) -> StoreError {
        let error = error.into();
        let action = "lock";
        StoreError::new(&self.path, Problem::Io { action, error })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Closing would do, but not while a forked child holds a copy of the descriptor.
        let _ = self.locks.set(self.byte, libc::F_UNLCK);
    }
}
