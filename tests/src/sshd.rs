//! Debian's sshd on a free port of the loopback interface, with a configuration of its own.
//!
//! It runs as PAM service `sshd`, as on any server: `/etc/pam.d/sshd` is the sandbox's, so no other
//! name is needed (sshd takes the name it was started under, newer ones from `PAMServiceName`).

use crate::clock::Clock;
use crate::port::free_port;
use crate::processes;
use crate::sandbox::Sandbox;
use crate::server::Endpoint;
use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

const SSHD: &str = "/usr/sbin/sshd";

/// A running server; dropped, it ends together with its sessions.
pub struct Sshd {
    child: Child,
    directory: PathBuf,
    endpoint: Endpoint,
}

impl Sshd {
    /// Starts the server; lines of `settings` take precedence over the harness's.
    pub fn start(sandbox: &Sandbox, settings: &str, clock: Clock) -> Self {
        let directory = sandbox.scratch();
        let key = sandbox.key_pair();
        // Another program may take the port between our asking for it and sshd's using it.
        for _ in 0..5 {
            let port = free_port();
            let config = directory.join("sshd_config");
            fs::write(&config, configuration(settings, port, &key.private)).unwrap();
            let mut child = spawn(&config, &directory, clock);
            if listens(&mut child, &directory) {
                return Self {
                    child,
                    directory,
                    endpoint: Endpoint::new(port, &key),
                };
            }
        }
        panic!("sshd does not start:\n{}", log(&directory));
    }

    /// What sshd itself logged; the modules' lines are in the sandbox's syslog.
    pub fn log(&self) -> String {
        log(&self.directory)
    }

    /// The process id of the listener.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Deref for Sshd {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        processes::kill_tree(&mut self.child);
        if thread::panicking() {
            eprintln!("--- sshd\n{}", self.log());
        }
    }
}

fn spawn(config: &Path, directory: &Path, clock: Clock) -> Child {
    let mut command = Command::new(SSHD);
    command
        .args(["-D", "-e", "-f"])
        .arg(config)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(directory.join("log")).unwrap());
    clock.set(&mut command);
    command
        .spawn()
        .expect("Debian's openssh-server is not installed")
}

/// Waits for the line that says so, or for the end of sshd.
fn listens(child: &mut Child, directory: &Path) -> bool {
    let says_so = || log(directory).contains("Server listening on");
    processes::wait_until("sshd", || says_so() || child.try_wait().unwrap().is_some());
    child.try_wait().unwrap().is_none()
}

/// sshd takes the first value of a keyword: the test's settings come first.
fn configuration(settings: &str, port: u16, host_key: &Path) -> String {
    let host_key = host_key.display();
    let penalties = if knows_penalties() {
        "PerSourcePenalties no"
    } else {
        ""
    };
    format!(
        "{settings}
ListenAddress 127.0.0.1:{port}
HostKey {host_key}
PidFile none
UsePAM yes
KbdInteractiveAuthentication yes
PasswordAuthentication no
PermitRootLogin no
Subsystem sftp /usr/lib/openssh/sftp-server
MaxStartups 200
LoginGraceTime 120
UseDNS no
LogLevel VERBOSE
{penalties}
"
    )
}

/// OpenSSH 9.8 and later shut out addresses that fail often; a test's failures are on purpose.
fn knows_penalties() -> bool {
    let settings = Command::new(SSHD)
        .args(["-T", "-f", "/dev/null"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&settings.stdout).contains("persourcepenalties")
}

fn log(directory: &Path) -> String {
    String::from_utf8_lossy(&fs::read(directory.join("log")).unwrap_or_default()).into_owned()
}
