//! `otpgate-sshd` on a free port of the loopback interface, with a configuration of its own.

use crate::built;
use crate::processes::{self, DEADLINE, Finished};
use crate::sandbox::Sandbox;
use crate::server::Endpoint;
use crate::users::KeyPair;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

/// Whom the network processes run as, by default.
const NETWORK_USER: &str = "_otpgate-sshd";
/// Below the sandbox's people, above Debian's system users.
const NETWORK_UID: u32 = 60_999;
/// Their empty root, by default. A package or a unit file makes it.
const CHROOT: &str = "/run/otpgate-sshd";

/// A script's background jobs ignore the terminal's signals. Sessions must not inherit that.
const IN_THE_BACKGROUND: &str = "trap '' INT QUIT; exec \"$0\" \"$@\"";

/// A running server; dropped, it ends together with its sessions.
pub struct Frontend {
    child: Child,
    directory: PathBuf,
    endpoint: Endpoint,
    orphans: Vec<Pid>,
}

impl Frontend {
    /// Starts the server as root, with these settings (TOML) besides the harness's own.
    pub fn start(sandbox: &Sandbox, settings: &str) -> Self {
        install();
        let directory = sandbox.scratch();
        let key = KeyPair::make(&directory);
        let config = write_configuration(&directory, settings);
        let mut command = Command::new("sh");
        command
            .args(["-c", IN_THE_BACKGROUND])
            .arg(built::release("OTPGATE_SSHD", "otpgate-sshd"))
            .arg("--config")
            .arg(config)
            .arg("--stderr");
        Self::launch(command, &directory, &key)
    }

    /// Starts a server by this command, which keeps its log in `directory` and listens on a port of
    /// its choice or its configuration's.
    ///
    /// # Panics
    /// When it ends instead of listening.
    pub fn launch(mut command: Command, directory: &Path, key: &KeyPair) -> Self {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            // Ctrl-C in a demo is for the demo, which then ends the server.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(directory.join("log")).unwrap());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let port = port(&mut child, directory);
        Self {
            child,
            directory: directory.to_owned(),
            endpoint: Endpoint::new(port, key),
            orphans: Vec::new(),
        }
    }

    /// What the server logged; the modules' lines are in the sandbox's syslog.
    pub fn log(&self) -> String {
        log(&self.directory)
    }

    /// The process id of the listener.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The living processes of connections and what they started.
    pub fn processes(&self) -> Vec<Pid> {
        processes::descendants(Pid::from_child(&self.child))
    }

    /// Those of them that read what strangers send.
    pub fn network_processes(&self) -> Vec<Pid> {
        // The owner of the directory in /proc is root, as the process is not dumpable.
        let own = format!("\nUid:\t{NETWORK_UID}\t");
        let is_one = |pid: &Pid| {
            let status = format!("/proc/{}/status", pid.as_raw_nonzero());
            fs::read_to_string(status).is_ok_and(|status| status.contains(&own))
        };
        self.processes().into_iter().filter(is_one).collect()
    }

    /// The open descriptors of the listener.
    pub fn descriptors(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        open.count()
    }

    /// Writes other settings and tells the listener.
    pub fn reload(&self, settings: &str) {
        write_configuration(&self.directory, settings);
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    /// Ends the listener and leaves its sessions alone.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop_listening(&mut self) {
        self.orphans = self.processes();
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let ended = processes::wait(&mut self.child, DEADLINE);
        assert!(ended.is_some(), "the listener ignores SIGTERM");
    }
}

impl Deref for Frontend {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Drop for Frontend {
    fn drop(&mut self) {
        for orphan in &self.orphans {
            let _ = kill_process(*orphan, Signal::KILL);
        }
        processes::kill_tree(&mut self.child);
        if thread::panicking() {
            eprintln!("--- otpgate-sshd\n{}", self.log());
        }
    }
}

/// Runs `otpgate-sshd` with these settings to its end, for what it says of them.
pub fn refuses(sandbox: &Sandbox, settings: &str) -> Finished {
    let directory = sandbox.scratch();
    KeyPair::make(&directory);
    let config = write_configuration(&directory, settings);
    let mut command = Command::new(built::release("OTPGATE_SSHD", "otpgate-sshd"));
    command.arg("--config").arg(config).arg("--stderr");
    processes::run(&mut command, &directory)
}

/// The port is in the line that says that it listens.
fn port(child: &mut Child, directory: &Path) -> u16 {
    let mut port = None;
    processes::wait_until("otpgate-sshd", || {
        let named = |line: &str| {
            let (_, port) = line.split_once("listening on 127.0.0.1 port ")?;
            port.trim().parse().ok()
        };
        port = log(directory).lines().find_map(named);
        port.is_some() || child.try_wait().unwrap().is_some()
    });
    port.unwrap_or_else(|| panic!("otpgate-sshd does not start:\n{}", log(directory)))
}

/// The harness's own settings give way to the test's.
fn write_configuration(directory: &Path, settings: &str) -> PathBuf {
    let own = [
        ("listen", "[\"127.0.0.1:0\"]".to_owned()),
        ("host_keys", format!("[{:?}]", directory.join("key"))),
        ("max_startups", "\"200:30:300\"".to_owned()),
    ];
    let set = |name: &str| {
        let keys = settings.lines().filter_map(|line| line.split_once('='));
        keys.into_iter().any(|(key, _)| key.trim() == name)
    };
    let mut text = settings.to_owned();
    for (name, value) in own.iter().filter(|(name, _)| !set(name)) {
        text = format!("{name} = {value}\n{text}");
    }
    let path = directory.join("otpgate-sshd.toml");
    fs::write(&path, text).unwrap();
    path
}

/// What a package brings besides the program: the network processes' user and their empty root.
pub fn install() {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let known = format!("{NETWORK_USER}:");
    if passwd.lines().any(|line| line.starts_with(&known)) {
        return;
    }
    let append = |path: &str, line: String| {
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    };
    append("/etc/group", format!("{NETWORK_USER}:x:{NETWORK_UID}:"));
    append(
        "/etc/passwd",
        format!("{NETWORK_USER}:x:{NETWORK_UID}:{NETWORK_UID}::/nonexistent:/usr/sbin/nologin"),
    );
    fs::create_dir_all(CHROOT).unwrap();
}

fn log(directory: &Path) -> String {
    String::from_utf8_lossy(&fs::read(directory.join("log")).unwrap_or_default()).into_owned()
}
