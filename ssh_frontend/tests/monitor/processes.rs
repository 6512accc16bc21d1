//! The monitor as a process, with a network process of its own and OpenSSH's client at the other end.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::process::{Pid, Signal, kill_process};
use ssh_frontend::config::{Config, HostPort};
use ssh_frontend::ipc::Socket;
use ssh_frontend::log::Destination;
use ssh_frontend::protocol::{HostKey, MonitorSetup, Progress};

use super::desk::{RIGHT, me};

/// The test in the place of the listener.
struct Listener {
    directory: tempfile::TempDir,
    tcp: TcpListener,
    config: Config,
}

struct Monitor {
    child: Child,
    socket: Socket,
}

impl Listener {
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::parse("", Path::new("none")).unwrap();
        config.permit_root_login = true;
        config.pam_service = "door".into();
        config.network_user = "nobody".into();
        let listener = Self {
            config,
            tcp,
            directory,
        };
        let askpass = listener.script("askpass", &format!("echo {RIGHT}"));
        let check = listener.script("check", &format!("read p\n[ \"$p\" = {RIGHT} ]"));
        assert!(askpass.is_absolute());
        let stack = format!(
            "auth required pam_exec.so expose_authtok quiet {}\nauth required pam_permit.so\n\
             account required pam_permit.so\nsession required pam_permit.so\n",
            check.display()
        );
        std::fs::write(listener.path("door"), stack).unwrap();
        std::fs::create_dir(listener.path("empty")).unwrap();
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(listener.path("key"))
            .status();
        assert!(made.unwrap().success());
        listener
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn script(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    fn address(&self) -> SocketAddr {
        self.tcp.local_addr().unwrap()
    }

    /// OpenSSH's client, which answers each prompt with the password.
    fn ssh(&self, options: &[&str], command: &str) -> Child {
        Command::new("ssh")
            .args(options)
            .args(["-F", "none", "-p", &self.address().port().to_string()])
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ])
            .args(["-o", "PreferredAuthentications=keyboard-interactive"])
            .args(["-o", "NumberOfPasswordPrompts=1", "-o", "LogLevel=ERROR"])
            .arg(format!("{}@127.0.0.1", me()))
            .arg(command)
            .env("SSH_ASKPASS", self.path("askpass"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Takes the next connection, and gives it a monitor.
    fn accept(&self) -> Monitor {
        let (connection, peer) = self.tcp.accept().unwrap();
        let (socket, theirs) = Socket::pair().unwrap();
        set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(30))).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_otpgate-sshd"))
            .arg("--role=monitor")
            .env_clear()
            .stdin(OwnedFd::from(connection))
            .stdout(theirs.into_fd())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut config = self.config.clone();
        config.pam_confdir = Some(self.directory.path().into());
        config.chroot_directory = self.path("empty");
        let key = std::fs::read_to_string(self.path("key")).unwrap();
        let setup = MonitorSetup {
            config,
            host_keys: vec![HostKey(key.into())],
            banner: None,
            peer,
            local: self.address(),
            log: Destination::Stderr,
        };
        socket.send(&setup, &[]).unwrap();
        Monitor { child, socket }
    }
}

impl Monitor {
    fn progress(&self) -> Option<Progress> {
        let received = self.socket.receive::<Progress>(0).unwrap();
        received.map(|(progress, _)| progress)
    }

    /// The one child it has before any session: the network process.
    fn network(&self) -> Pid {
        let id = self.child.id();
        let children = format!("/proc/{id}/task/{id}/children");
        let found = wait_for(|| {
            let children = std::fs::read_to_string(&children).unwrap();
            children.split_whitespace().next()?.parse().ok()
        });
        Pid::from_raw(found).unwrap()
    }

    /// The processes that it has besides, by their names.
    fn children(&self, shown: &str) -> Vec<u32> {
        let id = self.child.id();
        let children = format!("/proc/{id}/task/{id}/children");
        let children = std::fs::read_to_string(children).unwrap();
        let ids = children.split_whitespace().map(|id| id.parse().unwrap());
        ids.filter(|id: &u32| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).starts_with(shown)
        })
        .collect()
    }

    /// Its log lines, when it and all its children are gone; and whether it was content.
    fn end(mut self) -> (String, bool) {
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        (log, self.child.wait().unwrap().success())
    }
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn output(ssh: Child) -> (String, String, Option<i32>) {
    let output = ssh.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}

#[test]
fn openssh_logs_in_runs_a_command_and_learns_its_status() {
    let listener = Listener::open();
    let ssh = listener.ssh(&[], "echo from $USER; exit 7");
    let monitor = listener.accept();
    assert!(matches!(monitor.progress(), Some(Progress::Authenticated)));
    let said = output(ssh);
    let wanted = format!("from {}\n", me());
    let (log, content) = monitor.end();
    assert_eq!((said.0, said.2), (wanted, Some(7)), "{} {log}", said.1);
    assert!(content, "{log}");
    let results: Vec<_> = log
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(
        results,
        ["result=accepted", "result=session", "result=closed"],
        "{log}"
    );
}

#[test]
fn openssh_gets_a_terminal_that_is_the_users() {
    let listener = Listener::open();
    let line = "test -t 0 && test -O $(tty) && echo \"$SSH_TTY $TERM\" && kill -TERM $$";
    let mut ssh = listener.ssh(&["-tt", "-o", "SetEnv=TERM=vt220"], line);
    let monitor = listener.accept();
    let _input = ssh.stdin.take();
    let (said, error, code) = output(ssh);
    let (log, content) = monitor.end();
    assert!(
        said.starts_with("/dev/pts/") && content,
        "{said} {error} {log}"
    );
    assert_eq!(code, Some(255), "OpenSSH's word for a signal");
}

