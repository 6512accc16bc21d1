//! Both servers over one PAM stack, and a client that logs in to either.

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, WaitOptions};
use serde_json::Value;
use tests::clock::Clock;
use tests::frontend::Frontend;
use tests::processes;
use tests::sandbox::Sandbox;
use tests::server::Endpoint;
use tests::sshd::Sshd;

/// Clock ticks per second in /proc: USER_HZ, the same on every Linux that Debian runs on.
const TICKS: f64 = 100.0;
const USER: &str = "alice";
const PASSWORD: &str = "bench";
/// MD5 crypt of it: what a better hash costs is not the servers' doing, and would hide what is.
const HASH: &str = "$1$otpgate$";

/// One key exchange for both, or another.
pub const X25519: &str = "curve25519-sha256";
pub const ML_KEM: &str = "mlkem768x25519-sha256";
pub const AES: &str = "aes128-gcm@openssh.com";
pub const CHACHA: &str = "chacha20-poly1305@openssh.com";

/// The servers, to be measured in turns.
pub struct Servers {
    ours: Frontend,
    theirs: Sshd,
    directory: PathBuf,
    orphans: Orphans,
}

/// One of them.
pub struct Server<'a> {
    pub name: &'static str,
    pid: u32,
    endpoint: &'a Endpoint,
    directory: PathBuf,
    orphans: &'a Orphans,
}

impl Servers {
    /// Debian's PAM stack for sshd, password only, without the message of the day: that is scripts, which
    /// cost the same under either.
    pub fn start(sandbox: &Sandbox) -> Self {
        let user = sandbox.add_user_with_password(USER, PASSWORD);
        make_password_cheap();
        sandbox.server_stack_password_only("");
        for stack in ["/etc/pam.d/sshd", "/etc/pam.d/otpgate-sshd"] {
            leave_out(stack, "pam_motd.so");
        }
        let directory = user.home.join("bench");
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
        write_askpass(&directory);
        let orphans = Orphans::adopt();
        Self {
            orphans,
            ours: Frontend::start(sandbox, ""),
            theirs: Sshd::start(sandbox, "", Clock::Real),
            directory,
        }
    }

    /// Theirs and ours.
    pub fn both(&self) -> [Server<'_>; 2] {
        let server = |name, pid, endpoint| Server {
            name,
            pid,
            endpoint,
            directory: self.directory.clone(),
            orphans: &self.orphans,
        };
        [
            server("sshd", self.theirs.pid(), &self.theirs),
            server("otpgate-sshd", self.ours.pid(), &self.ours),
        ]
    }

    /// Our server's PAM stack as a login runs it, in a process that does nothing else.
    ///
    /// # Panics
    /// When it does not let in.
    pub fn run_pam_alone(&self) {
        const CALLS: &str = "auth,account,setcred,open_session,close_session,delete_cred";
        let mut app = Command::new(std::env::current_exe().unwrap().with_file_name("pam_app"));
        app.args(["--confdir", "/etc/pam.d", "--service", "otpgate-sshd"]);
        app.args(["--user", USER, "--answer", PASSWORD, "--calls", CALLS]);
        let report: Value = serde_json::from_slice(&succeed(&mut app).stdout).unwrap();
        let calls = report["calls"].as_array().unwrap();
        assert_eq!(calls.len(), CALLS.split(',').count(), "{report}");
        for call in calls {
            assert_eq!(call["code"], "PAM_SUCCESS", "{report}");
        }
    }

    /// A directory that the user may write, in memory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// sshd does not wait for the process in which a user's session lives: it is collected here.
struct Orphans {
    /// What those took that are gone, in seconds.
    cpu: Cell<f64>,
}

impl Orphans {
    /// From now on, those of any server.
    fn adopt() -> Self {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        Self {
            cpu: Cell::new(0.0),
        }
    }

    fn collect(&self) {
        let before = cpu_of_children();
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        self.cpu.set(self.cpu.get() + cpu_of_children() - before);
    }

