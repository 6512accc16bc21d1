//! How often one may guess at a user's own file: the throttle of accounts, where its user cannot reset it.
//!
//! The peer has only the `RATE_LIMIT` of the file. Where that line is missing, guessing is free; where it
//! stands, whoever guesses keeps the owner out. So failures are counted as for those who are enrolled
//! ([`crate::throttle`]), in `own_files/USER` of the state directory: two slots, overwritten in place,
//! durable before anybody hears a verdict. A known source is not kept out by a rate limit that others fill.
//!
//! The file of a user is made by the first attempt. That one costs a few syncs more than the next ones, once
//! for each user; libpam's delay after a failure is random by half, and hides it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::decide::{Refusal, Verdict};
use super::lock::{Held, Locks, byte_of};
use crate::source::Source;
use crate::state::{Event, State};
use crate::store::error::{Problem, StoreError};
use crate::store::files::{names_in, write_all_at};
use crate::store::safe_open::{Directory, read_whole};
use crate::store::slots::{self, Current};
use crate::throttle::{Admission, Limits};
use crate::totp::UnixTime;
use crate::user_name::UserName;

/// The directory, in the state directory.
pub const OWN_FILES: &str = "own_files";
/// Behind a name: the new file until it is whole. No encoded user name has a `~`.
const TEMPORARY: &str = "~new";
const OWNER_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);

/// Where failures are counted, whose, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Guard<'a> {
    /// The state directory.
    pub state_dir: &'a Path,
    /// The name they are counted under.
    pub user: &'a UserName,
    /// From where the attempt comes.
    pub source: Source,
    /// The numbers.
    pub limits: &'a Limits,
}

/// The counts of all who have a file of their own.
pub struct Guesses {
    pub(super) directory: Directory,
    pub(super) locks: Locks,
}

impl Guesses {
    /// Opens the directory, and makes it if it is not there.
    ///
    /// # Errors
    /// [`StoreError`] for a state directory that is not there, or what must not be trusted in it.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let root = Directory::open(state_dir)?;
        let directory = match root.inside(OWN_FILES) {
            Err(error) if matches!(error.problem, Problem::NotInitialised) => {
                make_directory(&root)?;
                root.inside(OWN_FILES)?
            }
            opened => opened?,
        };
        let locks = Locks::open(state_dir)?;
        Ok(Self { directory, locks })
    }

    /// What is on record of a user; `None` for one of whom nothing is.
    ///
    /// # Errors
    /// [`StoreError`] when it is damaged, or cannot be read or locked.
    pub fn state(&self, user: &UserName) -> Result<Option<State>, StoreError> {
        let name = user.file_name();
        if !self.directory.has(name)? {
            return Ok(None);
        }
        self.lock(name).map(|record| Some(record.current.state))
    }

    /// Whether the source let this user in lately. What cannot be read knows nobody.
    #[must_use]
    pub fn know(&self, user: &UserName, source: Source, now: UnixTime) -> bool {
        let state = self.state(user).ok().flatten();
        state.is_some_and(|state| state.throttle.knows(source, now))
    }

    /// The users whose record cannot be read, so that each of their logins is refused.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be listed.
    pub fn damaged(&self) -> Result<impl Iterator<Item = (UserName, StoreError)>, StoreError> {
        let names = names_in(&self.directory)?;
        let users = names.filter_map(|name| UserName::from_file_name(&name));
        Ok(users
            .filter_map(|user| Some((self.state(&user).err()?, user)))
            .map(|(error, user)| (user, error)))
    }

    /// Forgets the failures of a user, and says how many there were; `None` for one of whom nothing is on
    /// record. A record that cannot be read is made anew.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be locked or written.
    pub fn unlock(&self, user: &UserName) -> Result<Option<u16>, StoreError> {
        let name = user.file_name();
        if !self.directory.has(name)? {
            return Ok(None);
        }
        let _held = self.locks.lock(byte(name))?;
        let Ok(mut record) = self.read(name) else {
            self.make(name)?;
            return Ok(Some(0));
        };
        let failures = record.current.state.throttle.failures();
        record.current.state.throttle.unlock();
        record.commit()?;
        Ok(Some(failures))
    }

    /// The record of this name, locked; a new one when there is none.
    pub(super) fn lock(&self, name: &str) -> Result<Locked<'_>, StoreError> {
        let held = self.locks.lock(byte(name))?;
        if !self.directory.has(name)? {
            self.make(name)?;
        }
        let record = self.read(name)?;
        Ok(Locked {
            fd: record.fd,
            path: record.path,
            name: record.name,
            current: record.current,
            _held: Some(held),
        })
    }

    fn read(&self, name: &str) -> Result<Locked<'_>, StoreError> {
        let path = self.directory.join(name);
        let damaged = || StoreError::new(&path, Problem::DamagedState);
        let of_guesses = |error: StoreError| error.of(Problem::Guesses);
        let opened = self
            .directory
            .open_file(name, OFlags::RDWR, slots::FILE as u64);
        let (fd, stat) = opened
            .map_err(of_guesses)?
            .ok_or_else(|| of_guesses(damaged()))?;
        let bytes = read_whole(&fd, &stat, &|| path.clone())?;
        let current = slots::newest(&bytes, name).filter(|_| bytes.len() == slots::FILE);
        let current = current.ok_or_else(|| of_guesses(damaged()))?;
        Ok(Locked {
            fd,
            path,
            name: name.to_owned(),
            current,
            _held: None,
        })
    }

    /// Makes a record without failures, under its lock. What a killed login left goes.
    fn make(&self, name: &str) -> Result<(), StoreError> {
        let at = &self.directory.fd;
        let temporary = format!("{name}{TEMPORARY}");
        let fail = |error| StoreError::io(&self.directory.join(name), "make", error);
        match rustix::fs::unlinkat(at, &temporary, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(fail(error)),
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(at, &temporary, flags, OWNER_ONLY).map_err(fail)?;
        let bytes = slots::new_file(&State::default(), name);
        let made = write_all_at(&fd, &bytes, 0)
            .and_then(|()| rustix::fs::fsync(&fd))
            .and_then(|()| rustix::fs::renameat(at, &temporary, at, name));
        if let Err(error) = made {
            // Full disk: leave nothing half-written behind.
            let _ = rustix::fs::unlinkat(at, &temporary, AtFlags::empty());
            return Err(fail(error));
        }
        rustix::fs::fsync(at).map_err(fail)
    }
}

