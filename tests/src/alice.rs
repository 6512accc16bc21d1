//! The usual protagonist: Alice, enrolled with a counter-based device, so that no test has to wait
//! for the next code.

use crate::clients::openssh::{Way, ssh};
use crate::clients::{ClientRun, Login};
use crate::oath;
use crate::otpgate::Otpgate;
use crate::sandbox::Sandbox;
use crate::server::Endpoint;
use crate::users::User;

/// A user with a password and a device, on a machine with the product installed.
pub struct Alice<'a> {
    /// Where she lives.
    pub sandbox: &'a Sandbox,
    /// The product there.
    pub otpgate: Otpgate<'a>,
    /// `alice`, unless a test renames her.
    pub user: User,
    /// Her device's secret, in base32.
    pub secret: String,
}

impl<'a> Alice<'a> {
    /// Installs the product and enrols her.
    pub fn new(sandbox: &'a Sandbox) -> Self {
        Self::with_settings(sandbox, "")
    }

    /// The same with more lines of `otpgate.toml`.
    pub fn with_settings(sandbox: &'a Sandbox, settings: &str) -> Self {
        let otpgate = Otpgate::install(sandbox, settings);
        let user = sandbox.add_user("alice");
        let secret = otpgate.enroll("alice", &["--hotp"]).secret;
        Self {
            sandbox,
            otpgate,
            user,
            secret,
        }
    }

    /// sshd asks for password, then code.
    pub fn stack_after_password(self) -> Self {
        self.stack_after_password_with("")
    }

    /// The same with options for the module.
    pub fn stack_after_password_with(self, options: &str) -> Self {
        self.sandbox
            .sshd_stack_after_password(&self.otpgate.auth_line(options));
        self
    }

    /// sshd's PAM stack asks for the code alone.
    pub fn stack_code_only(self) -> Self {
        self.sandbox
            .sshd_stack_code_only(&self.otpgate.auth_line(""));
        self
    }

    /// Her device's `n`th code, from 0.
    pub fn code(&self, n: u64) -> String {
        oath::hotp(&self.secret, n, 6)
    }

    /// A login of hers with the right password.
    pub fn login<'b>(&'b self, server: &'b Endpoint, code: String) -> Login<'b> {
        Login::new(self.sandbox, server, &self.user, code)
    }

    /// Runs `id -un` over ssh.
    pub fn log_in(&self, server: &Endpoint, code: String) -> ClientRun {
        ssh(&self.login(server, code), Way::Askpass, &[], "id -un")
    }

    /// The same from another address of the loopback network.
    pub fn log_in_from(&self, address: &str, server: &Endpoint, code: String) -> ClientRun {
        let bind = format!("-oBindAddress={address}");
        ssh(&self.login(server, code), Way::Askpass, &[&bind], "id -un")
    }

    /// The failures counted for her since the last success.
    pub fn failures(&self) -> u64 {
        self.otpgate.failures(&self.user.name)
    }
}
