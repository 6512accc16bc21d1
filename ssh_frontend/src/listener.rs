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

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitOptions, WaitStatus};

pub mod confinement;
pub mod connection;
pub mod notify;
pub mod preflight;
pub mod seldom;
pub mod settings;
pub mod sockets;
pub mod sources;
pub mod startups;

use crate::log::Destination;
use crate::protocol::{MonitorSetup, Progress};
use confinement::ConfinementError;
use connection::{Connection, canonical};
use notify::Notify;
use seldom::Seldom;
use settings::{Settings, SettingsError};
use sockets::{Accepted, ListenError, Listening};
use sources::Source;
use startups::Admission;

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
        let signals = receive_signals().map_err(|error| ListenerError::Signals(error.into()))?;
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

    /// Serves a connection, or drops it without a word.
    fn admit(&mut self, accepted: Accepted) {
        let config = &self.settings.config;
        let address = canonical(accepted.peer).ip();
        let source = (!config.is_proxy(address)).then(|| Source::from(address));
        // Without random bytes the lowest number: the strictest.
        let random = getrandom::u32().unwrap_or_default();
        let waiting = self.waiting();
        if startups::admit(waiting, config.max_startups, random) == Admission::Drop {
            let line =
                format!("result=refused reason=max_startups source={address} waiting={waiting}");
            return self.refuse(line);
        }
        if let Some(source) = source
            && self.is_over_limit(source, 1)
        {
            return self.refuse(format!(
                "result=refused reason=per_source_max_startups source={address}"
            ));
        }
        self.start(accepted, source);
    }

    fn start(&mut self, accepted: Accepted, source: Option<Source>) {
        let setup = MonitorSetup {
            config: self.settings.config.clone(),
            host_keys: self.settings.host_keys.clone(),
            banner: self.settings.banner.clone(),
            peer: canonical(accepted.peer),
            local: canonical(accepted.local),
            log: self.log,
        };
        let deadline = Instant::now().checked_add(setup.config.login_grace_time);
        match Connection::start(accepted.fd, &setup, source, deadline) {
            Ok((pid, connection)) => {
                self.connections.insert(pid, connection);
            }
            Err(error) => {
                self.trouble(error.to_string());
                self.rest();
            }
        }
    }

    fn waiting(&self) -> usize {
        let connections = self.connections.values();
        connections.filter(|other| other.is_waiting()).count()
    }

    /// Whether a source has more connections without a login than it may, with so many on top.
    fn is_over_limit(&self, source: Source, more: usize) -> bool {
        let Some(limit) = self.settings.config.per_source_max_startups else {
            return false;
        };
        let of_source = |other: &&Connection| other.source() == Some(source);
        let count = self.connections.values().filter(of_source).count() + more;
        u32::try_from(count).ok().is_none_or(|count| count > limit)
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

    /// A connection behind a proxy is counted as late as its source is known.
    fn limit(&mut self, pid: Pid, source: Source) {
        if !self.is_over_limit(source, 0) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&pid) {
            connection.kill();
            let address = connection.address;
            self.refuse(format!(
                "result=refused reason=per_source_max_startups source={address}"
            ));
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

    fn heed_signals(&mut self) -> Course {
        // An error is as good as no signal: there will be another.
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            match Signal::try_from(number) {
                Ok(Signal::SIGTERM | Signal::SIGINT) => return Course::Stop,
                Ok(Signal::SIGHUP) => self.reload(),
                Ok(Signal::SIGCHLD) => self.reap(),
                _ => {}
            }
        }
        Course::GoOn
    }

    /// All that have ended: as process 1 of a container these may be strangers, too.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if let Some(connection) = self.connections.remove(&pid) {
                self.judge(&connection, status);
            }
        }
    }

    /// A monitor that was killed, and not by us, has something wrong with it.
    fn judge(&mut self, connection: &Connection, status: WaitStatus) {
        let by_us = connection.is_waiting() && connection.deadline().is_none();
        if let (Some(signal), false) = (status.terminating_signal(), by_us) {
            let address = connection.address;
            self.trouble(format!(
                "the process of a connection from {address} was ended by signal {signal}"
            ));
        }
    }

    fn reload(&mut self) {
        self.notify.reloading();
        match self.reload_settings() {
            Ok(()) => self
                .log
                .info("the configuration was read again; it holds for new connections"),
            Err(error) => self
                .log
                .error(&format!("{error}; the old configuration stays")),
        }
        self.notify.ready();
    }

    fn reload_settings(&mut self) -> Result<(), ListenerError> {
        let settings = Settings::load(self.named.as_deref()).map_err(ListenerError::Settings)?;
        confinement::prepare(&settings.config).map_err(ListenerError::Confinement)?;
        self.listen(&settings.config.listen)
            .map_err(ListenerError::Listen)?;
        self.settings = settings;
        Ok(())
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

/// The signals that matter, by descriptor. Only this thread: there is no other.
fn receive_signals() -> nix::Result<SignalFd> {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGCHLD,
    ] {
        signals.add(signal);
    }
    signals.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
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
