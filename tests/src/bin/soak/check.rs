//! Whether the promises held, by what the actors and the log say. The checker knows the rules and nothing of
//! the product: it is handed journals, and could be handed those of another module.

mod account;
mod device;
mod leaks;
mod log;
mod once;
mod promises;
#[cfg(test)]
mod stage;

use crate::journal::{Entry, History};
pub use promises::Findings;
use std::fmt;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A code let two in.
    AcceptedTwice(Entry, Entry),
    /// Below a code that had been acknowledged.
    Reopened(Entry, Entry),
    /// Wrong, used, of a device that is gone, while disabled.
    LetIn(Entry, &'static str),
    /// A right code of somebody to whom nothing ever happened.
    RefusedUndisturbed(Entry),
    /// A right code of somebody who had waited as long as is documented.
    LockedOut(Entry),
    /// Of several logins with one right code not one got in.
    NobodyWon(Entry),
    /// Neither "yes" nor "no".
    Broken(Entry),
    /// An administrative change that failed although the disk had room.
    ChangeFailed(Entry),
    /// Files that are there, or are missing, when everybody rests.
    Files(String),
    /// A process holds more than before.
    Leak(String),
    /// The log tells of more logins, or fewer, than were told.
    Log(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptedTwice(one, other) => {
                write!(f, "a code was accepted twice: {one:?} and {other:?}")
            }
            Self::Reopened(later, earlier) => {
                write!(
                    f,
                    "an acknowledged login was forgotten: {later:?} after {earlier:?}"
                )
            }
            Self::LetIn(entry, why) => write!(f, "let in though {why}: {entry:?}"),
            Self::RefusedUndisturbed(entry) => {
                write!(
                    f,
                    "a right code of an undisturbed user was refused: {entry:?}"
                )
            }
            Self::LockedOut(entry) => write!(f, "an owner was locked out: {entry:?}"),
            Self::NobodyWon(entry) => write!(f, "nobody won the race: {entry:?}"),
            Self::Broken(entry) => write!(f, "no verdict: {entry:?}"),
            Self::ChangeFailed(entry) => {
                write!(
                    f,
                    "administration failed on a disk that had room: {entry:?}"
                )
            }
            Self::Files(what) | Self::Leak(what) | Self::Log(what) => f.write_str(what),
        }
    }
}

/// Everything that was broken, and how many logins had an outcome that could be told beforehand.
pub fn check(history: &History, log: &[String]) -> Findings {
    let mut findings = promises::check(history);
    let violations = &mut findings.violations;
    violations.extend(once::check(&history.entries));
    violations.extend(leaks::check(history));
    violations.extend(log::check(&history.entries, log));
    findings
}
