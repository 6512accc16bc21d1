//! A listener in a process of its own, and clients of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    pub address: SocketAddr,
    pub directory: TempDir,
    child: Child,
    lines: Receiver<String>,
}

impl Server {
    /// Starts one with these lines of configuration.
    pub fn start(config: &str) -> Self {
        Self::start_by(config, Command::new)
    }

    /// The same, by a command that ends up as this program.
    pub fn start_by(config: &str, command: impl Fn(PathBuf) -> Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("empty")).unwrap();
        ssh_frontend::host_keys::generate(&directory.path().join("key")).unwrap();
        write_config(&directory, config);
        let mut child = command(std::env::current_exe().unwrap())
            .arg("serve")
            .arg(directory.path().join("sshd.toml"))
            .env("NOTIFY_SOCKET", directory.path().join("notify"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut server = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            directory,
            child,
            lines,
        };
        server.address = server.new_address();
        server
    }

    /// Waits for a socket to be announced.
    pub fn new_address(&self) -> SocketAddr {
        let line = self.logged("otpgate-sshd: listening on ");
        let words: Vec<&str> = line.split(' ').collect();
        let [.., ip, "port", port] = words[..] else {
            panic!("{line}");
        };
        SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap())
    }

    pub fn configure(&self, config: &str) {
        write_config(&self.directory, config);
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for a line of the log that holds this.
    pub fn logged(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never logged: {text}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> bool {
        eventually(|| self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().success()
    }

    pub fn connect(&self) -> Client {
        Client::to(self.address)
    }

    /// How many processes it has started and not reaped.
    pub fn children(&self) -> usize {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        children.unwrap().split_whitespace().count()
    }

    /// How many descriptors it holds.
    pub fn descriptors(&self) -> usize {
        let id = self.child.id();
        std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
    }

    /// Clock ticks of processor time it has used.
    pub fn processor_time(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let number = |field| -> u64 {
            fields
                .split_whitespace()
                .nth(field)
                .unwrap()
                .parse()
                .unwrap()
        };
        number(11) + number(12)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_config(directory: &TempDir, config: &str) {
    let path = directory.path();
    let mut text = format!(
        "host_keys = [{:?}]\nchroot_directory = {:?}\nnetwork_user = \"nobody\"\n{config}\n",
        path.join("key"),
        path.join("empty")
    );
    if !config.contains("listen =") {
        text.push_str("listen = [\"127.0.0.1:0\"]\n");
    }
    let file = path.join("sshd.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
}

/// A client of a scripted monitor.
pub struct Client(BufReader<TcpStream>);

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.get_ref().local_addr().unwrap()
    }

    /// Has the monitor do something.
    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.0.get_mut(), "{line}").unwrap();
        let mut answer = String::new();
        self.0.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// The same, where the monitor may not live to answer.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.0.get_mut(), "{line}").unwrap();
    }

    /// Waits for the other side to close the connection.
    pub fn is_closed(&mut self) -> bool {
        match self.0.read_to_end(&mut Vec::new()) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Whether the connection stands and somebody answers.
    pub fn is_served(&mut self) -> bool {
        let _ = writeln!(self.0.get_mut(), "pid");
        let mut answer = String::new();
        self.0.read_line(&mut answer).is_ok_and(|count| count > 0)
    }
}

/// Waits until something is so.
pub fn eventually(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to be");
        std::thread::sleep(Duration::from_millis(5));
    }
}
