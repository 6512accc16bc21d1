//! The channels of a connection: what each of them is, and how many there may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use russh::server::Msg;
use russh::{ChannelId, ChannelWriteHalf};
use tokio::task::AbortHandle;

use super::input::{Descriptor, Input, Overrun};
pub use crate::protocol::MOST_FORWARDS;
use crate::protocol::{LONGEST_ENVIRONMENT, LONGEST_VARIABLE, MOST_VARIABLES, Size, Terminal};

/// A session that is not started yet, and what it is to be started with.
#[derive(Debug)]
pub struct Fresh {
    /// Its way to the client.
    pub channel: ChannelWriteHalf<Msg>,
    /// Variables that the client wants set.
    pub environment: Vec<(String, String)>,
    /// The terminal that it asked for.
    pub terminal: Option<Terminal>,
}

/// What a channel is.
#[derive(Debug)]
enum Slot {
    /// A session whose start is still to come.
    Fresh(Box<Fresh>),
    /// A session whose one start was used.
    Spent,
    /// A program runs.
    Running(Running),
    /// A connection is asked for.
    Connecting,
    /// A connection is forwarded.
    Forwarding(Running),
}

/// What goes on in a channel. Dropped, it stops: descriptors are closed.
#[derive(Debug)]
pub struct Running {
    /// Where the client's data goes.
    pub input: Arc<Input>,
    /// The terminal, as long as its program has it.
    pub terminal: Option<Weak<Descriptor>>,
    /// What brings the output.
    pub task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        self.input.close();
    }
}

impl Slot {
    fn is_over(&self) -> bool {
        match self {
            Self::Running(running) | Self::Forwarding(running) => running.task.is_finished(),
            Self::Fresh(_) | Self::Spent | Self::Connecting => false,
        }
    }

    fn is_forward(&self) -> bool {
        matches!(self, Self::Connecting | Self::Forwarding(_))
    }
}

/// All of them. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Channels(Arc<Mutex<HashMap<ChannelId, Slot>>>);

impl Channels {
    /// A new session, unless there are `most` already.
    pub fn open_session(&self, channel: ChannelWriteHalf<Msg>, most: u32) -> bool {
        let mut slots = self.slots();
        if count(&mut slots, |slot| !slot.is_forward()) >= most as usize {
            return false;
        }
        let fresh = Fresh {
            channel,
            environment: Vec::new(),
            terminal: None,
        };
        slots.insert(fresh.channel.id(), Slot::Fresh(Box::new(fresh)));
        true
    }

    /// Room for a forwarded connection, unless there are [`MOST_FORWARDS`] already.
    pub fn open_forward(&self, id: ChannelId) -> bool {
        let mut slots = self.slots();
        if count(&mut slots, Slot::is_forward) >= MOST_FORWARDS as usize {
            return false;
        }
        slots.insert(id, Slot::Connecting);
        true
    }

    /// The session's one start: what it is to be started with.
    pub fn start(&self, id: ChannelId) -> Option<Fresh> {
        let mut slots = self.slots();
        let slot = slots.get_mut(&id)?;
        match std::mem::replace(slot, Slot::Spent) {
            Slot::Fresh(fresh) => Some(*fresh),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// The program runs.
    pub fn running(&self, id: ChannelId, running: Running) {
        self.slots().insert(id, Slot::Running(running));
    }

    /// The connection stands.
    pub fn forwarding(&self, id: ChannelId, running: Running) {
        self.slots().insert(id, Slot::Forwarding(running));
    }

    /// The channel is no more.
    pub fn close(&self, id: ChannelId) {
        // Dropped outside of the lock.
        let _slot = self.slots().remove(&id);
    }

    /// A variable for a session that is not started. False: it will not have it.
    pub fn set_variable(&self, id: ChannelId, name: &str, value: &str) -> bool {
        self.with_fresh(id, |fresh| {
            let so_far = fresh.environment.iter();
            let length: usize = so_far.map(|(name, value)| name.len() + value.len()).sum();
            let fits = fresh.environment.len() < MOST_VARIABLES
                && name.len() <= LONGEST_VARIABLE
                && value.len() <= LONGEST_VARIABLE
                && length + name.len() + value.len() <= LONGEST_ENVIRONMENT;
            if fits {
                fresh.environment.push((name.to_owned(), value.to_owned()));
            }
            fits
        })
    }

    /// A terminal for a session that is not started and has none. False: it will not have it.
    pub fn set_terminal(&self, id: ChannelId, terminal: Terminal) -> bool {
        self.with_fresh(id, |fresh| {
            let first = fresh.terminal.is_none();
            fresh.terminal.get_or_insert(terminal);
            first
        })
    }

    /// The client's window has this size now.
    pub fn resize(&self, id: ChannelId, size: Size) {
        let mut slots = self.slots();
        match slots.get_mut(&id) {
            Some(Slot::Fresh(fresh)) => {
                if let Some(terminal) = &mut fresh.terminal {
                    terminal.size = size;
                }
            }
            Some(Slot::Running(running)) => {
                if let Some(terminal) = running.terminal.as_ref().and_then(Weak::upgrade) {
                    // A terminal without a program has no size to change.
                    let _ = rustix::termios::tcsetwinsize(terminal.get_ref(), size.into());
                }
            }
            _ => {}
        }
    }

    /// Whether a program runs there.
    pub fn is_running(&self, id: ChannelId) -> bool {
        matches!(self.slots().get(&id), Some(Slot::Running(running)) if !running.task.is_finished())
    }

    /// Data of the client.
    ///
    /// # Errors
    /// When it is more than the client was ever allowed to send.
    pub fn data(&self, id: ChannelId, data: &[u8]) -> Result<(), Overrun> {
        match self.input(id) {
            Some(input) => input.push(data),
            None => Ok(()),
        }
    }

    /// The client sends no more data.
    pub fn end_of_data(&self, id: ChannelId) {
        if let Some(input) = self.input(id) {
            input.end();
        }
    }

    fn input(&self, id: ChannelId) -> Option<Arc<Input>> {
        match self.slots().get(&id)? {
            Slot::Running(running) | Slot::Forwarding(running) => Some(Arc::clone(&running.input)),
            Slot::Fresh(_) | Slot::Spent | Slot::Connecting => None,
        }
    }

    fn with_fresh(&self, id: ChannelId, act: impl FnOnce(&mut Fresh) -> bool) -> bool {
        match self.slots().get_mut(&id) {
            Some(Slot::Fresh(fresh)) => act(fresh),
            _ => false,
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<ChannelId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many are left of these. russh does not say when a channel that was closed from here is gone, so
/// those that are over go now.
fn count(slots: &mut HashMap<ChannelId, Slot>, these: impl Fn(&Slot) -> bool) -> usize {
    slots.retain(|_, slot| !slot.is_over());
    slots.values().filter(|slot| these(slot)).count()
}
