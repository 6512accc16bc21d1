//! What the monitor has done with a user's identity. Tests put a note-taker in the place of processes.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::Child;

use crate::as_user::helper::{self, Helper, PATIENCE};
use crate::as_user::{Outcome, Task};

/// Does tasks as a user.
pub trait Helpers {
    /// One whose answer is all that is left of it, with a descriptor beside
    /// [`Outcome::Connected`].
    ///
    /// # Errors
    /// Why there is no answer, for the log.
    fn ask(&self, task: &Task) -> Result<(Outcome, Option<OwnedFd>), String>;

    /// [`Job::Connect`](crate::as_user::Job::Connect), which takes its time: whom to ask later.
    ///
    /// # Errors
    /// Why there is nobody, for the log.
    fn connect(&self, task: &Task) -> Result<Helper, String>;

    /// [`crate::as_user::Job::Run`]: a program on copies of these descriptors, which leads a process group of its own.
    ///
    /// # Errors
    /// Why it does not run, for the log.
    fn run(&self, task: &Task, descriptors: &[BorrowedFd<'_>]) -> Result<Child, String>;
}

/// Each task in a process of its own.
#[derive(Debug)]
pub struct Processes;

impl Helpers for Processes {
    fn ask(&self, task: &Task) -> Result<(Outcome, Option<OwnedFd>), String> {
        let mut process = helper::start(task, &[]).map_err(|error| error.to_string())?;
        let (outcome, descriptors) = process.outcome(PATIENCE)?;
        Ok((outcome, descriptors.into_iter().next()))
    }

    fn connect(&self, task: &Task) -> Result<Helper, String> {
        helper::start(task, &[]).map_err(|error| error.to_string())
    }

    fn run(&self, task: &Task, descriptors: &[BorrowedFd<'_>]) -> Result<Child, String> {
        let mut process = helper::start(task, descriptors).map_err(|error| error.to_string())?;
        match process.outcome(PATIENCE)? {
            (Outcome::Ready, _) => Ok(process.into_child()),
            (Outcome::Failed(reason), _) => Err(reason),
            (other, _) => Err(format!("an answer that does not fit: {other:?}")),
        }
    }
}
