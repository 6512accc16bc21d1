//! Throwaway users: entries in the sandbox's `/etc/passwd`, homes on its tmpfs.

use crate::processes;
use crate::sandbox::Sandbox;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Above Debian's ranges for people and below those for containers and `nobody`.
const FIRST_UID: u32 = 61000;

/// Holds what shells, expect and shadow files could trip over.
pub const PASSWORD: &str = "Correct-Horse $7 [\"x\"]";

/// A user of the sandbox.
pub struct User {
    /// Login name.
    pub name: String,
    /// The password in clear.
    pub password: String,
    /// Home directory, owned by the user, mode 0700.
    pub home: PathBuf,
    /// User id, and the group's too.
    pub uid: u32,
}

/// A key pair of ssh-keygen's making.
pub struct KeyPair {
    /// The private key's file.
    pub private: PathBuf,
    /// The line for `authorized_keys`.
    pub public: String,
    /// `SHA256:...`
    pub fingerprint: String,
}

impl Sandbox {
    /// Adds a user with [`PASSWORD`], a home and `/bin/sh`.
    pub fn add_user(&self, name: &str) -> User {
        self.add_user_with_password(name, PASSWORD)
    }

    /// The same with another password.
    pub fn add_user_with_password(&self, name: &str, password: &str) -> User {
        let uid = FIRST_UID + self.number();
        let home = self.path("home").join(name);
        let hash = crypt(password);
        append("/etc/group", &format!("{name}:x:{uid}:"));
        append(
            "/etc/passwd",
            &format!("{name}:x:{uid}:{uid}::{}:/bin/sh", home.display()),
        );
        append("/etc/shadow", &format!("{name}:{hash}:19000:0:99999:7:::"));
        fs::create_dir(&home).unwrap();
        let user = User {
            name: name.into(),
            password: password.into(),
            home,
            uid,
        };
        user.own(&user.home, 0o700);
        user
    }

    /// A fresh ed25519 key pair without passphrase.
    pub fn key_pair(&self) -> KeyPair {
        KeyPair::make(&self.scratch())
    }
}

impl KeyPair {
    /// Makes a pair in this directory.
    pub fn make(directory: &Path) -> Self {
        let private = directory.join("key");
        let keygen = |arguments: &[&str]| {
            let mut keygen = Command::new("ssh-keygen");
            let made = processes::run(keygen.args(arguments).arg(&private), directory);
            assert!(made.success(), "{made:?}");
            made.stdout
        };
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]);
        let public = fs::read_to_string(private.with_extension("pub")).unwrap();
        let shown = keygen(&["-lf"]);
        let fingerprint = shown.split_whitespace().nth(1).expect("a fingerprint");
        Self {
            private,
            public: public.trim().to_owned(),
            fingerprint: fingerprint.to_owned(),
        }
    }
}

impl User {
    /// Writes a file of the user's own into the home; parent directories must exist.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.home.join(name);
        fs::write(&path, content).unwrap();
        self.own(&path, mode);
        path
    }

    /// Lets the holder of `key` in.
    pub fn authorize(&self, key: &KeyPair) {
        let directory = self.home.join(".ssh");
        fs::create_dir(&directory).unwrap();
        self.own(&directory, 0o700);
        self.write(".ssh/authorized_keys", format!("{}\n", key.public), 0o600);
    }

    /// `command` as a process of the user's, who has no other groups.
    pub fn command(&self, command: &Command) -> Command {
        let mut own = Command::new("setpriv");
        let ids = ["--reuid", "--regid"].map(|option| format!("{option}={}", self.uid));
        own.args(ids)
            .args(["--clear-groups", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.home)
            .current_dir(&self.home);
        own
    }

    fn own(&self, path: &Path, mode: u32) {
        chown(path, Some(self.uid), Some(self.uid)).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
}

fn append(path: &str, line: &str) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// SHA-512 crypt: every libcrypt knows it, and it is quicker than Debian's default yescrypt.
fn crypt(password: &str) -> String {
    let mut openssl = Command::new("openssl")
        .args(["passwd", "-6", "-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(openssl.stdin.take().unwrap(), "{password}").unwrap();
    let output = openssl.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
