//! A user's own `~/.google_authenticator`, handled as `pam_google_authenticator.so` would, and safer.
//!
//! The file lies in a directory that its user writes to, so all of it is done as that user, by whoever
//! [`AsUser`] is: a link planted there leads to nothing that the user could not reach. The lock is not
//! there: it would be lost with each rename, others could hold it, and NFS may have none.
//!
//! | question | file |
//! | --- | --- |
//! | which file? | [`location`] |
//! | what do its lines say, and how are they rewritten? | [`settings`], [`text`] |
//! | is the code right? | [`mod@decide`], over `rate_limit` and `grace` |
//! | how is it opened and replaced? | [`place`] |
//! | one login at a time | [`mod@lock`] |
//! | how often may one guess? | [`guesses`] |
//! | is it certain that there is none? | [`base`] |
//! | the same cost for those who have none | [`stand_in`] |

pub mod base;
pub mod decide;
mod grace;
pub mod guesses;
pub mod location;
pub mod lock;
mod number;
pub mod place;
mod rate_limit;
pub mod settings;
pub mod stand_in;
pub mod text;

use std::io;
use std::path::{Path, PathBuf};

use base::Base;
use decide::{Attempt, Refusal, Verdict, decide};
use guesses::{Guard, Guesses};
use lock::Locks;
use place::{Place, Trust};
use text::{LARGEST, SecretFile};

use super::error::{Problem, StoreError};
use crate::clock::Clock;

/// Does something with the file's user's identity towards files.
pub trait AsUser {
    /// Runs `work` as that user, and is back when it returns.
    ///
    /// # Errors
    /// When the identity cannot be taken; then `work` did not run.
    fn run<T>(&self, work: impl FnOnce() -> T) -> io::Result<T>;
}

/// A user's file, whether it is there or not.
#[derive(Debug, Clone)]
pub struct UsersFile {
    /// Where.
    pub path: PathBuf,
    /// Whose it has to be, and who may read it.
    pub trust: Trust,
    /// `allow_readonly`: a file that cannot be written for want of room or rights of the file system lets in
    /// all the same.
    pub allow_readonly: bool,
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Settled {
    /// The verdict, which is on the disk if anything had to be.
    pub verdict: Verdict,
    /// Whether the file was replaced.
    pub replaced: bool,
    /// Why it could not be.
    pub not_recorded: Option<StoreError>,
}

impl Settled {
    /// Refused, and nothing was touched.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self {
            verdict: Verdict::Refused(refusal),
            replaced: false,
            not_recorded: None,
        }
    }
}

impl UsersFile {
    /// Reads the file without a lock, for what happens before the question; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError`] for a file that must not be trusted or cannot be read.
    pub fn look(&self, user: &impl AsUser) -> Result<Option<SecretFile>, StoreError> {
        self.as_user(user, || {
            let Some(place) = Place::open(&self.path)? else {
                return Ok(None);
            };
            Ok(place.read(&self.trust)?.map(|(file, _)| file))
        })
    }

    /// Whether it is certain that there is no file, when [`UsersFile::look`] found none.
    ///
    /// # Errors
    /// [`StoreError`] when it is not.
    pub fn check_absence(&self, user: &impl AsUser, base: Base<'_>) -> Result<(), StoreError> {
        self.as_user(user, || base.check())
    }

    /// Locks, asks the throttle, reads, decides, writes, counts, and only then answers. `still_counts` is asked
    /// under the lock: an import holds it while it takes the file over.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be locked before the deadline, or not be read, and when failures
    /// cannot be counted. Nobody is let in.
    pub fn settle(
        &self,
        user: &impl AsUser,
        guard: &Guard<'_>,
        attempt: &Attempt<'_>,
        still_counts: &dyn Fn() -> bool,
        clock: &impl Clock,
    ) -> Result<Settled, StoreError> {
        check_size_limit(&self.path)?;
        let guesses = Guesses::open(guard.state_dir)?;
        let mut record = guesses.lock(guard.user.file_name())?;
        let now = clock.now();
        let settled = match record.admit(guard, now) {
            Err(refusal) => Settled::refused(refusal),
            Ok(left) => {
                let known = record.knows(guard.source, now);
                let attempt = attempt.bounded(left, known);
                let settled = self.judge(user, &guesses.locks, &attempt, still_counts, clock)?;
                record.count(guard, settled.verdict, attempt.guesses(), now);
                settled
            }
        };
        record.commit()?;
        Ok(settled)
    }

    fn judge(
        &self,
        user: &impl AsUser,
        locks: &Locks,
        attempt: &Attempt<'_>,
        still_counts: &dyn Fn() -> bool,
        clock: &impl Clock,
    ) -> Result<Settled, StoreError> {
        let place = self.as_user(user, || Place::open(&self.path))?;
        let place = place.ok_or_else(|| self.gone())?;
        let _lock = locks.lock(place.key()?)?;
        if !still_counts() {
            let why = "counts no longer: its user was enrolled during the login";
            return Err(StoreError::new(&self.path, Problem::Refused(why.into())));
        }
        self.as_user(user, || {
            place.clear()?;
            let (file, stamp) = place.read(&self.trust)?.ok_or_else(|| self.gone())?;
            // The clock is read under the lock: time spent waiting must not make a used step fresh.
            let (verdict, new) = decide(&file, attempt, clock.now());
            let written = new.as_ref().map(|new| place.replace(new, &stamp));
            Ok(self.conclude(verdict, written))
        })
    }

    fn conclude(&self, verdict: Verdict, written: Option<Result<(), StoreError>>) -> Settled {
        let replaced = matches!(written, Some(Ok(())));
        let not_recorded = written.and_then(Result::err);
        let stands = match &not_recorded {
            None => true,
            Some(error) => self.allow_readonly && place::is_read_only(error),
        };
        let verdict = match verdict {
            Verdict::Accepted { .. } if !stands => Verdict::Refused(Refusal::NotRecorded),
            verdict => verdict,
        };
        Settled {
            verdict,
            replaced,
            not_recorded,
        }
    }

    fn as_user<T>(
        &self,
        user: &impl AsUser,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        user.run(work).unwrap_or_else(|error| {
            let action = "take the identity of its user";
            Err(StoreError::new(&self.path, Problem::Io { action, error }))
        })
    }

    fn gone(&self) -> StoreError {
        StoreError::new(&self.path, Problem::Removed)
    }
}

/// A caller's limit on file sizes (`ulimit -f`) would end the process at the write, after the code was judged
/// and before the attempt was counted. Local users set it for `su`.
fn check_size_limit(path: &Path) -> Result<(), StoreError> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    match limit {
        Some(bytes) if bytes < 2 * LARGEST => {
            Err(StoreError::new(path, Problem::FileSizeLimit(bytes)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
