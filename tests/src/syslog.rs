//! Syslog of the sandbox: a datagram socket at `/dev/log` that remembers what it is told.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, thread};

const SOCKET: &str = "/dev/log";

/// The datagram that ends the receiver; syslog lines start with `<`.
const END: &[u8] = b"end of the sandbox";
/// Before a number: everything that was sent earlier has been read when this has.
const MARK: &str = "mark ";
/// How long a mark may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The receiver of one sandbox.
pub struct Syslog {
    received: Arc<Received>,
    receiver: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Received {
    lines: Mutex<Vec<String>>,
    arrived: Condvar,
    /// The highest mark that was read.
    read: AtomicU64,
    /// And that was sent.
    sent: AtomicU64,
}

impl Received {
    /// Whoever panicked with the lock in hand only read: a test that fails while it looks through the
    /// lines still has to show them, and a second panic would end every other test with it.
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Syslog {
    /// Binds the socket in the sandbox of the calling thread.
    pub(crate) fn start() -> Self {
        let socket = UnixDatagram::bind(SOCKET).unwrap();
        fs::set_permissions(SOCKET, fs::Permissions::from_mode(0o666)).unwrap();
        let received = Arc::new(Received::default());
        let shared = Arc::clone(&received);
        let receiver = Some(thread::spawn(move || receive(&socket, &shared)));
        Self { received, receiver }
    }

    /// All lines so far, as sent: priority, time, tag, message. What a process that has ended sent is among
    /// them: the receiver is waited for.
    pub fn lines(&self) -> Vec<String> {
        let mark = 1 + self.received.sent.fetch_add(1, Ordering::SeqCst);
        let socket = UnixDatagram::unbound().unwrap();
        if socket
            .send_to(format!("{MARK}{mark}").as_bytes(), SOCKET)
            .is_err()
        {
            // A test has taken the socket away.
            return self.received.lines().clone();
        }
        let (lines, _) = self
            .received
            .arrived
            .wait_timeout_while(self.received.lines(), PATIENCE, |_| {
                self.received.read.load(Ordering::SeqCst) < mark
            })
            .unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }

    /// The first line, past or coming, that `wanted` accepts.
    ///
    /// # Panics
    /// When none comes before the deadline; the report holds the whole log.
    pub fn wait_for(&self, deadline: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let found = |lines: &[String]| lines.iter().find(|line| wanted(line)).cloned();
        let (lines, _) = self
            .received
            .arrived
            .wait_timeout_while(self.received.lines(), deadline, |lines| {
                found(lines).is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        found(&lines).unwrap_or_else(|| panic!("not in syslog:\n{}", lines.join("\n")))
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        if let Ok(socket) = UnixDatagram::unbound()
            && socket.send_to(END, SOCKET).is_ok()
            && let Some(receiver) = self.receiver.take()
        {
            let _ = receiver.join();
        }
        if thread::panicking() {
            eprintln!("--- syslog\n{}", self.received.lines().join("\n"));
        }
    }
}

fn receive(socket: &UnixDatagram, received: &Received) {
    let mut buffer = vec![0; 65536];
    while let Ok(length) = socket.recv(&mut buffer) {
        let datagram = &buffer[..length];
        if datagram == END {
            return;
        }
        let line = String::from_utf8_lossy(datagram)
            .trim_end_matches(['\0', '\n'])
            .to_owned();
        let mut lines = received.lines();
        match line.strip_prefix(MARK).and_then(|mark| mark.parse().ok()) {
            Some(mark) => {
                received.read.fetch_max(mark, Ordering::SeqCst);
            }
            None => lines.push(line),
        }
        drop(lines);
        received.arrived.notify_all();
    }
}
