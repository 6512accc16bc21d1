//! The product with a configuration, a state directory and pam.d files of its own, anywhere on disk.
//!
//! Unlike [`crate::otpgate`] it needs no sandbox: nothing of it is at a path that the machine knows.
//! Which files libpam reads is said at each login, see [`crate::application`].

use crate::application::Login;
use crate::built;
use crate::clock::Clock;
use crate::otpgate::Enrolment;
use crate::processes::{DEADLINE, Finished, kill_tree, wait};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The PAM service of [`Installation::login`]: the module alone.
pub const SERVICE: &str = "login-test";

/// Removed from the disk when dropped.
pub struct Installation {
    directory: TempDir,
    module: PathBuf,
    command: PathBuf,
}

impl Installation {
    /// On a disk that survives a restart, for what is promised about disks.
    pub fn new() -> Self {
        Self::with_settings("")
    }

    /// The same with more lines of `otpgate.toml`.
    pub fn with_settings(settings: &str) -> Self {
        let installation = Self::prepared(Path::new("/var/tmp"), settings);
        installation.must(&["init"]);
        installation
    }

    /// Inside this directory; without `otpgate init`.
    pub fn prepared(parent: &Path, settings: &str) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("otpgate-test-")
            .tempdir_in(parent)
            .unwrap();
        let installation = Self {
            directory,
            module: built::release("OTPGATE_MODULE", "libpam_otpgate.so"),
            command: built::release("OTPGATE_COMMAND", "otpgate"),
        };
        fs::create_dir(installation.path("pam.d")).unwrap();
        installation.configure(settings);
        installation.service(SERVICE, &installation.auth_line(""));
        installation
    }

    /// Writes the configuration anew.
    pub fn configure(&self, settings: &str) {
        let text = format!("state_dir = {:?}\n{settings}", self.state_dir());
        fs::write(self.config(), text).unwrap();
        fs::set_permissions(self.config(), Permissions::from_mode(0o600)).unwrap();
    }

    /// A path for something of the test's own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `otpgate.toml`
    pub fn config(&self) -> PathBuf {
        self.path("otpgate.toml")
    }

    /// Where accounts and state are.
    pub fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    /// A file of the state directory.
    pub fn state(&self, name: &str) -> PathBuf {
        self.state_dir().join(name)
    }

    /// The module under test.
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// The command under test.
    pub fn command(&self) -> &Path {
        &self.command
    }

    /// `auth required MODULE config=... OPTIONS`
    pub fn auth_line(&self, options: &str) -> String {
        self.line("auth required", options)
    }

    /// The same for another facility and control.
    pub fn line(&self, head: &str, options: &str) -> String {
        let (module, config) = (self.module.display(), self.config());
        format!("{head} {module} config={} {options}", config.display())
    }

    /// Writes a pam.d file.
    pub fn service(&self, name: &str, stack: &str) {
        fs::write(self.path("pam.d").join(name), format!("{stack}\n")).unwrap();
    }

    /// A login of this user, still to be run.
    pub fn login(&self, user: &str) -> Login {
        Login::new(&self.path("pam.d"), SERVICE, user)
    }

    /// Enrols `user`; `arguments` are more arguments, such as `--hotp`.
    pub fn enroll(&self, user: &str, arguments: &[&str]) -> Enrolment {
        let fixed = ["enroll", user, "--no-confirm", "--qr", "none", "--json"];
        let json = self.json(&[&fixed[..], arguments].concat());
        Enrolment {
            device: text(&json["device"]),
            kind: text(&json["kind"]),
            uri: text(&json["uri"]),
            secret: text(&json["secret"]),
            recovery_codes: texts(&json["recovery_codes"]),
        }
    }

    /// A new set of recovery codes.
    pub fn recovery(&self, user: &str) -> Vec<String> {
        texts(&self.json(&["recovery", user, "--json"])["recovery_codes"])
    }

    /// What `otpgate show` says of the user.
    pub fn show(&self, user: &str) -> Value {
        self.json(&["show", user, "--json"])
    }

    /// The lowest position of the first device that is not used up: a counter, or a time step.
    pub fn next(&self, user: &str) -> u64 {
        self.show(user)["devices"][0]["next"].as_u64().unwrap()
    }

    /// The failures that the throttle counts.
    pub fn failures(&self, user: &str) -> u64 {
        self.show(user)["throttle"]["failures"].as_u64().unwrap()
    }

    /// `otpgate` with this configuration, still to be run.
    pub fn otpgate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.command);
        command.arg("--config").arg(self.config()).args(arguments);
        command
    }

    /// Runs `otpgate`.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.otpgate(arguments), "")
    }

    /// Runs `otpgate` with lines for its questions, under a clock.
    pub fn answer(&self, arguments: &[&str], input: &str, clock: Clock) -> Finished {
        let mut command = self.otpgate(arguments);
        clock.set(&mut command);
        finish(&mut command, input)
    }

    /// Runs `otpgate`.
    ///
    /// # Panics
    /// When it fails.
    pub fn must(&self, arguments: &[&str]) -> Finished {
        let finished = self.run(arguments);
        assert!(finished.success(), "otpgate {arguments:?}: {finished:?}");
        finished
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let stdout = self.must(arguments).stdout;
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {arguments:?}: {stdout}"))
    }

    /// The names of all files and directories of the state, relative to it.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for directory in ["", "accounts", "state", "decoys"] {
            for entry in fs::read_dir(self.state(directory)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                names.insert(format!("{directory}/{name}"));
            }
        }
        names
    }

    /// The temporary files that an interrupted administration left.
    pub fn temporaries(&self) -> Vec<String> {
        let names = self.names().into_iter();
        names.filter(|name| name.ends_with("/.new")).collect()
    }
}

impl Default for Installation {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a command to its end or to the deadline. Its output has to fit into a pipe.
pub fn finish(command: &mut Command, input: &str) -> Finished {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A command that does not read has closed it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let status = wait(&mut child, DEADLINE);
    if status.is_none() {
        kill_tree(&mut child);
    }
    Finished {
        status,
        stdout: read(child.stdout.take().unwrap()),
        stderr: read(child.stderr.take().unwrap()),
    }
}

fn read(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn text(json: &Value) -> String {
    json.as_str()
        .unwrap_or_else(|| panic!("no text: {json}"))
        .to_owned()
}

fn texts(json: &Value) -> Vec<String> {
    json.as_array().into_iter().flatten().map(text).collect()
}
