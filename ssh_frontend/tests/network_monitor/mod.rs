//! A monitor that the tests play, and OpenSSH's client beside it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ssh_frontend::config::Method;
use ssh_frontend::ipc::Socket;
use ssh_frontend::protocol::{
    Confinement, ConnectFailure, Exit, HostKey, NetworkSetup, Program, Prompt, Question, Reply,
    Request, Terminal,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// The code that the monitor takes.
pub const CODE: &str = "123456";

/// A host that never answers.
pub const DEAD_HOST: &str = "dead.example";

/// A server with one monitor for every connection.
pub struct Server {
    pub address: SocketAddr,
    pub directory: TempDir,
    pub log: Arc<Mutex<Vec<String>>>,
    pub processes: Arc<Mutex<Vec<u32>>>,
}

#[derive(Clone)]
pub struct Options {
    pub methods: Vec<Method>,
    pub confinement: Option<Confinement>,
    pub max_sessions: u32,
    pub rekey_bytes: u64,
    pub banner: Option<String>,
    /// The monitor says this instead of a verdict.
    pub disconnect: Option<String>,
    /// The monitor goes away instead of starting anything.
    pub vanish: bool,
    /// There is no message of the day, which would confuse sftp.
    pub quiet: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            methods: vec![Method::KeyboardInteractive],
            confinement: None,
            max_sessions: 3,
            rekey_bytes: 1 << 30,
            banner: None,
            disconnect: None,
            vanish: false,
            quiet: false,
        }
    }
}