/// A port that swallows what asks for a connection: its backlog is full.
fn silent_port() -> (TcpListener, Vec<TcpStream>) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&silent, 0).unwrap();
    let address = silent.local_addr().unwrap();
    let moment = Duration::from_millis(50);
    let full = (0..4).filter_map(|_| TcpStream::connect_timeout(&address, moment).ok());
    let full = full.collect();
    (silent, full)
}

#[test]
fn a_host_that_swallows_connections_delays_no_session_and_its_process_ends_with_them() {
    let mut listener = Listener::open();
    listener.config.permit_open = vec![HostPort {
        host: Some("127.0.0.1".into()),
        port: None,
    }];
    let (silent, _full) = silent_port();
    let dead = silent.local_addr().unwrap().to_string();
    let control = format!("ControlPath={}", listener.path("control").display());
    let master = ["-o", control.as_str(), "-o", "ControlMaster=yes"];
    let mut master = listener.ssh(&master, "cat");
    let monitor = listener.accept();
    assert!(matches!(monitor.progress(), Some(Progress::Authenticated)));
    wait_for(|| listener.path("control").exists().then_some(()));
    let mut running = listener.ssh(&["-o", &control], "echo; read line; exit 4");
    running
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0])
        .unwrap();
    let mut connecting = listener.ssh(&["-o", &control, "-W", &dead], "");
    let helpers = wait_for(|| {
        let helpers = monitor.children("otpgate-sshd: as ");
        (!helpers.is_empty()).then_some(helpers)
    });
    let asked = Instant::now();
    let said = output(listener.ssh(&["-o", &control], "echo there; exit 3"));
    assert_eq!(
        (said.0.as_str(), said.2),
        ("there\n", Some(3)),
        "{}",
        said.1
    );
    running.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(output(running).2, Some(4));
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(monitor.children("otpgate-sshd: as "), helpers);
    let ended = Instant::now();
    master.kill().unwrap();
    let (log, content) = monitor.end();
    assert!(ended.elapsed() < Duration::from_secs(10), "{log}");
    assert!(content && log.contains("kind=connect"), "{log}");
    let is_there = |id: &u32| Path::new(&format!("/proc/{id}")).exists();
    assert!(!helpers.iter().any(is_there), "{log}");
    let _ = master.wait();
    let _ = connecting.kill();
    let _ = connecting.wait();
}

#[test]
fn a_network_process_that_is_killed_ends_the_connection_and_its_monitor() {
    let listener = Listener::open();
    let ssh = listener.ssh(&[], "cat");
    let monitor = listener.accept();
    let network = monitor.network();
    assert!(matches!(monitor.progress(), Some(Progress::Authenticated)));
    kill_process(network, Signal::KILL).unwrap();
    assert_eq!(output(ssh).2, Some(255));
    let (log, content) = monitor.end();
    assert!(content && log.contains("result=closed"), "{log}");
}

#[test]
fn a_monitor_keeps_no_copy_of_the_connection() {
    let listener = Listener::open();
    let mut client = TcpStream::connect(listener.address()).unwrap();
    let monitor = listener.accept();
    let network = monitor.network();
    let mut greeting = [0; 8];
    client.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"SSH-2.0-");
    // While it can do nothing, the connection ends with the network process alone.
    let id = Pid::from_child(&monitor.child);
    kill_process(id, Signal::STOP).unwrap();
    kill_process(network, Signal::KILL).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert!(ends(&mut client), "somebody else holds the connection");
    kill_process(id, Signal::CONT).unwrap();
    assert!(monitor.end().1);
}

/// Whether the connection ends, rather than nothing more being said on it.
fn ends(client: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match client.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_trusted_proxy_names_the_source_and_nobody_else_does() {
    let mut listener = Listener::open();
    listener.config.proxy_protocol_from = vec!["127.0.0.0/8".parse().unwrap()];
    let mut client = TcpStream::connect(listener.address()).unwrap();
    client
        .write_all(b"PROXY TCP4 192.0.2.9 198.51.100.1 4711 22\r\n")
        .unwrap();
    let monitor = listener.accept();
    let source: IpAddr = "192.0.2.9".parse().unwrap();
    assert!(matches!(monitor.progress(), Some(Progress::Source(found)) if found == source));
    let mut greeting = [0; 8];
    client.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"SSH-2.0-");
    drop(client);
    assert!(monitor.end().1);
}

#[test]
fn a_trusted_peer_without_a_proxy_header_is_refused() {
    let mut listener = Listener::open();
    listener.config.proxy_protocol_from = vec!["127.0.0.0/8".parse().unwrap()];
    let mut client = TcpStream::connect(listener.address()).unwrap();
    client.write_all(b"SSH-2.0-client\r\n").unwrap();
    let monitor = listener.accept();
    let (log, content) = monitor.end();
    assert!(!content && log.contains("reason=proxy_header"), "{log}");
}

#[test]
fn a_monitor_whose_listener_is_gone_ends_itself_after_the_grace_time() {
    let mut listener = Listener::open();
    listener.config.login_grace_time = Duration::from_secs(1);
    let client = TcpStream::connect(listener.address()).unwrap();
    let monitor = listener.accept();
    let started = Instant::now();
    let (log, content) = monitor.end();
    assert!(!content, "{log}");
    let took = started.elapsed().as_secs();
    assert!((5..15).contains(&took), "{took} s");
    drop(client);
}
