//! The conversation with the network process: nothing is received but through the table, nothing is sent
//! for ever.

use std::cell::RefCell;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::table::{Gate, Violation};
use crate::ipc::{IpcError, Socket};
use crate::protocol::{Reply, Request};

/// Longest wait for a network process that does not read. An honest one always reads.
const PATIENCE: Duration = Duration::from_secs(10);

/// The monitor's end, and the table's state.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    gate: RefCell<Gate>,
}

/// Why there will be no more requests.
#[derive(Debug)]
pub enum Lost {
    /// The network process went away, as it does when its client does.
    Gone,
    /// It sent what the table does not allow.
    Forbidden(Violation),
    /// It sent what is no request, or sent descriptors, or does not read.
    Broken(IpcError),
    /// The monitor sent it away.
    Dismissed,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("gone"),
            Self::Forbidden(violation) => violation.fmt(f),
            Self::Broken(IpcError::Malformed(_)) => f.write_str("malformed"),
            Self::Broken(IpcError::Io(_)) => f.write_str("does_not_read"),
            Self::Dismissed => f.write_str("dismissed"),
        }
    }
}

impl std::error::Error for Lost {}

impl Wire {
    /// Over this socket, from the beginning.
    ///
    /// # Errors
    /// When the socket is none.
    pub fn new(socket: Socket) -> Result<Self, Lost> {
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))
            .map_err(|error| Lost::Broken(error.into()))?;
        Ok(Self {
            socket,
            gate: RefCell::default(),
        })
    }

    /// Waits for the next request; it is one that the table allows.
    ///
    /// # Errors
    /// When there is none, or another.
    pub fn next(&self) -> Result<Request, Lost> {
        let (request, _) = match self.socket.receive::<Request>(0) {
            Ok(received) => received.ok_or(Lost::Gone)?,
            Err(IpcError::Io(_)) => return Err(Lost::Gone),
            Err(malformed) => return Err(Lost::Broken(malformed)),
        };
        let admitted = self.gate.borrow_mut().admit(&request);
        admitted.map_err(Lost::Forbidden)?;
        Ok(request)
    }

    /// Answers.
    ///
    /// # Errors
    /// When the network process is gone, or does not read.
    pub fn reply(&self, reply: &Reply, descriptors: &[BorrowedFd<'_>]) -> Result<(), Lost> {
        self.gate.borrow_mut().sent(reply);
        self.socket
            .send(reply, descriptors)
            .map_err(|error| match error {
                IpcError::Io(error) if error.kind() != std::io::ErrorKind::WouldBlock => Lost::Gone,
                other => Lost::Broken(other),
            })
    }

    /// Says goodbye: the network process tells its client why, and ends the connection.
    pub fn dismiss(&self, reason: &str) -> Lost {
        let reason = reason.to_owned();
        match self.reply(&Reply::Disconnect { reason }, &[]) {
            Ok(()) => Lost::Dismissed,
            Err(lost) => lost,
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