fn make_directory(root: &Directory) -> Result<(), StoreError> {
    match rustix::fs::mkdirat(&root.fd, OWN_FILES, OWNER_ONLY | Mode::XUSR) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(StoreError::io(
            &root.join(OWN_FILES),
            "make the directory",
            error,
        )),
    }
}

/// Beside the bytes of the files themselves, which are hashed from numbers.
fn byte(name: &str) -> i64 {
    byte_of(&[OWN_FILES.as_bytes(), b"/", name.as_bytes()])
}

/// A user's record, locked.
pub(super) struct Locked<'a> {
    fd: OwnedFd,
    path: PathBuf,
    name: String,
    current: Current,
    _held: Option<Held<'a>>,
}

impl Locked<'_> {
    /// How many guesses may be made now.
    pub(super) fn admit(&mut self, guard: &Guard<'_>, now: UnixTime) -> Result<u16, Refusal> {
        let Guard { source, limits, .. } = *guard;
        let throttle = &mut self.current.state.throttle;
        throttle.clamp(now, limits);
        match throttle.admit(source, now, limits) {
            Admission::Open => Ok(throttle.guesses_left(source, now, limits)),
            Admission::Wait(until) => Err(Refusal::Throttled { until }),
            Admission::Locked => Err(Refusal::Locked),
        }
    }

    pub(super) fn knows(&self, source: Source, now: UnixTime) -> bool {
        self.current.state.throttle.knows(source, now)
    }

    /// Counts what an attempt with so many guesses came to. As with accounts: what was used up is no guess,
    /// and neither is an answer without a code.
    pub(super) fn count(
        &mut self,
        guard: &Guard<'_>,
        verdict: Verdict,
        guesses: u16,
        now: UnixTime,
    ) {
        let Guard { source, limits, .. } = *guard;
        let state = &mut self.current.state;
        let event = Some(Event { at: now, source });
        match verdict {
            Verdict::Accepted { .. } => {
                state.throttle.succeed(source, now);
                state.last_success = event;
                state.failures_since_success = 0;
            }
            Verdict::Refused(Refusal::Wrong) if guesses > 0 => {
                state.throttle.fail(source, guesses, now, limits);
                state.last_failure = event;
                let failures = u32::from(guesses);
                state.failures_since_success =
                    state.failures_since_success.saturating_add(failures);
            }
            Verdict::Refused(_) => {}
        }
    }

    /// Overwrites the other slot, and waits for the disk.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        let sequence = self.current.sequence.saturating_add(1);
        let bytes = slots::frame(&self.current.state, sequence, &self.name);
        write_all_at(&self.fd, &bytes, self.current.next_offset())
            .map_err(|error| StoreError::io(&self.path, "write", error))?;
        rustix::fs::fdatasync(&self.fd).map_err(|error| StoreError::io(&self.path, "sync", error))
    }
}

#[cfg(test)]
mod tests;
