//! Somebody who enrols at a login, on a terminal and with a phone.

use super::openssh::client_config;
use super::putty::putty;
use super::{ClientRun, Login, Running, helper};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How far somebody goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Sees the key and hangs up.
    TheKey,
    /// Types wrong codes until the dialogue ends.
    WrongCodes,
    /// Sees the recovery codes and hangs up.
    TheRecoveryCodes,
    /// All the way.
    TheEnd,
}

impl Until {
    fn word(self) -> &'static str {
        match self {
            Self::TheKey => "key",
            Self::WrongCodes => "wrong",
            Self::TheRecoveryCodes => "codes",
            Self::TheEnd => "end",
        }
    }
}

/// What they saw, in a directory of their own.
pub struct Traces(PathBuf);

/// Logs in by ssh, and runs `command` on the server.
pub fn ssh(login: &Login, until: Until, command: &str) -> (ClientRun, Traces) {
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(client_config(login));
    run(login, until, ssh.args(["server", command]))
}

/// Logs in by plink, and runs `command` on the server.
pub fn plink(login: &Login, until: Until, command: &str) -> (ClientRun, Traces) {
    let mut plink = putty("plink", login);
    plink.arg("-no-antispoof").arg(login.destination());
    run(login, until, plink.arg(command))
}

/// Logs in on a terminal of the host, where a shell says who it is.
pub fn console(login: &Login, until: Until) -> (ClientRun, Traces) {
    run(login, until, Command::new("login").arg(&login.user))
}

/// Starts a login by ssh that waits in `gate`, a directory, before it says that the codes are noted.
pub fn start_ssh(login: &Login, gate: &Path, command: &str) -> Running {
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(client_config(login));
    let command = ssh.args(["server", command]);
    let (mut expect, _) = prepared(login, Until::TheEnd, gate, command);
    login.start(&mut expect)
}

fn run(login: &Login, until: Until, command: &Command) -> (ClientRun, Traces) {
    let (mut expect, traces) = prepared(login, until, Path::new(""), command);
    (login.run(&mut expect), traces)
}

fn prepared(login: &Login, until: Until, gate: &Path, command: &Command) -> (Command, Traces) {
    let traces = login.sandbox.scratch();
    let mut expect = Command::new("expect");
    expect
        .arg("-f")
        .arg(helper("enrol.exp"))
        .arg(until.word())
        .args([traces.as_path(), gate])
        .arg(command.get_program())
        .args(command.get_args());
    (expect, Traces(traces))
}

impl Traces {
    /// The key, as it was typed off the screen.
    pub fn key(&self) -> String {
        self.read("key")
    }

    /// The code that proved the key.
    pub fn code(&self) -> String {
        self.read("code")
    }

    /// The screen with the picture.
    pub fn screen(&self) -> String {
        self.read("screen")
    }

    /// The recovery codes.
    pub fn recovery_codes(&self) -> Vec<String> {
        let codes = self.read("codes");
        let words = codes.split_whitespace().filter(|word| word.len() == 29);
        words.map(str::to_owned).collect()
    }

    fn read(&self, name: &str) -> String {
        let path = self.0.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