    /// Nothing lives but the two listeners.
    fn are_gone(&self) -> bool {
        processes::descendants(rustix::process::getpid()).len() == 2
    }
}

/// CPU time of the children that this process has collected, in seconds.
pub fn cpu_of_children() -> f64 {
    let [_, _, user, system] = times(std::process::id());
    user + system
}

/// User and system time of a process, and of its children that it has collected, in seconds.
fn times(pid: u32) -> [f64; 4] {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // After the name in parentheses: utime, stime, cutime and cstime are the fields 14 to 17.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let mut fields = fields.split_whitespace().skip(11);
    [(); 4].map(|()| fields.next().unwrap().parse::<f64>().unwrap() / TICKS)
}

/// Whether OpenSSH here has this key exchange.
pub fn has_key_exchange(name: &str) -> bool {
    let known = Command::new("ssh").args(["-Q", "kex"]).output().unwrap();
    String::from_utf8_lossy(&known.stdout)
        .lines()
        .any(|line| line == name)
}

impl Server<'_> {
    /// OpenSSH's `program`, set up to log in with this key exchange and cipher; the host is `server`.
    pub fn client(&self, program: &str, key_exchange: &str, cipher: &str) -> Command {
        let mut client = Command::new(program);
        client
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("SSH_ASKPASS", self.directory.join("askpass"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .arg("-F")
            .arg(self.client_config())
            .arg(format!("-oKexAlgorithms={key_exchange}"))
            .arg(format!("-oCiphers={cipher}"));
        client
    }

    /// The CPU time of the server and all that it started and that has ended, in seconds. Orphans count for
    /// whichever server is asked first: in turns, for the one that left them.
    pub fn cpu_at_rest(&self) -> f64 {
        // Processes that were not collected yet are in none of the sums.
        let children = format!("/proc/{0}/task/{0}/children", self.pid);
        processes::wait_until("the end of the sessions", || {
            let are_gone = self.orphans.are_gone();
            self.orphans.collect();
            are_gone && fs::read_to_string(&children).unwrap().is_empty()
        });
        times(self.pid).iter().sum::<f64>() + self.orphans.cpu.get()
    }

    /// The living processes of connections.
    pub fn processes(&self) -> Vec<Pid> {
        let listener = Pid::from_raw(self.pid.try_into().unwrap()).unwrap();
        processes::descendants(listener)
    }

    fn client_config(&self) -> PathBuf {
        let known = self.directory.join(format!("known.{}", self.name));
        let config = self.directory.join(format!("config.{}", self.name));
        if config.exists() {
            return config;
        }
        let port = self.endpoint.port;
        fs::write(
            &known,
            format!("[127.0.0.1]:{port} {}\n", self.endpoint.host_key),
        )
        .unwrap();
        let settings = format!(
            "Host server
HostName 127.0.0.1
Port {port}
User {USER}
UserKnownHostsFile {}
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
PreferredAuthentications keyboard-interactive
NumberOfPasswordPrompts 1
LogLevel ERROR
",
            known.display()
        );
        fs::write(&config, settings).unwrap();
        config
    }
}

/// Runs a client that must succeed.
///
/// # Panics
/// With what it said, when it does not.
pub fn succeed(client: &mut Command) -> Output {
    let output = client.output().unwrap();
    assert!(output.status.success(), "{client:?}: {output:?}");
    output
}

fn make_password_cheap() {
    let mut openssl = Command::new("openssl");
    openssl.args(["passwd", "-1", "-salt", "otpgate", PASSWORD]);
    let hash = String::from_utf8(succeed(&mut openssl).stdout).unwrap();
    assert!(hash.starts_with(HASH), "{hash}");
    let shadow = fs::read_to_string("/etc/shadow").unwrap();
    let own = format!("{USER}:");
    let lines = shadow.lines().map(|line| {
        if line.starts_with(&own) {
            format!("{own}{}:19000:0:99999:7:::\n", hash.trim())
        } else {
            format!("{line}\n")
        }
    });
    fs::write("/etc/shadow", lines.collect::<String>()).unwrap();
}

/// The lines of a PAM service that name this module.
fn leave_out(stack: &str, module: &str) {
    let text = fs::read_to_string(stack).unwrap();
    let lines = text.lines().filter(|line| !line.contains(module));
    fs::write(stack, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
}

fn write_askpass(directory: &Path) {
    let path = directory.join("askpass");
    fs::write(&path, format!("#!/bin/sh\necho {PASSWORD}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
}
