//! The built `otpgate` over a store of its own, and the tools that judge what it says.
#![allow(dead_code)] // Each test binary uses a part of it.

pub mod picture;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use otp_core::answer::Answer;
use otp_core::clock::Clock;
use otp_core::policy::{Attempt, Parameters, Verdict};
use otp_core::source::Origin;
use otp_core::store::FilesStore;
use otp_core::totp::UnixTime;
use otp_core::user_name::UserName;
use otp_core::verifier::Verifier;
use serde_json::Value;

/// The RFCs' test secret, "12345678901234567890".
pub const RFC_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// A store with a configuration, and the command that works on it.
pub struct Desk {
    pub root: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// What `enroll --json` said.
pub struct Enrolled {
    pub secret: String,
    pub uri: String,
    pub recovery_codes: Vec<String>,
}

impl Desk {
    /// With `otpgate init` done.
    pub fn new() -> Self {
        Self::with_settings("")
    }

    /// The same, with more lines of configuration.
    pub fn with_settings(settings: &str) -> Self {
        let desk = Self::before_init(settings);
        desk.must(&["init"]);
        desk
    }

    /// With a configuration alone.
    pub fn before_init(settings: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let desk = Self { root };
        let state_dir = desk.state_dir();
        let text = format!(
            "state_dir = \"{}\"\nissuer = \"Example\"\n{settings}",
            state_dir.display()
        );
        fs::write(desk.path("otpgate.toml"), text).unwrap();
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(desk.path("otpgate.toml"), mode).unwrap();
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    pub fn account_file(&self, user: &str) -> PathBuf {
        self.state_dir()
            .join("accounts")
            .join(format!("{user}.toml"))
    }

    pub fn state_file(&self, user: &str) -> PathBuf {
        self.state_dir().join("state").join(user)
    }

    /// A file with a secret in it, as `--secret-from` takes it.
    pub fn secret_file(&self, secret: &str) -> String {
        let path = self.path("secret");
        fs::write(&path, secret).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_otpgate"));
        command
            .arg("--config")
            .arg(self.path("otpgate.toml"))
            .args(arguments)
            .env("LC_ALL", "C.UTF-8");
        command
    }

    /// Runs it without anything on standard input.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs it with this on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        feed(&mut self.command(arguments), input)
    }

    /// Standard output of a command that has to succeed.
    pub fn must(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 0, "otpgate {arguments:?}: {ran:?}");
        ran.stdout
    }

    /// What it prints with `--json`; the status has to be 0.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.must(&[&["--json"], arguments].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// Enrols without confirmation.
    pub fn enroll(&self, user: &str, arguments: &[&str]) -> Enrolled {
        let fixed = ["enroll", user, "--no-confirm", "--qr", "none"];
        let json = self.json(&[&fixed, arguments].concat());
        let codes = json["recovery_codes"].as_array().unwrap().iter();
        Enrolled {
            secret: json["secret"].as_str().unwrap().to_owned(),
            uri: json["uri"].as_str().unwrap().to_owned(),
            recovery_codes: codes
                .map(|code| code.as_str().unwrap().to_owned())
                .collect(),
        }
    }

    pub fn show(&self, user: &str) -> Value {
        self.json(&["show", user])
    }

    /// The `reason` of `otpgate verify`; `accepted` means exit status 0, everything else 1.
    pub fn verify(&self, user: &str, typed: &str) -> String {
        self.verify_as("sshd", user, typed)
    }

    /// The same, for another service.
    pub fn verify_as(&self, service: &str, user: &str, typed: &str) -> String {
        let arguments = ["verify", user, "--json", "--service", service];
        let ran = self.run_with(&arguments, &format!("{typed}\n"));
        let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        let accepted = json["accepted"].as_bool().unwrap();
        assert_eq!(ran.status, i32::from(!accepted), "{ran:?}");
        json["reason"].as_str().unwrap().to_owned()
    }

