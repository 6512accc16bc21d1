//! What signals ask for: to stop, to read the configuration again, to see who has ended. They arrive through
//! a descriptor, like everything else.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::{WaitOptions, WaitStatus};

use super::connection::Connection;
use super::settings::Settings;
use super::{Course, Listener, ListenerError, confinement};

/// The signals that matter, by descriptor. Only this thread: there is no other.
pub(super) fn receive() -> nix::Result<SignalFd> {
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

impl Listener {
    pub(super) fn heed_signals(&mut self) -> Course {
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
}
