//! otpgate-sshd without root: the files of a server that is one ordinary user's own, in one directory.
//!
//! Its PAM services are complete files: libpam 1.5 looks for what they include in the system's
//! directory, whatever directory it is told.

use crate::built;
use crate::users::KeyPair;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says whether standard input is the password; what pam_exec writes there ends in a NUL.
const CHECK: &str = "#!/bin/sh
given=$(tr -d '\\000')
[ \"$given\" = \"$(cat \"${0%/*}/password\")\" ]
";

/// What cargo built, or copies of it.
#[derive(Debug, Clone)]
pub struct Artefacts {
    /// `otpgate-sshd`
    pub server: PathBuf,
    /// `otpgate`
    pub command: PathBuf,
    /// `libpam_otpgate.so`
    pub module: PathBuf,
}

impl Artefacts {
    /// Where `cargo build --release` leaves them.
    pub fn built() -> Self {
        Self {
            server: built::release("OTPGATE_SSHD", "otpgate-sshd"),
            command: built::release("OTPGATE_COMMAND", "otpgate"),
            module: built::release("OTPGATE_MODULE", "libpam_otpgate.so"),
        }
    }

    /// Copies that anybody may use: the target directory may be closed to others than its owner.
    pub fn copied_to(self, directory: &Path) -> Self {
        let copy = |from: PathBuf| {
            let to = directory.join(from.file_name().unwrap());
            fs::copy(&from, &to).unwrap();
            fs::set_permissions(&to, Permissions::from_mode(0o755)).unwrap();
            to
        };
        Self {
            server: copy(self.server),
            command: copy(self.command),
            module: copy(self.module),
        }
    }
}

/// Configurations, a private PAM directory, a host key and a password.
pub struct Rootless {
    directory: PathBuf,
    artefacts: Artefacts,
    /// The server's host key.
    pub host_key: KeyPair,
}

impl Rootless {
    /// Writes them into this directory. The server will listen on this port of 127.0.0.1; 0 is any.
    pub fn prepare(directory: &Path, artefacts: Artefacts, password: &str, port: u16) -> Self {
        fs::create_dir(directory.join("pam.d")).unwrap();
        let rootless = Self {
            directory: directory.to_owned(),
            artefacts,
            host_key: KeyPair::make(directory),
        };
        rootless.write("password", password, 0o600);
        rootless.write("check-password", CHECK, 0o700);
        rootless.write("pam.d/otpgate-sshd", &rootless.stack(), 0o644);
        rootless.write("pam.d/other", "auth required pam_deny.so\n", 0o644);
        let otpgate = format!(
            "state_dir = {:?}\nissuer = \"otpgate demo\"\n",
            rootless.path("state")
        );
        rootless.write("otpgate.toml", &otpgate, 0o600);
        rootless.write("otpgate-sshd.toml", &rootless.settings(port), 0o600);
        rootless
    }

    /// The PAM stack: a password that the demo made up, and the module.
    pub fn stack(&self) -> String {
        let (check, config) = (self.path("check-password"), self.path("otpgate.toml"));
        let (check, config) = (check.display(), config.display());
        let module = self.artefacts.module.display();
        format!(
            "auth requisite pam_exec.so expose_authtok quiet {check}
auth required {module} config={config}
account required pam_permit.so
password required pam_deny.so
session required pam_permit.so
"
        )
    }

    /// The server's configuration.
    pub fn settings(&self, port: u16) -> String {
        let (confdir, key) = (self.path("pam.d"), &self.host_key.private);
        format!(
            "listen = [\"127.0.0.1:{port}\"]
host_keys = [{key:?}]
pam_confdir = {confdir:?}
"
        )
    }

    /// For a caller who is root all the same: the server is for root then, and takes an account that every system
    /// has for those of its processes that read the network.
    pub fn serve_root(&self, port: u16) {
        let chroot = self.path("empty");
        fs::create_dir(&chroot).unwrap();
        fs::set_permissions(&chroot, Permissions::from_mode(0o755)).unwrap();
        let settings = format!(
            "{}permit_root_login = true\nnetwork_user = \"nobody\"\nchroot_directory = {chroot:?}\n",
            self.settings(port)
        );
        self.write("otpgate-sshd.toml", &settings, 0o600);
    }

    /// `otpgate`, still to be run.
    pub fn otpgate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.artefacts.command);
        command
            .arg("--config")
            .arg(self.path("otpgate.toml"))
            .args(arguments);
        command
    }

    /// `otpgate-sshd`, still to be run.
    pub fn server(&self) -> Command {
        let mut command = Command::new(&self.artefacts.server);
        command
            .arg("--config")
            .arg(self.path("otpgate-sshd.toml"))
            .arg("--stderr");
        command
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
}
