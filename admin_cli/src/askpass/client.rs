//! Which ssh is asking? The process that started this one: ssh starts its askpass itself.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::error::CliError;

/// A process, told from a later one with the same number by when it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Client {
    pid: u32,
    /// In clock ticks since the machine was started.
    started: u64,
}

impl Client {
    /// The parent of this process.
    pub(super) fn of_this_process() -> Result<Self, CliError> {
        let pid = std::os::unix::process::parent_id();
        match started(pid) {
            Some(started) => Ok(Self { pid, started }),
            None => Err(CliError::no(format!(
                "/proc/{pid}/stat: cannot be read, so it cannot be said which ssh is asking"
            ))),
        }
    }

    /// Whether it is still running.
    pub(super) fn lives(&self) -> bool {
        started(self.pid) == Some(self.started)
    }
}

/// Field 22 of /proc/PID/stat. Field 2 is the program's name in brackets, and may hold brackets and blanks.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_lives_and_one_that_began_at_another_time_does_not() {
        let mut client = Client::of_this_process().unwrap();
        assert!(client.lives());
        client.started += 1;
        assert!(!client.lives());
    }
}
