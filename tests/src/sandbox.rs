//! A private view of the machine for one test: own `/etc`, `/dev`, `/run`, `/var/log`, `/var/lib`.
//!
//! The test runs in a thread with a mount namespace of its own; every process it starts inherits
//! that namespace. Users, passwords, PAM services, state and logs made by a test therefore never
//! reach the real system, and the kernel removes them with the namespace, even after a SIGKILL.

mod mounts;

use crate::processes;
use crate::syslog::Syslog;
use nix::sched::{CloneFlags, unshare};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, panic, thread};

/// Where the sandbox keeps its files, on a tmpfs that only the namespace sees.
const STAGE: &str = "/run/otpgate-e2e";

/// The sandbox of the running test.
pub struct Sandbox {
    syslog: Syslog,
    next: AtomicU32,
    /// `/etc/pam.d/sshd` as it is on the machine: a test may change its stack more than once.
    pub(crate) shipped: OnceLock<String>,
}

/// Runs `test` in a thread with a sandbox of its own.
///
/// # Panics
/// When not root, when a namespace is refused, or when the test panics: nothing is skipped silently.
pub fn run<T: Send>(test: impl FnOnce(&Sandbox) -> T + Send) -> T {
    let name = thread::current().name().unwrap_or("sandbox").to_owned();
    thread::scope(|scope| {
        // A thread of its own: the namespace must not outlive the test in a reused test thread.
        let body = || test(&Sandbox::enter());
        let running = thread::Builder::new()
            .name(name)
            .spawn_scoped(scope, body)
            .unwrap();
        running
            .join()
            .unwrap_or_else(|cause| panic::resume_unwind(cause))
    })
}

impl Sandbox {
    fn enter() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests start sshd and PAM in a mount namespace and need root: run `make test`"
        );
        unshare(CloneFlags::CLONE_NEWNS).unwrap_or_else(|error| {
            panic!("unshare(CLONE_NEWNS): {error}; in a container, run it with --privileged")
        });
        mounts::keep_to_ourselves();
        mounts::tmpfs("/run");
        directory("/run/sshd", 0o755);
        for (name, mode) in [
            ("", 0o755),
            ("home", 0o755),
            ("root", 0o700),
            ("runs", 0o755),
        ] {
            directory(Path::new(STAGE).join(name), mode);
        }
        mounts::private_etc();
        mounts::private_dev();
        mounts::tmpfs("/var/log");
        mounts::room_for_new_entries("/var/lib");
        Self {
            syslog: Syslog::start(),
            next: AtomicU32::new(0),
            shipped: OnceLock::new(),
        }
    }

    /// Puts a PAM module where libpam finds it by its name alone.
    ///
    /// # Panics
    /// When libpam's module directory is not where Debian has it.
    pub fn install_module(&self, module: &Path, name: &str) {
        let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
        let directory = format!("/usr/lib/{multiarch}/security");
        mounts::room_for_new_entries(&directory);
        fs::copy(module, Path::new(&directory).join(name)).unwrap();
    }

    /// What PAM modules and sshd told syslog.
    pub fn syslog(&self) -> &Syslog {
        &self.syslog
    }

    /// A path for something of the sandbox's own.
    pub fn path(&self, name: &str) -> PathBuf {
        Path::new(STAGE).join(name)
    }

    /// A number that nobody else in this sandbox has.
    pub fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A new empty directory, readable by root only.
    pub fn scratch(&self) -> PathBuf {
        let path = self.path(&format!("runs/{}", self.number()));
        directory(&path, 0o700);
        path
    }
}

impl Drop for Sandbox {
    /// Ends what a failed test left running: such processes would keep the namespace alive.
    fn drop(&mut self) {
        processes::kill_everything_in_this_namespace();
    }
}

/// Makes a directory, whatever the umask.
fn directory(path: impl AsRef<Path>, mode: u32) {
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}