    /// A login from a terminal, with everything that it changes.
    pub fn log_in(&self, user: &str, typed: &str, clock: &impl Clock) -> Verdict {
        let store = FilesStore::open(&self.state_dir()).unwrap();
        let attempt = Attempt {
            answer: Answer::parse(Some(typed.as_bytes()), None),
            source: Origin::Local.source(),
            service: "sshd",
            remember: false,
            invites: false,
        };
        let parameters = Parameters::default();
        let verifier = Verifier::new(&store, &parameters);
        verifier
            .verify(&UserName::from(user), &attempt, clock)
            .unwrap()
    }
}

impl Ran {
    /// The one line of the error, without `otpgate: `; notes before it are passed over.
    pub fn error(&self) -> &str {
        assert_ne!(self.status, 0, "{self:?}");
        let mut lines = self
            .stderr
            .lines()
            .filter(|line| !line.contains(": note: "));
        let last = lines.next_back().unwrap_or_default();
        assert_eq!(
            lines.filter(|line| line.starts_with("otpgate: ")).count(),
            0,
            "{self:?}"
        );
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        last.strip_prefix("otpgate: ")
            .unwrap_or_else(|| panic!("no error line: {self:?}"))
    }
}

/// Runs a command with this on standard input, and waits for its end.
pub fn feed(command: &mut Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    // A command that does not read its input closes the pipe, which is its right.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap().into()
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or_else(|| panic!("{output:?}")),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A program that a test cannot do without.
pub fn tool(program: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    assert!(found, "{program} is missing: apt-get install {package}");
    Command::new(program)
}

/// A copy of the command where anybody may start it. Not written by this process: another test's fork would inherit
/// the file open for writing, and what is being written cannot be executed.
pub fn copy_command(to: &Path) {
    let ran = feed(
        tool("install", "coreutils")
            .args(["-m", "755", env!("CARGO_BIN_EXE_otpgate")])
            .arg(to),
        "",
    );
    assert_eq!(ran.status, 0, "{ran:?}");
}

/// What oathtool computes, reading the secret from its standard input.
pub fn oathtool(arguments: &[&str], secret: &str) -> String {
    let ran = feed(
        tool("oathtool", "oathtool").args(arguments).arg("-"),
        secret,
    );
    assert_eq!(ran.status, 0, "oathtool {arguments:?}: {ran:?}");
    ran.stdout.trim().to_owned()
}

/// The TOTP code of this moment, by oathtool; `options` such as `--totp=sha256`, `-d8`.
pub fn totp_at(time: u64, options: &[&str], secret: &str) -> String {
    let now = format!("--now=@{time}");
    let options = if options.is_empty() {
        &["--totp"]
    } else {
        options
    };
    oathtool(&[options, &["--base32", &now]].concat(), secret)
}

/// The HOTP code of this counter, by oathtool.
pub fn hotp(counter: u64, secret: &str) -> String {
    let counter = format!("--counter={counter}");
    oathtool(&["--hotp", "--base32", &counter], secret)
}

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// [`now`], and the step that it is in lasts a few seconds more.
pub fn now_within_a_step() -> u64 {
    loop {
        let now = now();
        if now % 30 < 27 {
            return now;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn at(time: u64) -> UnixTime {
    UnixTime(time)
}

/// A code that this secret does not make around now.
pub fn wrong_code(secret: &str) -> String {
    wrong_code_at(now(), secret)
}

/// A code that this secret does not make within 25 steps of `time`.
pub fn wrong_code_at(time: u64, secret: &str) -> String {
    let right = totp_at(time - 25 * 30, &["--totp", "--window=50"], secret);
    let right: Vec<&str> = right.lines().collect();
    assert_eq!(right.len(), 51);
    let mut codes = (0..).map(|number| format!("{number:06}"));
    codes.find(|code| !right.contains(&code.as_str())).unwrap()
}

/// The keys of a JSON object, sorted.
pub fn keys(json: &Value) -> Vec<&str> {
    let object = json
        .as_object()
        .unwrap_or_else(|| panic!("no object: {json}"));
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    let metadata = File::open(path).unwrap().metadata().unwrap();
    metadata.permissions().mode() & 0o7777
}
