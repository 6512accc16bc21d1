//! A user's program: its descriptors, and how it ended.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::pty::Pty;
use crate::as_user::Account;
use crate::protocol::{Exit, Terminal};

/// Both ends of what a program reads and writes.
#[derive(Debug)]
pub struct Ends {
    /// For the network process: the terminal, or where standard input is written and output and error are
    /// read.
    pub ours: Vec<OwnedFd>,
    /// For the program.
    pub theirs: Vec<OwnedFd>,
    /// The path of the terminal.
    pub terminal_name: Option<String>,
}

/// How much a program's standard input holds that it has not read, in bytes: several packets of SSH, so
/// that neither side waits for the other with each of them. The kernel takes memory for what is there only.
const INPUT: i32 = 256 * 1024;

impl Ends {
    /// A terminal or three pipes.
    ///
    /// # Errors
    /// When the system has no room for them.
    pub fn open(account: &Account, terminal: Option<&Terminal>) -> io::Result<Self> {
        match terminal {
            Some(terminal) => Ok(Pty::open(account, terminal.size)?.into()),
            None => Self::pipes(),
        }
    }

    fn pipes() -> io::Result<Self> {
        let (input_end, input) = io::pipe()?;
        let (output, output_end) = io::pipe()?;
        let (error, error_end) = io::pipe()?;
        // Beyond the user's share it stays what it was.
        let _ = fcntl(&input, FcntlArg::F_SETPIPE_SZ(INPUT));
        Ok(Self {
            ours: vec![input.into(), output.into(), error.into()],
            theirs: vec![input_end.into(), output_end.into(), error_end.into()],
            terminal_name: None,
        })
    }
}

impl From<Pty> for Ends {
    fn from(pty: Pty) -> Self {
        Self {
            ours: vec![pty.master],
            theirs: vec![pty.slave],
            terminal_name: Some(pty.name),
        }
    }
}

/// A program that lives, or whose end nobody has been told of yet.
#[derive(Debug)]
pub struct Running {
    /// The session's number.
    pub session: u32,
    /// The process; it leads a group of its own.
    pub child: Child,
    /// Becomes readable when it ends.
    pub ended: OwnedFd,
    /// Whether a key forces it.
    pub forced: bool,
}

impl Running {
    /// Watches a program. One that cannot be watched is ended.
    ///
    /// # Errors
    /// When there is no descriptor left to do so.
    pub fn new(session: u32, mut child: Child, forced: bool) -> io::Result<Self> {
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(ended) => Ok(Self {
                session,
                child,
                ended,
                forced,
            }),
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                Err(error.into())
            }
        }
    }

    /// How it ended, if it has.
    pub fn exit(&mut self) -> Option<Exit> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(exit_of(status)),
            // Somebody else has collected it, which nobody here does: its end is all that is known.
            Err(_) => Some(Exit::Status(u32::MAX)),
        }
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match status.signal() {
        Some(number) => Exit::Signal {
            name: Signal::try_from(number).map_or_else(
                |_| format!("{number}"),
                |signal| signal.as_str().trim_start_matches("SIG").to_owned(),
            ),
            core_dumped: status.core_dumped(),
        },
        None => Exit::Status(
            status
                .code()
                .and_then(|code| u32::try_from(code).ok())
                .unwrap_or(u32::MAX),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_signals_are_told_apart() {
        let cases = [
            (0, Exit::Status(0)),
            (3 << 8, Exit::Status(3)),
            (255 << 8, Exit::Status(255)),
            (
                15,
                Exit::Signal {
                    name: "TERM".into(),
                    core_dumped: false,
                },
            ),
            (
                11 | 0x80,
                Exit::Signal {
                    name: "SEGV".into(),
                    core_dumped: true,
                },
            ),
        ];
        for (raw, exit) in cases {
            assert_eq!(exit_of(ExitStatus::from_raw(raw)), exit);
        }
    }
}
