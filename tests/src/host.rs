//! Bob, and otpgate-sshd that asks for his password alone: for what comes after a login.

use crate::clients::Login;
use crate::frontend::Frontend;
use crate::sandbox::Sandbox;
use crate::users::User;

/// A user and a server.
pub struct Host<'a> {
    /// Where they live.
    pub sandbox: &'a Sandbox,
    /// `bob`.
    pub bob: User,
    /// The server.
    pub server: Frontend,
}

impl<'a> Host<'a> {
    /// With these settings of the server (TOML).
    pub fn start(sandbox: &'a Sandbox, settings: &str) -> Self {
        Self::with_stack(sandbox, "", settings)
    }

    /// The same with more lines of the PAM stack.
    pub fn with_stack(sandbox: &'a Sandbox, lines: &str, settings: &str) -> Self {
        sandbox.server_stack_password_only(lines);
        Self {
            sandbox,
            bob: sandbox.add_user("bob"),
            server: Frontend::start(sandbox, settings),
        }
    }

    /// A login of Bob's.
    pub fn login(&self) -> Login<'_> {
        Login::new(self.sandbox, &self.server, &self.bob, "")
    }
}
