//! One connection as the listener sees it: a monitor's process, and, until somebody is logged in, the clock
//! that runs against it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;
use std::{error, fmt};

use rustix::process::{Pid, Signal, kill_process_group};

use super::sources::Source;
use crate::ipc::{IpcError, Socket};
use crate::protocol::{MonitorSetup, Progress};
use crate::role::Role;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    process: Pid,
    /// Who connected; behind a proxy, what it says.
    pub address: IpAddr,
    /// What there is until somebody is logged in.
    startup: Option<Startup>,
}

/// A connection that nobody is logged in on.
#[derive(Debug)]
struct Startup {
    /// None once there is nothing more to hear.
    progress: Option<Socket>,
    /// None once it is being killed.
    deadline: Option<Instant>,
    /// What it counts as; none while only the proxy is known.
    source: Option<Source>,
}

/// Why a connection is not served.
#[derive(Debug)]
pub enum StartError {
    /// The process does not start.
    Process(io::Error),
    /// What it should be told does not get to it.
    Setup(IpcError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(error) => write!(f, "cannot start a process for a connection: {error}"),
            Self::Setup(error) => write!(f, "cannot set up a connection: {error}"),
        }
    }
}

impl error::Error for StartError {}

impl From<rustix::io::Errno> for StartError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Process(error.into())
    }
}

impl Connection {
    /// Starts a monitor for it. `source` is none for a proxy's connection.
    ///
    /// # Errors
    /// When the system has no room. A process that was started all the same is killed, and reaped like any.
    pub fn start(
        fd: OwnedFd,
        setup: &MonitorSetup,
        source: Option<Source>,
        deadline: Option<Instant>,
    ) -> Result<(Pid, Self), StartError> {
        let (ours, theirs) = Socket::pair().map_err(StartError::Setup)?;
        // The setup waits in the socket for the monitor, so that none, slow or gone, can hold up the others.
        rustix::io::ioctl_fionbio(&ours, true)?;
        ours.send(setup, &[]).map_err(StartError::Setup)?;
        let shown = format!("otpgate-sshd: monitor {}", setup.peer.ip());
        let child = Role::Monitor
            .start(&shown, Some(fd), theirs)
            .map_err(StartError::Process)?;
        let pid = Pid::from_child(&child);
        let startup = Startup {
            progress: Some(ours),
            deadline,
            source,
        };
        let connection = Self {
            process: pid,
            address: setup.peer.ip(),
            startup: Some(startup),
        };
        Ok((pid, connection))
    }

    /// Where to listen for progress.
    #[must_use]
    pub fn progress(&self) -> Option<BorrowedFd<'_>> {
        let progress = self.startup.as_ref()?.progress.as_ref()?;
        Some(progress.as_fd())
    }

    /// What the monitor has to say; None when there is nothing new.
    ///
    /// # Errors
    /// When it says what no monitor says.
    pub fn hear(&mut self) -> Result<Option<Progress>, IpcError> {
        let Some(startup) = &mut self.startup else {
            return Ok(None);
        };
        let Some(progress) = &startup.progress else {
            return Ok(None);
        };
        match progress.receive::<Progress>(0) {
            Ok(Some((message, _))) => Ok(Some(message)),
            Err(IpcError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // It is about to end; the deadline still holds.
            Ok(None) | Err(IpcError::Io(_)) => {
                startup.progress = None;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Behind the proxy is this address.
    pub fn unveil(&mut self, address: IpAddr) {
        self.address = address.to_canonical();
        if let Some(startup) = &mut self.startup {
            startup.source = Some(Source::from(address));
        }
    }

    /// Somebody is logged in: nothing more to hear, and no more hurry.
    pub fn authenticated(&mut self) {
        self.startup = None;
    }

    /// Whether nobody is logged in.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.startup.is_some()
    }

    /// What it counts as while nobody is logged in.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        self.startup.as_ref()?.source
    }

    /// When it is killed unless somebody is logged in.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.startup.as_ref()?.deadline
    }

    /// Ends it at once, with all that it has started: the network process, and what PAM modules may have
    /// running. Programs of users lead sessions of their own. It counts until it is reaped; until then, and no
    /// longer, the number is its own.
    pub fn kill(&mut self) {
        // It has ended already, if anything.
        let _ = kill_process_group(self.process, Signal::KILL);
        if let Some(startup) = &mut self.startup {
            startup.progress = None;
            startup.deadline = None;
        }
    }
}

/// A peer's address as it is logged and counted.
#[must_use]
pub fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}
