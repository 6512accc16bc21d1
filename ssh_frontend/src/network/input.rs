//! From the client to a program: what it does not take at once is queued, and written when it does.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::Shutdown;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::flow::{Flow, MOST_QUEUED};

/// A descriptor that does not block: of a pipe, a terminal or a socket.
pub type Descriptor = AsyncFd<OwnedFd>;

/// Watches a descriptor that does not block.
///
/// # Errors
/// When it cannot be watched, as a file cannot.
pub fn watch(descriptor: OwnedFd) -> io::Result<Descriptor> {
    #[expect(
        deprecated,
        reason = "the new way is unsafe, for types that do not own their descriptor"
    )]
    AsyncFd::new(descriptor)
}

/// Small pieces are put together up to this size, in bytes.
const PIECE: usize = 32 * 1024;

/// Most pieces that are written at once.
const MOST_PIECES: usize = 16;

/// A client sent more than anybody allowed.
#[derive(Debug)]
pub struct Overrun;

/// What a channel's data goes to.
#[derive(Debug)]
pub struct Input {
    state: Mutex<State>,
    flow: Arc<Flow>,
    closed: Notify,
}

#[derive(Debug)]
struct State {
    /// None: closed. What comes is thrown away.
    descriptor: Option<Arc<Descriptor>>,
    queue: VecDeque<Vec<u8>>,
    /// So much of the first piece is written.
    written: usize,
    queued: usize,
    /// The client sends no more.
    ended: bool,
    /// A terminal is not closed by that.
    terminal: bool,
    writer: Option<AbortHandle>,
}

impl Input {
    /// To this descriptor.
    pub fn new(descriptor: Arc<Descriptor>, terminal: bool, flow: Arc<Flow>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                descriptor: Some(descriptor),
                queue: VecDeque::new(),
                written: 0,
                queued: 0,
                ended: false,
                terminal,
                writer: None,
            }),
            flow,
            closed: Notify::new(),
        })
    }

    /// Writes as much as is taken at once and queues the rest; does not wait.
    ///
    /// # Errors
    /// When more is queued than the client's window ever allowed.
    pub fn push(self: &Arc<Self>, data: &[u8]) -> Result<(), Overrun> {
        let mut state = self.state();
        let Some(descriptor) = state.descriptor.clone().filter(|_| !state.ended) else {
            return Ok(());
        };
        let taken = if state.queue.is_empty() {
            match write(descriptor.get_ref(), data) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => {
                    self.close_now(&mut state);
                    return Ok(());
                }
            }
        } else {
            0
        };
        let rest = data.get(taken..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        state.enqueue(rest);
        self.flow.add(rest.len());
        if state.queued > MOST_QUEUED {
            return Err(Overrun);
        }
        if state.writer.is_none() {
            let writer = tokio::spawn(write_queue(Arc::clone(self), descriptor));
            state.writer = Some(writer.abort_handle());
        }
        Ok(())
    }

    /// The client sends no more: once the queue is written, neither does this.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        if state.queue.is_empty() && !state.terminal {
            self.close_now(&mut state);
        }
    }

    /// Closes it, with what is queued.
    pub fn close(&self) {
        self.close_now(&mut self.state());
    }

    /// Waits until it is closed.
    pub async fn closed(&self) {
        loop {
            let closed = self.closed.notified();
            if self.state().descriptor.is_none() {
                return;
            }
            closed.await;
        }
    }

    fn close_now(&self, state: &mut State) {
        if let Some(descriptor) = state.descriptor.take() {
            // A socket's other direction goes on; nothing else can be shut down.
            let _ = rustix::net::shutdown(descriptor.get_ref(), Shutdown::Write);
        }
        state.queue = VecDeque::new();
        self.flow.remove(std::mem::take(&mut state.queued));
        if let Some(writer) = state.writer.take() {
            writer.abort();
        }
        self.closed.notify_waiters();
    }

    /// Writes from the queue once. True: nothing is left to do. What takes only a part is full, but for
    /// terminals, which may be busy (epoll(7)): that is [`io::ErrorKind::WouldBlock`] without asking again.
    fn write_some(&self, descriptor: &OwnedFd) -> io::Result<bool> {
        let mut state = self.state();
        let pieces = state.pieces();
        let asked: usize = pieces.iter().map(|piece| piece.len()).sum();
        let length = write_pieces(descriptor, &pieces)?;
        state.took(length);
        self.flow.remove(length);
        if !state.queue.is_empty() {
            if length < asked && !state.terminal {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            return Ok(false);
        }
        state.queue = VecDeque::new();
        state.writer = None;
        if state.ended && !state.terminal {
            self.close_now(&mut state);
        }
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enqueue(&mut self, data: &[u8]) {
        self.queued += data.len();
        match self.queue.back_mut() {
            Some(last) if last.len() + data.len() <= PIECE => last.extend_from_slice(data),
            _ => self.queue.push_back(data.to_vec()),
        }
    }

    /// The first of the queue, but for what is written of them.
    fn pieces(&self) -> Vec<IoSlice<'_>> {
        let mut written = self.written;
        let pieces = self.queue.iter().take(MOST_PIECES);
        let rest = pieces.map(|piece| {
            let skipped = std::mem::take(&mut written);
            IoSlice::new(piece.get(skipped..).unwrap_or_default())
        });
        rest.collect()
    }

    fn took(&mut self, length: usize) {
        self.queued = self.queued.saturating_sub(length);
        self.written += length;
        while let Some(first) = self.queue.front()
            && first.len() <= self.written
        {
            self.written -= first.len();
            self.queue.pop_front();
        }
    }
}

async fn write_queue(input: Arc<Input>, descriptor: Arc<Descriptor>) {
    loop {
        let Ok(mut ready) = descriptor.writable().await else {
            return input.close();
        };
        match ready.try_io(|descriptor| input.write_some(descriptor.get_ref())) {
            Ok(Ok(false)) | Err(_) => {}
            Ok(Ok(true)) => return,
            Ok(Err(_)) => return input.close(),
        }
    }
}

fn write_pieces(descriptor: impl std::os::fd::AsFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        match rustix::io::writev(&descriptor, pieces) {
            Err(Errno::INTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}

fn write(descriptor: impl std::os::fd::AsFd, data: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::io::write(&descriptor, data) {
            Err(Errno::INTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}

#[cfg(test)]
mod tests;
