//! A client under way.

use super::{ClientRun, prompts};
use crate::processes::{self, DEADLINE, Finished};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// It and what it started are killed when this is dropped.
pub struct Running {
    child: Child,
    scratch: PathBuf,
}

impl Running {
    pub(super) fn start(command: &mut Command, scratch: PathBuf) -> Self {
        let file = |name| File::create(scratch.join(name)).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, scratch }
    }

    /// What it printed so far.
    pub fn stdout(&self) -> String {
        self.text("stdout")
    }

    /// Waits until it printed this.
    pub fn wait_for(&mut self, text: &str) {
        processes::wait_until(text, || {
            self.stdout().contains(text) || self.child.try_wait().unwrap().is_some()
        });
        let (stdout, stderr) = (self.stdout(), self.text("stderr"));
        assert!(stdout.contains(text), "no {text}: {stdout}{stderr}");
    }

    /// Whether it still runs.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal to it and all that it started.
    pub fn signal(&self, signal: Signal) {
        let first = Pid::from_child(&self.child);
        for pid in processes::descendants(first).into_iter().chain([first]) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end.
    pub fn finish(mut self) -> ClientRun {
        let status = processes::wait(&mut self.child, DEADLINE);
        let finished = Finished {
            status,
            stdout: self.stdout(),
            stderr: self.text("stderr"),
        };
        ClientRun::new(finished, prompts(&self.scratch))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.scratch.join(name)).unwrap()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.lives() {
            processes::kill_tree(&mut self.child);
        }
    }
}
