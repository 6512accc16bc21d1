//! What the actors write down: before they do something, and again when they know what came of it.
//!
//! A journal is only ever appended to, line by line, so it holds good however its writer ends. A deed
//! without an answer is one of which nobody knows whether it was done.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    Login(Login),
    Change { user: String, change: Change },
}

/// A login with one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    pub user: String,
    pub typed: Typed,
    /// From an address at which the user is known, or has nothing to fear; otherwise a guess.
    pub by_owner: bool,
    /// What the login takes the time to be, in seconds since 1970.
    pub clock: u64,
}

/// Which code it is. The digits are nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Typed {
    /// Of this device of the user's, counted from 1, at this counter or time step.
    Code { device: u32, factor: u64 },
    /// Of this set of the user's, counted from 1.
    Recovery { set: u32, number: u32 },
    /// None of the user's.
    Wrong,
}

/// What administration does to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A new device instead of the old one; with a user who is new comes a new set of recovery codes.
    Enrol {
        device: u32,
        kind: Kind,
        set: u32,
    },
    Remove,
    Disable,
    Enable,
    Unlock,
    /// A new set of recovery codes.
    Recovery {
        set: u32,
    },
    /// By two codes in a row, of which this is the second.
    Resync {
        factor: u64,
    },
    /// Not otpgate's doing: something overwrites the state.
    Damage,
    Repair,
}

/// What the codes of a device follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Totp,
    Hotp,
    /// The user's own `~/.google_authenticator`, time-based.
    File,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Accepted,
    /// PAM_AUTH_ERR, or what a client makes of it.
    Refused,
    /// Another PAM code.
    Failed(String),
    /// Killed before it could say.
    Killed,
    Done,
    NotDone(String),
}

/// What is seen when nobody does anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sight {
    /// The disk is being filled from now on, or has room again.
    Disk { full: bool },
    /// Names in the state directory and in homes.
    Files {
        accounts: Vec<String>,
        states: Vec<String>,
        others: Vec<String>,
    },
    /// A process that served so many logins.
    Process {
        name: String,
        logins: u64,
        descriptors: u64,
        threads: u64,
        children: u64,
        kib: u64,
    },
}

#[derive(Serialize, Deserialize)]
enum Line {
    Doing { deed: u64, at: u64, what: Deed },
    Told { deed: u64, at: u64, answer: Answer },
    Seen { at: u64, sight: Sight },
}

/// A journal that is being written. `at` is in microseconds of one clock for all, which never goes back.
pub struct Journal {
    file: File,
    epoch: Instant,
    deeds: u64,
}

/// A deed that awaits its answer.
#[must_use]
pub struct Begun(u64);

impl Journal {
    /// A new one of this actor.
    pub fn create(directory: &Path, actor: &str, epoch: Instant) -> Self {
        let path = directory.join(format!("{actor}.journal"));
        let file = OpenOptions::new().append(true).create_new(true).open(path);
        Self {
            file: file.unwrap(),
            epoch,
            deeds: 0,
        }
    }

    /// Notes what is about to be done.
    pub fn doing(&mut self, what: Deed) -> Begun {
        let (deed, at) = (self.deeds, self.now());
        self.deeds += 1;
        self.write(&Line::Doing { deed, at, what });
        Begun(deed)
    }

    /// Notes what came of it.
    pub fn told(&mut self, begun: Begun, answer: Answer) {
        let (deed, at) = (begun.0, self.now());
        self.write(&Line::Told { deed, at, answer });
    }

    /// Notes what is to be seen.
    pub fn seen(&mut self, sight: Sight) {
        let at = self.now();
        self.write(&Line::Seen { at, sight });
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap()
    }

    fn write(&mut self, line: &Line) {
        let mut text = serde_json::to_string(line).unwrap();
        text.push('\n');
        self.file.write_all(text.as_bytes()).unwrap();
    }
}

/// A deed with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub actor: String,
    pub began: u64,
    /// The end of time if nobody wrote down an answer.
    pub ended: u64,
    pub deed: Deed,
    pub answer: Answer,
}

/// Everything that all actors wrote.
#[derive(Debug, Default, Clone)]
pub struct History {
    /// In the order of their beginnings.
    pub entries: Vec<Entry>,
    /// In order.
    pub sights: Vec<(u64, Sight)>,
}

impl History {
    /// Reads all journals of a directory.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let mut history = Self::default();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "journal") {
                let actor = path.file_stem().unwrap().to_string_lossy().into_owned();
                history.add(&actor, &fs::read_to_string(&path)?)?;
            }
        }
        history.entries.sort_by_key(|entry| entry.began);
        history.sights.sort_by_key(|(at, _)| *at);
        Ok(history)
    }

    fn add(&mut self, actor: &str, text: &str) -> io::Result<()> {
        let mut entries = BTreeMap::new();
        // The last line may have been cut short.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[..whole].lines() {
            match serde_json::from_str(line)? {
                Line::Doing { deed, at, what } => {
                    let entry = Entry {
                        actor: actor.to_owned(),
                        began: at,
                        ended: u64::MAX,
                        deed: what,
                        answer: Answer::Killed,
                    };
                    entries.insert(deed, entry);
                }
                Line::Told { deed, at, answer } => {
                    let missing = || io::Error::other(format!("{actor}: {line} has no beginning"));
                    let entry = entries.get_mut(&deed).ok_or_else(missing)?;
                    (entry.ended, entry.answer) = (at, answer);
                }
                Line::Seen { at, sight } => self.sights.push((at, sight)),
            }
        }
        self.entries.extend(entries.into_values());
        Ok(())
    }
}

impl Entry {
    /// Whose it is.
    pub fn user(&self) -> &str {
        match &self.deed {
            Deed::Login(login) => &login.user,
            Deed::Change { user, .. } => user,
        }
    }

    /// The login, if it is one.
    pub fn login(&self) -> Option<&Login> {
        match &self.deed {
            Deed::Login(login) => Some(login),
            Deed::Change { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_is_missing_is_not_made_up() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(directory.path(), "actor", Instant::now());
        let change = |change| Deed::Change {
            user: "alice".into(),
            change,
        };
        let begun = journal.doing(change(Change::Disable));
        let _cut_short = journal.doing(change(Change::Enable));
        journal.told(begun, Answer::Done);
        journal.seen(Sight::Disk { full: true });
        journal.file.write_all(b"{\"Told\":{\"deed\":1,").unwrap();
        let history = History::read(directory.path()).unwrap();
        let answers: Vec<_> = history.entries.iter().map(|entry| &entry.answer).collect();
        assert_eq!(answers, [&Answer::Done, &Answer::Killed]);
        assert_eq!(history.entries[1].ended, u64::MAX);
        assert_eq!(history.sights.len(), 1);
        // A line that nobody can read is not skipped, unless it is the end of a journal.
        journal.file.write_all(b"\n").unwrap();
        assert!(History::read(directory.path()).is_err());
    }
}