impl Server {
    pub fn start(options: Options) -> Self {
        let directory = TempDir::new().unwrap();
        let key = directory.path().join("host");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status();
        assert!(made.unwrap().success());
        let host_key = HostKey(Zeroizing::new(std::fs::read_to_string(&key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            directory,
            log: Arc::default(),
            processes: Arc::default(),
        };
        let (log, processes) = (Arc::clone(&server.log), Arc::clone(&server.processes));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (ours, theirs) = Socket::pair().unwrap();
                let child = Command::new(env!("CARGO_BIN_EXE_otpgate-sshd"))
                    .arg("--role=network")
                    .stdin(OwnedFd::from(connection.unwrap()))
                    .stdout(theirs.into_fd())
                    .spawn()
                    .unwrap();
                processes.lock().unwrap().push(child.id());
                ours.send(&setup(&options, &host_key), &[]).unwrap();
                let monitor = Monitor {
                    socket: Arc::new(ours),
                    options: options.clone(),
                    log: Arc::clone(&log),
                };
                std::thread::spawn(move || monitor.answer(child));
            }
        });
        server
    }

    /// OpenSSH's client, which answers prompts with this.
    pub fn client(&self, program: &str, answer: &str) -> Command {
        let askpass = self.directory.path().join(format!("askpass-{answer}"));
        if !askpass.exists() {
            std::fs::write(&askpass, format!("#!/bin/sh\necho {answer}\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&askpass, mode).unwrap();
        }
        let mut command = Command::new(program);
        command
            .args([
                "-F",
                "none",
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "LogLevel=ERROR",
            ])
            .args([
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "IdentityFile=none",
            ])
            .args(["-o", "NumberOfPasswordPrompts=1"])
            .arg("-o")
            .arg(format!("Port={}", self.address.port()))
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env_remove("SSH_AUTH_SOCK");
        command
    }

    pub fn ssh(&self, arguments: &[&str]) -> Command {
        let mut command = self.client("ssh", CODE);
        command.args(arguments);
        command
    }

    /// With options that come before the others, of which the first counts.
    pub fn ssh_first(&self, first: &[&str], arguments: &[&str]) -> Command {
        let others = self.ssh(arguments);
        let mut command = Command::new("ssh");
        command.args(first).args(others.get_args());
        for (name, value) in others.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.env_remove("SSH_AUTH_SOCK");
        command
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The network process of the last connection.
    pub fn last_process(&self) -> u32 {
        *self.processes.lock().unwrap().last().unwrap()
    }
}

fn setup(options: &Options, host_key: &HostKey) -> NetworkSetup {
    NetworkSetup {
        host_keys: vec![host_key.clone()],
        methods: options.methods.clone(),
        banner: options.banner.clone(),
        client_alive_interval: 0,
        client_alive_count_max: 3,
        rekey_bytes: options.rekey_bytes,
        rekey_seconds: 3600,
        max_sessions: options.max_sessions,
        forwarding: true,
        confinement: options.confinement.clone(),
    }
}

/// One connection's monitor.
struct Monitor {
    socket: Arc<Socket>,
    options: Options,
    log: Arc<Mutex<Vec<String>>>,
}

impl Monitor {
    fn answer(self, mut network: Child) {
        while let Ok(Some((request, _))) = self.socket.receive::<Request>(0) {
            self.note(&request);
            match request {
                Request::Begin { .. } => self.send(&question()),
                Request::Answer { answer } => self.judge(answer.as_deref()),
                Request::KeyOffered { .. } => self.send(&Reply::KeyAcceptable(true)),
                Request::KeyVerified { .. } => self.send(&refused(true)),
                Request::Start { .. } if self.options.vanish => break,
                Request::Start {
                    session,
                    program,
                    terminal,
                    environment,
                } => {
                    self.start(session, &program, terminal, environment);
                }
                Request::Signal { .. } => {}
                Request::Connect { host, .. } if host == DEAD_HOST => {}
                Request::Connect {
                    channel,
                    host,
                    port,
                } => self.connect(channel, host, port),
            }
        }
        drop(self.socket);
        let status = network.wait().unwrap();
        self.log
            .lock()
            .unwrap()
            .push(format!("the network process ended: {status}"));
    }

    /// Nobody waits for it; and those that were asked for last may stand first.
    fn connect(&self, channel: u32, host: String, port: u16) {
        let socket = Arc::downgrade(&self.socket);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(u64::from(100 - channel.min(100)) * 3));
            let connected = TcpStream::connect((host, port));
            let Some(socket) = socket.upgrade() else {
                return;
            };
            let failure = ConnectFailure::Failed;
            // The client may be gone.
            let _ = match connected {
                Ok(stream) => socket.send(&Reply::Connected { channel }, &[stream.as_fd()]),
                Err(_) => socket.send(&Reply::NotConnected { channel, failure }, &[]),
            };
        });
    }

    fn note(&self, request: &Request) {
        let mut note = format!("{request:?}");
        note.truncate(300);
        self.log.lock().unwrap().push(note);
    }

    fn send(&self, reply: &Reply) {
        // The client may be gone.
        let _ = self.socket.send(reply, &[]);
    }

    fn judge(&self, answer: Option<&[u8]>) {
        if let Some(reason) = &self.options.disconnect {
            let reason = reason.clone();
            return self.send(&Reply::Disconnect { reason });
        }
        match answer {
            Some(answer) if answer == CODE.as_bytes() => self.send(&Reply::Accepted),
            _ => self.send(&refused(false)),
        }
    }

    fn start(
        &self,
        session: u32,
        program: &Program,
        terminal: Option<Terminal>,
        environment: Vec<(String, String)>,
    ) {
        let line = match program {
            Program::Shell => "exec sh".to_owned(),
            Program::Command(command) => String::from_utf8(command.clone()).unwrap(),
            Program::Subsystem(name) if name == "sftp" => {
                "exec /usr/lib/openssh/sftp-server".to_owned()
            }
            Program::Subsystem(name) => {
                let reason = format!("no {name} here");
                return self.send(&Reply::NotStarted { reason });
            }
        };
        let mut command = Command::new("setsid");
        command.args(if terminal.is_some() {
            &["-c", "-w"][..]
        } else {
            &["-w"][..]
        });
        command.args(["sh", "-c", &line]).envs(environment);
        match terminal {
            Some(terminal) => self.start_on_terminal(session, command, &terminal),
            None => self.start_on_pipes(session, command),
        }
    }

    fn start_on_pipes(&self, session: u32, mut command: Command) {
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdin, stdout, stderr) = (
            child.stdin.take().unwrap(),
            child.stdout.take().unwrap(),
            child.stderr.take().unwrap(),
        );
        let started = Reply::Started {
            terminal: false,
            message: if self.options.quiet {
                Vec::new()
            } else {
                b"motd\n".to_vec()
            },
        };
        let descriptors = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let _ = self.socket.send(&started, &descriptors);
        self.wait(session, child);
    }

    fn start_on_terminal(&self, session: u32, mut command: Command, terminal: &Terminal) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = std::fs::File::options()
            .read(true)
            .write(true)
            .open(name)
            .unwrap();
        let size = rustix::termios::Winsize {
            ws_row: terminal.size.rows as u16,
            ws_col: terminal.size.columns as u16,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&slave, size).unwrap();
        command
            .env("TERM", &terminal.term)
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave);
        let child = command.spawn().unwrap();
        drop(command);
        let started = Reply::Started {
            terminal: true,
            message: Vec::new(),
        };
        let _ = self.socket.send(&started, &[master.as_fd()]);
        self.wait(session, child);
    }

    fn wait(&self, session: u32, mut child: Child) {
        let socket = Arc::downgrade(&self.socket);
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            use std::os::unix::process::ExitStatusExt;
            let status = child.wait().unwrap();
            log.lock()
                .unwrap()
                .push(format!("session {session} ended: {status}"));
            // setsid tells of a signal as the shell does.
            let exit = match status.code() {
                Some(143) => Exit::Signal {
                    name: "TERM".to_owned(),
                    core_dumped: false,
                },
                Some(code) => Exit::Status(code as u32),
                None => Exit::Signal {
                    name: format!("{:?}", status.signal()),
                    core_dumped: false,
                },
            };
            if let Some(socket) = socket.upgrade() {
                let _ = socket.send(&Reply::Exited { session, exit }, &[]);
            }
        });
    }
}

fn question() -> Reply {
    Reply::Question(Question {
        instruction: "Two steps".to_owned(),
        prompt: Some(Prompt {
            text: "Code: ".to_owned(),
            echo: false,
        }),
    })
}

fn refused(partial: bool) -> Reply {
    Reply::Refused {
        methods: vec![Method::KeyboardInteractive],
        partial,
    }
}

/// Runs a command with this on its standard input.
pub fn with_input(mut command: Command, input: Vec<u8>) -> Output {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Who does not read it all closes it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Waits until it is so, for at most a minute.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A field of /proc/PID/status.
pub fn status(process: u32, field: &str) -> String {
    let mut text = String::new();
    let path = format!("/proc/{process}/status");
    std::fs::File::open(path)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}

/// Ticks of processor time that a process has used: 100 in a second.
pub fn ticks(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Memory in use, in KiB.
pub fn resident(process: u32) -> u64 {
    let text = status(process, "VmRSS");
    text.split_whitespace().next().unwrap().parse().unwrap()
}

pub fn exists(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}
