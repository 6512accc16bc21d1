//! Messages between two processes of a connection: one packet each, with descriptors beside it.
//!
//! `SOCK_SEQPACKET` keeps the borders between messages, so there is no framing to get wrong; a message is
//! an enum in postcard's encoding. Whatever is not exactly one such message is an error, and an error ends
//! the connection.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{error, fmt};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg,
    sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Longest message, in bytes.
pub const LONGEST: usize = 128 * 1024;
/// Most descriptors beside one message.
pub const MOST_DESCRIPTORS: usize = 3;

/// One end of a conversation.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// Why a message did not come or go.
#[derive(Debug)]
pub enum IpcError {
    /// The system refused.
    Io(io::Error),
    /// What came is no such message.
    Malformed(&'static str),
}

impl fmt::Display for IpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "talking to a process of the same connection: {error}"),
            Self::Malformed(what) => write!(f, "a process of the same connection sent {what}"),
        }
    }
}

impl error::Error for IpcError {}

impl From<rustix::io::Errno> for IpcError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

impl Socket {
    /// Two ends, both closed on exec.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn pair() -> Result<(Self, Self), IpcError> {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(one), Self(other)))
    }

    /// The end that a process was started with.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// The descriptor, for a process that is started with it.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Sends one message, with copies of these descriptors.
    ///
    /// # Errors
    /// [`IpcError::Io`] when the other side is gone (no signal is raised), or, with a socket that does not
    /// block, has not read enough yet; [`IpcError::Malformed`] for a message over [`LONGEST`].
    pub fn send<T: Serialize>(
        &self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), IpcError> {
        // Wiped: answers and host keys pass here.
        let bytes = Zeroizing::new(
            postcard::to_stdvec(message)
                .map_err(|_| IpcError::Malformed("a message that has no encoding"))?,
        );
        if bytes.len() > LONGEST {
            return Err(IpcError::Malformed("a message that is too long"));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(IpcError::Malformed("too many descriptors"));
        }
        let flags = SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| {
            sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut beside, flags)
        })?;
        Ok(())
    }

    /// Waits for one message (unless the socket does not block), and takes what descriptors came beside it,
    /// closed on exec. None: the other side is gone.
    ///
    /// # Errors
    /// [`IpcError::Malformed`] for anything but one whole message with at most `descriptors` of them.
    pub fn receive<T: DeserializeOwned>(
        &self,
        descriptors: usize,
    ) -> Result<Option<(T, Vec<OwnedFd>)>, IpcError> {
        let length = self.length_of_next()?;
        if length > LONGEST {
            return Err(IpcError::Malformed("a message that is too long"));
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        // Without room the kernel drops descriptors, and says so in the flags.
        let room = if descriptors == 0 {
            &mut [][..]
        } else {
            &mut space[..]
        };
        let mut beside = RecvAncillaryBuffer::new(room);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut beside,
                flags,
            )
        })?;
        let came: Vec<OwnedFd> = beside
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            })
            .flatten()
            .collect();
        if received
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
            || came.len() > descriptors
        {
            return Err(IpcError::Malformed("more than was asked for"));
        }
        // No message is empty, so this is the end.
        if length == 0 {
            return Ok(None);
        }
        let message = bytes.get(..received.bytes).unwrap_or_default();
        match postcard::take_from_bytes(message) {
            Ok((message, [])) => Ok(Some((message, came))),
            Ok(_) => Err(IpcError::Malformed("a message with something behind it")),
            Err(_) => Err(IpcError::Malformed("what is no message")),
        }
    }

    /// How long the next message is, in bytes; it stays where it is.
    fn length_of_next(&self) -> Result<usize, IpcError> {
        let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
        let mut nowhere = [0_u8; 0];
        let (_, length) = rustix::io::retry_on_intr(|| recv(&self.0, &mut nowhere[..], flags))?;
        Ok(length)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
