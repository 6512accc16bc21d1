//! `pam_app`, typed: a login as a process of its own, what is answered, and what came of it.

use crate::clock::{self, Clock};
use crate::processes::{DEADLINE, kill_tree, wait};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A login to be run.
pub struct Login {
    command: Command,
}

impl Login {
    /// Of `user`, by the file of `service` in `confdir`.
    pub fn new(confdir: &Path, service: &str, user: &str) -> Self {
        let mut command = Command::new(program());
        command.arg("--confdir").arg(confdir);
        let login = Self { command };
        login
            .with(["--service", service])
            .with(["--user", user])
            .with(["--announce"])
    }

    /// More arguments of `pam_app`.
    pub fn with<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Another service.
    pub fn service(self, name: &str) -> Self {
        self.with(["--service", name])
    }

    /// From this address or host name.
    pub fn from(self, source: &str) -> Self {
        self.with(["--rhost", source])
    }

    /// The answer to the next prompt.
    pub fn answer(self, text: &str) -> Self {
        self.with(["--answer", text])
    }

    /// Other calls than `auth`, in order, with commas between.
    pub fn calls(self, list: &str) -> Self {
        self.with(["--calls", list])
    }

    /// Under another clock.
    pub fn at(mut self, clock: Clock) -> Self {
        clock.set(&mut self.command);
        self
    }

    /// The command, for a test that runs it in its own way.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs it.
    ///
    /// # Panics
    /// When it hangs, or ends without a report.
    pub fn run(mut self) -> Report {
        self.command.stdin(Stdio::null());
        Running::start(self.command).finish()
    }

    /// Starts it; it waits at the barrier with the last answer in hand.
    pub fn start_at(mut self, barrier: &Barrier) -> Running {
        self.command.arg("--barrier");
        Running::start_at(self.command, barrier)
    }
}

/// Holds any number of processes until it is opened, and lets all go at once: they read from one
/// pipe, whose end of input reaches them at the same instant.
pub struct Barrier {
    entrance: PipeReader,
    gate: PipeWriter,
}

impl Barrier {
    /// A closed one.
    pub fn new() -> Self {
        let (entrance, gate) = std::io::pipe().unwrap();
        Self { entrance, gate }
    }

    /// Waits until all have come, then opens.
    pub fn open_for<'a>(self, waiting: impl IntoIterator<Item = &'a mut Running>) {
        for running in waiting {
            assert_eq!(running.line(), "ready");
        }
        drop(self.gate);
    }
}

impl Default for Barrier {
    fn default() -> Self {
        Self::new()
    }
}

/// A login under way. Killed when dropped.
pub struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Starts a login with `--barrier` in the caller's own way; it waits there with the last answer in hand.
    pub fn start_at(mut command: Command, barrier: &Barrier) -> Self {
        command.stdin(barrier.entrance.try_clone().unwrap());
        Self::start(command)
    }

    /// The next line that it prints.
    ///
    /// # Panics
    /// When none comes before the deadline.
    pub fn line(&mut self) -> String {
        if self.output.buffer().is_empty() {
            let timeout = Timespec::try_from(DEADLINE).unwrap();
            let mut readable = [PollFd::new(self.output.get_ref(), PollFlags::IN)];
            let ready = rustix::io::retry_on_intr(|| poll(&mut readable, Some(&timeout))).unwrap();
            assert_eq!(ready, 1, "the login hangs");
        }
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Kills it, and returns what it had printed.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        clock::clear_after(self.child.id());
        self.rest()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it hangs, or ends without a report.
    pub fn finish(mut self) -> Report {
        let status = wait(&mut self.child, DEADLINE);
        assert!(status.is_some(), "the login hangs");
        let text = self.rest();
        let last = text.lines().last().unwrap_or_default();
        let json = serde_json::from_str(last);
        Report(json.unwrap_or_else(|error| panic!("{error}: {status:?} {text}")))
    }

    fn rest(&mut self) -> String {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            kill_tree(&mut self.child);
        }
    }
}

/// What `pam_app` reports.
#[derive(Debug)]
pub struct Report(pub Value);

impl Report {
    /// What the first call answered, such as `PAM_SUCCESS`.
    pub fn code(&self) -> &str {
        self.0["calls"][0]["code"].as_str().unwrap()
    }

    /// What all calls answered.
    pub fn codes(&self) -> Vec<&str> {
        let calls = self.0["calls"].as_array().unwrap().iter();
        calls.map(|call| call["code"].as_str().unwrap()).collect()
    }

    /// Whether the first call let the user in.
    pub fn success(&self) -> bool {
        self.code() == "PAM_SUCCESS"
    }

    /// Microseconds of the slowest call.
    pub fn micros(&self) -> u64 {
        let calls = self.0["calls"].as_array().unwrap().iter();
        let micros = calls.map(|call| call["micros"].as_u64().unwrap());
        micros.max().unwrap()
    }

    /// Microseconds from the last answer to the end of the first call.
    pub fn micros_after_answer(&self) -> u64 {
        self.0["calls"][0]["micros_after_answer"].as_u64().unwrap()
    }

    /// What was shown, as `style: text`.
    pub fn prompts(&self) -> Vec<String> {
        let prompts = self.0["prompts"].as_array().unwrap().iter();
        let line = |prompt: &Value| {
            let part = |name: &str| prompt[name].as_str().unwrap();
            format!("{}: {}", part("style"), part("text"))
        };
        prompts.map(line).collect()
    }
}

/// cargo puts a package's programs next to the directory of its test programs.
fn program() -> PathBuf {
    let own = env::current_exe().unwrap();
    let directories = own.ancestors().skip(1).take(2);
    let mut programs = directories.map(|directory| directory.join("pam_app"));
    let found = programs.find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("pam_app is not beside {}", own.display()))
}
