//! A gate before the code: clients arrive one by one and pass all at once.
//!
//! Without it, racing logins would spread over the time their key exchanges take on a small machine,
//! and the race would rarely be one.

use crate::processes::wait_until;
use crate::sandbox::Sandbox;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory in which every arriving askpass leaves a file, then opens the FIFO `go`.
pub struct Gate {
    directory: PathBuf,
}

/// An open gate; nobody waits as long as this lives.
pub struct OpenGate {
    _writer: File,
}

impl Gate {
    /// A closed gate.
    pub fn new(sandbox: &Sandbox) -> Self {
        let directory = sandbox.scratch();
        let made = Command::new("mkfifo")
            .arg(directory.join("go"))
            .status()
            .unwrap();
        assert!(made.success());
        Self { directory }
    }

    /// Waits for `count` clients, then lets them pass: opening a FIFO for reading blocks until
    /// somebody has it open for writing.
    pub fn open_for(&self, count: usize) -> OpenGate {
        // One entry is the FIFO.
        let arrived = || fs::read_dir(&self.directory).unwrap().count() - 1;
        wait_until("all clients at the gate", || arrived() >= count);
        let go = self.directory.join("go");
        OpenGate {
            _writer: OpenOptions::new().read(true).write(true).open(go).unwrap(),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}
