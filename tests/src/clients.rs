//! Real SSH clients, driven as people and scripts drive them: by askpass, or on a terminal.
//!
//! Every run is bounded by the harness's deadline and reports which prompts the client showed.

pub mod dropbear;
pub mod enrol;
pub mod gate;
pub mod git;
pub mod lftp;
pub mod openssh;
pub mod putty;
pub mod python;
pub mod rsync;
mod running;

use crate::processes::{self, Finished};
use crate::sandbox::Sandbox;
use crate::server::Endpoint;
use crate::users::User;
use gate::Gate;
pub use running::Running;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One login to be tried: where, who, and what to answer.
pub struct Login<'a> {
    /// The sandbox of the test.
    pub sandbox: &'a Sandbox,
    /// The server.
    pub server: &'a Endpoint,
    /// The login name.
    pub user: String,
    /// The answer to `Password: `.
    pub password: String,
    /// The answer to `Verification code: `.
    pub code: String,
    /// Where to wait before the code is answered; only the askpass clients do.
    pub gate: Option<&'a Gate>,
    /// Where the code arrives instead; only the askpass clients look there.
    pub sent: Option<Sent>,
}

/// A code that arrives at a file, see `askpass.sh`.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The file, a line for each code.
    pub file: PathBuf,
    /// How many lines there are when it has arrived.
    pub lines: usize,
    /// The channel that is asked for it; none when it comes by itself.
    pub ask: Option<&'static str>,
}

impl Sent {
    fn environment(&self) -> impl Iterator<Item = (&'static str, OsString)> + use<> {
        let (file, lines) = (self.file.clone(), self.lines.to_string());
        let ask = self.ask.map(|channel| ("E2E_ASK", channel.into()));
        let always = [("E2E_SENT", file.into()), ("E2E_SENT_LINES", lines.into())];
        always.into_iter().chain(ask)
    }
}

/// What became of it.
#[derive(Debug)]
pub struct ClientRun {
    /// Whether the client says that all went well.
    pub success: bool,
    /// What it printed.
    pub stdout: String,
    /// What it printed as errors; empty for clients on a terminal.
    pub stderr: String,
    /// The prompts it showed, in order, as it showed them.
    pub prompts: Vec<String>,
    /// The same by keyboard-interactive request, where the client tells (paramiko, asyncssh).
    pub rounds: Vec<Vec<String>>,
}

impl<'a> Login<'a> {
    /// A login with the user's right password.
    pub fn new(
        sandbox: &'a Sandbox,
        server: &'a Endpoint,
        user: &User,
        code: impl Into<String>,
    ) -> Self {
        let (name, password) = (user.name.clone(), user.password.clone());
        Self {
            sandbox,
            server,
            user: name,
            password,
            code: code.into(),
            gate: None,
            sent: None,
        }
    }

    /// The same with another password.
    pub fn with_password(mut self, password: &str) -> Self {
        self.password = password.to_owned();
        self
    }

    /// The same, waiting at `gate` with the code in hand.
    pub fn with_gate(mut self, gate: &'a Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    /// The same with a code that is sent.
    pub fn with_sent(mut self, sent: Sent) -> Self {
        self.sent = Some(sent);
        self
    }

    /// `user@127.0.0.1`
    fn destination(&self) -> String {
        format!("{}@127.0.0.1", self.user)
    }

    /// Runs `command` with a clean environment in which the helper scripts find the answers.
    fn run(&self, command: &mut Command) -> ClientRun {
        let scratch = self.prepare(command);
        let finished = processes::run(command, &scratch);
        ClientRun::new(finished, prompts(&scratch))
    }

    /// Starts `command` in the same way.
    fn start(&self, command: &mut Command) -> Running {
        let scratch = self.prepare(command);
        Running::start(command, scratch)
    }

    /// Sets the environment of `command`, and makes the directory in which it leaves its traces.
    fn prepare(&self, command: &mut Command) -> PathBuf {
        let scratch = self.sandbox.scratch();
        fs::write(scratch.join(PROMPTS), "").unwrap();
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.sandbox.path("root"))
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm")
            .env("SSH_ASKPASS", helper("askpass.sh"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("E2E_PROMPTS", scratch.join(PROMPTS))
            .env("E2E_PASSWORD", &self.password)
            .env("E2E_CODE", &self.code)
            .envs(self.gate.map(|gate| ("E2E_GATE", gate.directory())))
            .envs(self.sent.iter().flat_map(Sent::environment))
            .current_dir(&scratch);
        scratch
    }
}

impl ClientRun {
    fn new(finished: Finished, prompts: Vec<String>) -> Self {
        let success = finished.success();
        assert!(
            finished.status.is_some(),
            "hung at {prompts:?}: {finished:?}"
        );
        let Finished { stdout, stderr, .. } = finished;
        Self {
            success,
            stdout,
            stderr,
            prompts,
            rounds: Vec::new(),
        }
    }
}

/// `command` on a terminal of its own, its prompts answered by `pty.exp`.
fn on_a_terminal(command: &Command) -> Command {
    let mut expect = Command::new("expect");
    expect
        .arg("-f")
        .arg(helper("pty.exp"))
        .arg(command.get_program())
        .args(command.get_args());
    expect
}

/// The file to which the helper scripts write the prompts that they see.
const PROMPTS: &str = "prompts";

fn prompts(scratch: &Path) -> Vec<String> {
    let prompts = fs::read_to_string(scratch.join(PROMPTS)).unwrap();
    prompts.lines().map(str::to_owned).collect()
}

/// A script in `tests/clients`.
fn helper(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(name)
}
