//! The listener: accepts connections, starts a monitor for each, and counts those that are not logged in.
//!
//! One thread and one poll loop. It reads nothing that a client sends: what it hears comes from monitors
//! ([`crate::protocol::Progress`]) and from signals, which arrive through a descriptor like everything
//! else. PAM may block for as long as it likes, so the time for a login is enforced here, by killing the
//! monitor. A stop leaves the connections alone that somebody is logged in on: they are processes of their
//! own.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{error, fmt};

use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;

mod admission;
pub mod confinement;
pub mod connection;
pub mod notify;
pub mod preflight;
pub mod seldom;
pub mod settings;
mod signals;
pub mod sockets;
pub mod sources;
pub mod startups;

use crate::log::Destination;
use crate::protocol::Progress;
use confinement::ConfinementError;
use connection::Connection;
use notify::Notify;
use seldom::Seldom;
use settings::{Settings, SettingsError};
use sockets::{ListenError, Listening};
use sources::Source;

/// Most connections that are accepted in a row before anything else gets its turn.
const MOST_AT_ONCE: usize = 32;
/// Rest after the system had no room for a connection.
const REST: Duration = Duration::from_millis(100);

/// Why the listener does not begin, or does not take a new configuration.
#[derive(Debug)]
pub enum ListenerError {
    /// The settings are wrong.
    Settings(SettingsError),
    /// The network processes cannot be confined.
    Confinement(ConfinementError),
    /// An address cannot be listened on.
    Listen(ListenError),
    /// Signals cannot be received.
    Signals(io::Error),
}

impl fmt::Display for ListenerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => error.fmt(f),
            Self::Confinement(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::Signals(error) => write!(f, "receiving signals: {error}"),
        }
    }
}

impl error::Error for ListenerError {}

/// The listener.
#[derive(Debug)]
pub struct Listener {
    settings: Settings,
    named: Option<PathBuf>,
    log: Destination,
    notify: Notify,
    signals: SignalFd,
    sockets: Vec<Listening>,
    connections: HashMap<Pid, Connection>,
    refusals: Seldom,
    troubles: Seldom,
    rest_until: Option<Instant>,
}

/// What there is to do.
#[derive(Debug, Clone, Copy)]
enum Event {
    Signal,
    Connection(usize),
    Progress(Pid),
}

/// Whether to go on.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    GoOn,
    Stop,
}

impl Listener {
    /// Begins to listen. `named` is the configuration file that SIGHUP reads again.
    ///
    /// # Errors
    /// [`ListenerError`], with the cure.
    pub fn begin(
        settings: Settings,
        named: Option<PathBuf>,
        log: Destination,
    ) -> Result<Self, ListenerError> {
        let signals = signals::receive().map_err(|error| ListenerError::Signals(error.into()))?;
        confinement::prepare(&settings.config).map_err(ListenerError::Confinement)?;
        let mut listener = Self {
            settings,
            named,
            log,
            notify: Notify::from_environment(),
            signals,
            sockets: Vec::new(),
            connections: HashMap::new(),
            refusals: Seldom::default(),
            troubles: Seldom::default(),
            rest_until: None,
        };
        let wanted = listener.settings.config.listen.clone();
        listener.listen(&wanted).map_err(ListenerError::Listen)?;
        listener.notify.ready();
        Ok(listener)
    }

    /// Serves until SIGTERM or SIGINT.
    pub fn run(mut self) -> ExitCode {
        loop {
            for event in self.wait() {
                match event {
                    Event::Signal => {
                        if self.heed_signals() == Course::Stop {
                            self.stop();
                            return ExitCode::SUCCESS;
                        }
                    }
                    Event::Connection(socket) => self.accept(socket),
                    Event::Progress(pid) => self.hear(pid),
                }
            }
            self.heed_clock();
        }
    }

