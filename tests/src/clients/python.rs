//! paramiko and asyncssh, the libraries behind most Python scripts that speak SSH.

use super::{ClientRun, Login, helper};
use crate::built::target_directory;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python with the libraries of `clients/requirements.txt`.
pub struct Python {
    interpreter: PathBuf,
}

/// What a script does once it is in: runs `id -un`, puts a file, gets it back.
pub struct Job<'a> {
    /// The local file to put.
    pub put: &'a Path,
    /// Its name on the server, relative to the home.
    pub remote: &'a str,
    /// The local file to get it back into.
    pub get: &'a Path,
}

impl Python {
    /// Makes the virtual environment in cargo's target directory, once for all tests.
    ///
    /// To be called outside the sandbox: pip needs the machine's network settings.
    pub fn ready() -> Self {
        let wanted = fs::read_to_string(helper("requirements.txt")).unwrap();
        let home = target_directory().join("e2e-python");
        fs::create_dir_all(&home).unwrap();
        let lock = File::create(home.join("lock")).unwrap();
        lock.lock().unwrap();
        let (venv, stamp) = (home.join("venv"), home.join("installed.txt"));
        if fs::read_to_string(&stamp).ok() != Some(wanted.clone()) {
            done(
                Command::new("python3")
                    .args(["-m", "venv", "--clear"])
                    .arg(&venv),
            );
            let pip = [
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ];
            let requirements = helper("requirements.txt");
            done(
                Command::new(venv.join("bin/pip"))
                    .args(pip)
                    .arg(requirements),
            );
            fs::write(stamp, wanted).unwrap();
        }
        Self {
            interpreter: venv.join("bin/python"),
        }
    }

    /// A program of the environment's, for root: an interpreter in root's home is nobody else's.
    pub fn program(&self, name: &str) -> PathBuf {
        self.interpreter.with_file_name(name)
    }

    /// A login through `paramiko.Transport.auth_interactive`.
    pub fn paramiko(&self, login: &Login, job: &Job) -> ClientRun {
        self.script("paramiko_client.py", login, job)
    }

    /// A login through `asyncssh.SSHClient.kbdint_challenge_received`.
    pub fn asyncssh(&self, login: &Login, job: &Job) -> ClientRun {
        self.script("asyncssh_client.py", login, job)
    }

    /// Does what `attacks.py` calls by the first of these names, the others being its arguments. What
    /// it found out is the value that it printed.
    pub fn attack(&self, login: &Login, attack: &[&str]) -> Value {
        self.value("attacks.py", login, attack)
    }

    /// The same with `sessions.py`.
    pub fn session(&self, login: &Login, what: &[&str]) -> Value {
        self.value("sessions.py", login, what)
    }

    /// Cuts a connection at this stage, see `attacks.py`.
    pub fn cut(&self, login: &Login, stage: &str) {
        let run = login.run(&mut self.command("attacks.py", login, ["cut", stage]));
        assert!(run.success, "{stage}: {run:?}");
    }

    fn value(&self, script: &str, login: &Login, arguments: &[&str]) -> Value {
        let run = login.run(&mut self.command(script, login, arguments));
        assert!(run.success, "{arguments:?}: {run:?}");
        serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"))
    }

    /// A script that is no client, with its arguments to come.
    pub fn helper(&self, name: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg("-B").arg(helper(name));
        command
    }

    fn script(&self, name: &str, login: &Login, job: &Job) -> ClientRun {
        let files = [
            job.put.as_os_str(),
            job.remote.as_ref(),
            job.get.as_os_str(),
        ];
        let mut run = login.run(&mut self.command(name, login, files));
        run.rounds = rounds(&run.stdout);
        run.prompts = run.rounds.concat();
        run
    }

    /// `name PORT USER HOST_KEY ARGUMENTS`
    fn command<S: AsRef<OsStr>>(
        &self,
        name: &str,
        login: &Login,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let server = login.server;
        let mut command = Command::new(&self.interpreter);
        command
            .args(["-B".as_ref(), helper(name).as_os_str()])
            .args([&server.port.to_string(), &login.user, &server.host_key])
            .args(arguments);
        command
    }
}

/// The scripts' first line is a JSON list of rounds, each a list of prompts.
fn rounds(stdout: &str) -> Vec<Vec<String>> {
    let line = stdout.lines().next().unwrap_or("[]");
    let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {stdout}"));
    let round = |round: &Value| {
        let prompts = round.as_array().unwrap();
        prompts
            .iter()
            .map(|prompt| prompt.as_str().unwrap().to_owned())
            .collect()
    };
    value.as_array().unwrap().iter().map(round).collect()
}

fn done(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}
