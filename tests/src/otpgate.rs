//! The product: its module and its command, as `cargo build --release` leaves them.

use crate::built;
use crate::processes::{self, Finished};
use crate::sandbox::Sandbox;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const CONFIG: &str = "/etc/otpgate/otpgate.toml";
const STATE: &str = "/var/lib/otpgate";

/// An installation in the sandbox, at the product's default paths.
pub struct Otpgate<'a> {
    sandbox: &'a Sandbox,
    command: PathBuf,
    module: PathBuf,
}

/// What `otpgate enroll --json` says.
#[derive(Debug)]
pub struct Enrolment {
    /// The device's id.
    pub device: String,
    /// `totp` or `hotp`.
    pub kind: String,
    /// `otpauth://...`
    pub uri: String,
    /// Base32.
    pub secret: String,
    /// Codes that work once each.
    pub recovery_codes: Vec<String>,
}

impl<'a> Otpgate<'a> {
    /// Writes the configuration, adding `settings` (TOML) to it, and runs `otpgate init`.
    pub fn install(sandbox: &'a Sandbox, settings: &str) -> Self {
        let module = built::release("OTPGATE_MODULE", "libpam_otpgate.so");
        let command = built::release("OTPGATE_COMMAND", "otpgate");
        let directory = Path::new(CONFIG).parent().unwrap();
        fs::create_dir_all(directory).unwrap();
        fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
        fs::write(CONFIG, format!("state_dir = \"{STATE}\"\n{settings}")).unwrap();
        fs::set_permissions(CONFIG, Permissions::from_mode(0o600)).unwrap();
        let otpgate = Self {
            sandbox,
            command,
            module,
        };
        otpgate.must(&["init"]);
        otpgate
    }

    /// The auth line for pam.d; `options` are the module's.
    pub fn auth_line(&self, options: &str) -> String {
        format!("auth required {} {options}", self.module.display())
    }

    /// Puts the module where libpam finds it, as a package would.
    pub fn install_module(&self) {
        self.sandbox.install_module(&self.module, "pam_otpgate.so");
    }

    /// The command, with the sandbox's configuration, to be run in a test's own way.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.command);
        command.args(["--config", CONFIG]);
        command
    }

    /// Enrols `user`; `arguments` are more arguments, such as `--hotp`.
    pub fn enroll(&self, user: &str, arguments: &[&str]) -> Enrolment {
        let fixed = ["enroll", user, "--no-confirm", "--qr", "none", "--json"];
        let json = self.json(&[&fixed[..], arguments].concat());
        let text = |key: &str| text(&json, key).to_owned();
        let codes = json["recovery_codes"].as_array().into_iter().flatten();
        Enrolment {
            device: text("device"),
            kind: text("kind"),
            uri: text("uri"),
            secret: text("secret"),
            recovery_codes: codes
                .map(|code| code.as_str().unwrap().to_owned())
                .collect(),
        }
    }

    /// Invites `user`, and returns the ticket; `arguments` are more arguments, such as `--expires`.
    pub fn invite(&self, user: &str, arguments: &[&str]) -> String {
        let json = self.json(&[&["invite", user, "--json"][..], arguments].concat());
        text(&json, "invite").to_owned()
    }

    /// What `otpgate show` says of the user.
    pub fn show(&self, user: &str) -> Value {
        self.json(&["show", user, "--json"])
    }

    /// The failures counted for the user since the last success.
    pub fn failures(&self, user: &str) -> u64 {
        let shown = self.show(user);
        let count = shown["failures_since_last_success"].as_u64();
        count.unwrap_or_else(|| panic!("no failures_since_last_success: {shown}"))
    }

    /// Runs the command with the sandbox's configuration.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let mut command = self.command();
        command.args(arguments);
        processes::run(&mut command, &self.sandbox.scratch())
    }

    /// Runs it, and it has to succeed.
    pub fn must(&self, arguments: &[&str]) -> Finished {
        let finished = self.run(arguments);
        assert!(finished.success(), "otpgate {arguments:?}: {finished:?}");
        finished
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let stdout = self.must(arguments).stdout;
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {arguments:?}: {stdout}"))
    }
}

/// A string of a JSON object.
fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {json}"))
}