    /// Waits until there is something to do, or a clock runs out.
    fn wait(&mut self) -> Vec<Event> {
        let mut events = vec![Event::Signal];
        let mut watched = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if self.rest_until.is_none() {
            for (number, socket) in self.sockets.iter().enumerate() {
                events.push(Event::Connection(number));
                watched.push(PollFd::new(socket, PollFlags::IN));
            }
        }
        for (pid, connection) in &self.connections {
            if let Some(progress) = connection.progress() {
                events.push(Event::Progress(*pid));
                watched.push(PollFd::from_borrowed_fd(progress, PollFlags::IN));
            }
        }
        let timeout = self.time_left();
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Vec::new(),
            Err(error) => {
                let line = format!("waiting for connections: {error}");
                drop(watched);
                self.trouble(line);
                std::thread::sleep(REST);
                return Vec::new();
            }
        }
        let happened = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let pairs = events.into_iter().zip(&watched);
        pairs
            .filter_map(|(event, fd)| happened(fd).then_some(event))
            .collect()
    }

    fn time_left(&self) -> Option<Timespec> {
        let deadlines = self.connections.values().filter_map(Connection::deadline);
        let others = [
            self.rest_until,
            self.refusals.wakes(),
            self.troubles.wakes(),
        ];
        let next = deadlines.chain(others.into_iter().flatten()).min()?;
        let left = next.saturating_duration_since(Instant::now());
        Timespec::try_from(left).ok()
    }

    fn accept(&mut self, socket: usize) {
        for _ in 0..MOST_AT_ONCE {
            // Gone with a change of configuration a moment ago.
            let Some(listening) = self.sockets.get(socket) else {
                return;
            };
            match listening.accept() {
                Ok(Some(accepted)) => self.admit(accepted),
                Ok(None) => return,
                Err(error) => {
                    self.trouble(format!("cannot accept a connection: {error}"));
                    return self.rest();
                }
            }
            if self.rest_until.is_some() {
                return;
            }
        }
    }

    fn hear(&mut self, pid: Pid) {
        let Some(connection) = self.connections.get_mut(&pid) else {
            return;
        };
        match connection.hear() {
            Ok(None) => {}
            Ok(Some(Progress::Authenticated)) => connection.authenticated(),
            Ok(Some(Progress::Source(address))) => {
                connection.unveil(address);
                self.limit(pid, Source::from(address));
            }
            Err(error) => {
                connection.kill();
                self.trouble(error.to_string());
            }
        }
    }

    /// Before somebody is shut out: a login that was reported and not heard of yet is one all the same.
    fn hear_all(&mut self) {
        let all: Vec<Pid> = self.connections.keys().copied().collect();
        for pid in all {
            // There are two things to say.
            self.hear(pid);
            self.hear(pid);
        }
    }

    fn heed_clock(&mut self) {
        let now = Instant::now();
        let is_late = |connection: &Connection| {
            let deadline = connection.deadline();
            deadline.is_some_and(|deadline| deadline <= now)
        };
        if self.connections.values().any(is_late) {
            self.hear_all();
        }
        for connection in self.connections.values_mut() {
            if is_late(connection) {
                connection.kill();
                let address = connection.address;
                self.log.info(&format!(
                    "result=refused reason=grace_time source={address}"
                ));
            }
        }
        if self.rest_until.is_some_and(|end| end <= now) {
            self.rest_until = None;
        }
        if let Some(line) = self.refusals.flush(now) {
            self.log.warning(&line);
        }
        if let Some(line) = self.troubles.flush(now) {
            self.log.error(&line);
        }
    }

    /// Logs what strangers can cause at will.
    fn refuse(&mut self, line: String) {
        if let Some(line) = self.refusals.line(Instant::now(), line) {
            self.log.warning(&line);
        }
    }

    /// Logs what an administrator should look at, and strangers can perhaps repeat.
    fn trouble(&mut self, line: String) {
        if let Some(line) = self.troubles.line(Instant::now(), line) {
            self.log.error(&line);
        }
    }

    /// The system had no room: trying again at once would only turn in circles.
    fn rest(&mut self) {
        self.rest_until = Instant::now().checked_add(REST);
    }

    fn listen(&mut self, wanted: &[std::net::SocketAddr]) -> Result<(), ListenError> {
        for address in sockets::change(&mut self.sockets, wanted)? {
            let (ip, port) = (address.ip(), address.port());
            self.log.info(&format!("listening on {ip} port {port}"));
        }
        Ok(())
    }

    /// Nobody new; who is logged in may stay.
    fn stop(&mut self) {
        self.notify.stopping();
        self.sockets.clear();
        self.hear_all();
        for connection in self.connections.values_mut() {
            if connection.is_waiting() {
                connection.kill();
            }
        }
        let left = self.connections.len() - self.waiting();
        self.log
            .info(&format!("stopped; connections that go on: {left}"));
    }
}

/// Reads the settings and listens.
///
/// # Errors
/// [`ListenerError`], with the cure.
pub fn begin(named: Option<&Path>, log: Destination) -> Result<Listener, ListenerError> {
    let settings = Settings::load(named).map_err(ListenerError::Settings)?;
    for problem in preflight::problems(&settings.config) {
        log.warning(&problem);
    }
    Listener::begin(settings, named.map(Path::to_owned), log)
}
