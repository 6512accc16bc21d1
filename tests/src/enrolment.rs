//! A host on which people enrol at their login: the product, set up by its own command.

use crate::clients::openssh::{Way, ssh};
use crate::clients::{ClientRun, Login};
use crate::oath;
use crate::otpgate::Otpgate;
use crate::sandbox::Sandbox;
use crate::server::Endpoint;
use crate::users::User;
use serde_json::Value;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// A user with a password and no device.
pub struct Newcomer<'a> {
    /// Where they live.
    pub sandbox: &'a Sandbox,
    /// The product there.
    pub otpgate: Otpgate<'a>,
    /// `dora`.
    pub user: User,
}

impl<'a> Newcomer<'a> {
    /// Everybody has to show a code at both servers and on the console, and may enrol there.
    pub fn new(sandbox: &'a Sandbox) -> Self {
        Self::with_settings(sandbox, "")
    }

    /// The same with more lines of `otpgate.toml`.
    pub fn with_settings(sandbox: &'a Sandbox, settings: &str) -> Self {
        let settings = format!("issuer = \"Example\"\n{settings}");
        let otpgate = Otpgate::install(sandbox, &settings);
        otpgate.install_module();
        for service in ["sshd", "login"] {
            otpgate.must(&["setup", service, "--enrol", "--require"]);
        }
        fs::copy("/etc/pam.d/sshd", "/etc/pam.d/otpgate-sshd").unwrap();
        Self {
            sandbox,
            otpgate,
            user: sandbox.add_user("dora"),
        }
    }

    /// A login of theirs with the right password, and this at `Verification code: `.
    pub fn login<'b>(&'b self, server: &'b Endpoint, code: impl Into<String>) -> Login<'b> {
        Login::new(self.sandbox, server, &self.user, code)
    }

    /// Runs `id -un` over ssh, answering the login's two questions and no other.
    pub fn log_in(&self, server: &Endpoint, code: impl Into<String>) -> ClientRun {
        ssh(&self.login(server, code), Way::Askpass, &[], "id -un")
    }

    /// What `otpgate show` says, or nothing for somebody of whom there is nothing.
    pub fn shown(&self) -> Option<Value> {
        let shown = self.otpgate.run(&["show", "dora", "--json"]);
        shown
            .success()
            .then(|| serde_json::from_str(&shown.stdout).unwrap())
    }

    /// Whether there is a device.
    pub fn is_enrolled(&self) -> bool {
        let devices = |shown: Value| {
            shown["devices"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        };
        self.shown().is_some_and(devices)
    }

    /// How often the invite can still let in.
    ///
    /// # Panics
    /// When there is none.
    pub fn admissions_left(&self) -> u64 {
        let shown = self.shown().expect("an invite");
        shown["invite"]["admissions_left"]
            .as_u64()
            .expect("an invite")
    }
}

/// The code after the one that proved the key: nobody has to wait for it, the window reaches that far.
pub fn next_code(key: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    oath::totp(key, Some(now.as_secs() + 30), "sha1", 6)
}
