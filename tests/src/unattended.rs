//! A script's account: an ordinary user whose ssh asks `otpgate-askpass`, and nobody else is there.

use crate::built;
use crate::oath;
use crate::otpgate::Otpgate;
use crate::processes::{self, Finished};
use crate::sandbox::Sandbox;
use crate::server::Endpoint;
use crate::users::User;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

/// The account.
pub struct Robot<'a> {
    sandbox: &'a Sandbox,
    /// Whose it is.
    pub user: User,
    programs: PathBuf,
}

/// A device of the account that is logged in to.
pub struct Secret {
    base32: String,
    kind: &'static str,
}

impl Secret {
    /// Enrols a counter-based device, so that no test waits for the next code.
    pub fn hotp(otpgate: &Otpgate, user: &str) -> Self {
        Self {
            base32: otpgate.enroll(user, &["--hotp"]).secret,
            kind: "kind = \"hotp\"",
        }
    }

    /// Enrols a time-based device with steps of 15 seconds.
    pub fn totp(otpgate: &Otpgate, user: &str) -> Self {
        Self {
            base32: otpgate.enroll(user, &["--period", "15"]).secret,
            kind: "period = 15",
        }
    }

    /// The counter-based code.
    pub fn code(&self, n: u64) -> String {
        oath::hotp(&self.base32, n, 6)
    }
}

impl<'a> Robot<'a> {
    /// The account `robot`.
    pub fn new(sandbox: &'a Sandbox) -> Self {
        Self::of(sandbox, sandbox.add_user("robot"))
    }

    /// Root's own account, for what only root may start.
    pub fn root(sandbox: &'a Sandbox) -> Self {
        let root = User {
            name: "root".to_owned(),
            password: String::new(),
            home: sandbox.path("root"),
            uid: 0,
        };
        Self::of(sandbox, root)
    }

    /// Puts the programs where the account finds them.
    fn of(sandbox: &'a Sandbox, user: User) -> Self {
        let programs = sandbox.path("programs");
        fs::create_dir(&programs).unwrap();
        fs::set_permissions(&programs, Permissions::from_mode(0o755)).unwrap();
        let otpgate = built::release("OTPGATE_COMMAND", "otpgate");
        fs::copy(otpgate, programs.join("otpgate")).unwrap();
        symlink("otpgate", programs.join("otpgate-askpass")).unwrap();
        for directory in [".config", ".config/otpgate", ".ssh"] {
            fs::create_dir(user.home.join(directory)).unwrap();
            fs::set_permissions(user.home.join(directory), Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(user.home.join(directory), Some(user.uid), Some(user.uid))
                .unwrap();
        }
        Self {
            sandbox,
            user,
            programs,
        }
    }

    /// Answers for `user@host`: `more` is more of its `[[login]]`.
    pub fn answer_for(&self, who: &str, user: &User, secret: &Secret, more: &str) {
        self.user
            .write(".config/otpgate/password", &user.password, 0o600);
        self.user
            .write(".config/otpgate/secret", &secret.base32, 0o600);
        let kind = secret.kind;
        let login = format!(
            "[[login]]\nwho = [\"{who}\"]\npassword = {{ file = \"password\" }}\n\
             secret = {{ file = \"secret\" }}\n{kind}\n{more}\n"
        );
        self.user
            .write(".config/otpgate/askpass.toml", login, 0o600);
    }

    /// Lets `ssh server` go there as this user; `more` is more of the settings, before the others.
    pub fn know(&self, server: &Endpoint, user: &User, more: &str) {
        let (port, key) = (server.port, &server.host_key);
        self.user.write(
            ".ssh/known_hosts",
            format!("[127.0.0.1]:{port} {key}\n"),
            0o600,
        );
        let settings = format!(
            "Host server\n{more}\nHostName 127.0.0.1\nPort {port}\nUser {}\n\
             GlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n\
             NumberOfPasswordPrompts 1\nLogLevel ERROR\n",
            user.name
        );
        self.user.write(".ssh/config", settings, 0o600);
    }

    /// A shell script of the account's, without a terminal and with nothing but SSH_ASKPASS to help it.
    pub fn script(&self, text: &str) -> Command {
        let mut shell = Command::new("setsid");
        shell.args(["-w", "sh", "-euc", text]);
        let mut command = self.user.command(&shell);
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.programs.display());
        command
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .env("SSH_ASKPASS", self.programs.join("otpgate-askpass"))
            .env("SSH_ASKPASS_REQUIRE", "force");
        command
    }

    /// Runs such a script to its end.
    pub fn run(&self, text: &str) -> Finished {
        processes::run(&mut self.script(text), &self.sandbox.scratch())
    }

    /// What a script printed that has to succeed.
    pub fn must(&self, text: &str) -> String {
        let finished = self.run(text);
        assert!(finished.success(), "{text}: {finished:?}");
        finished.stdout
    }
}
