//! From programs to the client: never more than its window takes, for what russh cannot send stops every
//! channel of the connection.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use russh::server::{Handle, Msg};
use russh::{ChannelWriteHalf, Error, Sig};
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::input::{Descriptor, Input, watch};
use crate::protocol::Exit;

/// Most that is read from a program at once, in bytes: what OpenSSH's client takes in one packet.
const CHUNK: usize = 32 * 1024;

/// The number of standard error (RFC 4254, section 5.2).
const STANDARD_ERROR: u32 = 1;

/// A running program, as its channel sees it.
pub struct Program {
    /// Standard output, or the terminal.
    pub output: Arc<Descriptor>,
    /// Standard error.
    pub errors: Option<Arc<Descriptor>>,
    /// Where the client's data goes.
    pub input: Arc<Input>,
    /// How it will have ended.
    pub exit: oneshot::Receiver<Exit>,
    /// To be shown first.
    pub message: Vec<u8>,
}

/// A descriptor that the monitor passed, made ready.
///
/// # Errors
/// When it cannot be watched, as a file cannot.
pub fn descriptor(fd: OwnedFd) -> io::Result<Arc<Descriptor>> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(Arc::new(watch(fd)?))
}

/// Brings what a program says to the client until both have come to an end, and closes the channel.
pub async fn run(program: Program, channel: ChannelWriteHalf<Msg>, handle: Handle) {
    // A channel or connection that is gone needs no more.
    let _ = run_to_the_end(&program.input.clone(), program, &channel, &handle).await;
}

async fn run_to_the_end(
    input: &Input,
    program: Program,
    channel: &ChannelWriteHalf<Msg>,
    handle: &Handle,
) -> Result<(), Error> {
    channel.data_bytes(program.message).await?;
    let errors = async {
        match program.errors {
            Some(errors) => copy(errors, channel, Some(STANDARD_ERROR)).await,
            None => Ok(()),
        }
    };
    tokio::try_join!(copy(program.output, channel, None), errors)?;
    // OpenSSH's client closes a channel that has ended in both directions, and what comes after is lost:
    // the status goes first.
    if let Ok(exit) = program.exit.await {
        send_exit(exit, channel, handle).await?;
    }
    channel.eof().await?;
    input.close();
    channel.close().await
}

async fn send_exit(
    exit: Exit,
    channel: &ChannelWriteHalf<Msg>,
    handle: &Handle,
) -> Result<(), Error> {
    match exit {
        Exit::Status(status) => channel.exit_status(status).await,
        Exit::Signal { name, core_dumped } => handle
            .exit_signal_request(
                channel.id(),
                Sig::Custom(name),
                core_dumped,
                String::new(),
                String::new(),
            )
            .await
            .map_err(|()| Error::SendError),
    }
}

/// Brings what comes from a forwarded connection to the client, until both directions have ended.
pub async fn forward(socket: Arc<Descriptor>, input: Arc<Input>, channel: ChannelWriteHalf<Msg>) {
    let _ = copy(socket, &channel, None).await;
    let _ = channel.eof().await;
    input.closed().await;
    let _ = channel.close().await;
}

/// Until the end of what can be read, or of the channel.
async fn copy(
    from: Arc<Descriptor>,
    channel: &ChannelWriteHalf<Msg>,
    extended: Option<u32>,
) -> Result<(), Error> {
    loop {
        let mut ready = from.readable().await?;
        // No memory while there is nothing.
        let mut chunk = Vec::with_capacity(CHUNK);
        match ready.try_io(|from| read(from.get_ref(), &mut chunk)) {
            Err(_would_block) => continue,
            Ok(Ok(0)) | Ok(Err(_)) => return Ok(()),
            Ok(Ok(_)) => {}
        }
        match extended {
            None => channel.data_bytes(chunk).await?,
            Some(number) => channel.extended_data_bytes(number, chunk).await?,
        }
    }
}

/// A terminal without a program is an error (EIO), and the end.
fn read(from: impl AsFd, into: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        match rustix::io::read(&from, rustix::buffer::spare_capacity(into)) {
            Err(Errno::INTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}
