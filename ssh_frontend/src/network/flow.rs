//! How much of what a client sent waits for the programs it is meant for, and what follows from that.
//!
//! russh refills a channel's window when a packet of it arrives, whether or not anybody took the data, and
//! its loop waits for the handler: waiting there for a slow program would stop every channel, and the
//! output whose reading would make the program read. So what a program does not take is queued, and the
//! refills get smaller as the queues get longer, until a client dribbles [`SMALLEST_TARGET`] bytes at a
//! time. Then the network is read only every [`PAUSE`], for otherwise such a dribble would spin.

use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// A channel's window, in bytes.
pub const WINDOW: u32 = 2 * 1024 * 1024;

/// What the queues of a connection tend to, in bytes. Windows that are already granted come on top.
const FULL: usize = 2 * WINDOW as usize;

/// Most that one channel may have queued, in bytes. Who gets here has ignored their window: the refills
/// alone take a day for it.
pub const MOST_QUEUED: usize = 4 * WINDOW as usize;

/// russh refills a window below half of its target, so this is the smallest one that is ever refilled.
const SMALLEST_TARGET: u32 = 2;

/// Below this target the network is read with pauses.
const DRIBBLE: u32 = 1024;

/// How long the network is not read.
const PAUSE: Duration = Duration::from_millis(50);

/// The account of one connection.
#[derive(Debug, Default)]
pub struct Flow(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    queued: usize,
    paused_until: Option<Instant>,
    reader: Option<Waker>,
}

impl Flow {
    /// So many bytes more are queued.
    pub fn add(&self, bytes: usize) {
        self.with(|account| {
            account.queued = account.queued.saturating_add(bytes);
            if target(account.queued) < DRIBBLE {
                account.paused_until = Some(Instant::now() + PAUSE);
            }
        });
    }

    /// So many bytes were written, or thrown away.
    pub fn remove(&self, bytes: usize) {
        let reader = self.with(|account| {
            account.queued = account.queued.saturating_sub(bytes);
            if target(account.queued) < DRIBBLE {
                return None;
            }
            account.paused_until = None;
            account.reader.take()
        });
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// What the next refill fills a window up to, in bytes.
    pub fn target(&self) -> u32 {
        self.with(|account| target(account.queued))
    }

    /// Until when the network is not to be read, if it is not. The reader is woken when that ends earlier.
    pub fn pause(&self, context: &Context<'_>) -> Option<Instant> {
        self.with(|account| {
            account.paused_until = account.paused_until.filter(|until| *until > Instant::now());
            if account.paused_until.is_some() {
                account.reader = Some(context.waker().clone());
            }
            account.paused_until
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Account) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A sixteenth of the room that is left: the queues near [`FULL`] and do not pass it.
fn target(queued: usize) -> u32 {
    if queued < WINDOW as usize / 2 {
        return WINDOW;
    }
    let share = FULL.saturating_sub(queued) / 16;
    u32::try_from(share).unwrap_or(WINDOW).max(SMALLEST_TARGET)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[test]
    fn a_connection_whose_programs_read_has_the_whole_window() {
        let flow = Flow::default();
        flow.add(1000);
        assert_eq!(flow.target(), WINDOW);
    }

    #[test]
    fn refills_shrink_to_almost_nothing_and_come_back() {
        let flow = Flow::default();
        flow.add(WINDOW as usize);
        let some = flow.target();
        assert!(some < WINDOW / 8, "{some}");
        flow.add(WINDOW as usize);
        assert_eq!(flow.target(), SMALLEST_TARGET);
        flow.remove(2 * WINDOW as usize);
        assert_eq!(flow.target(), WINDOW);
    }

    #[test]
    fn a_client_that_uses_every_refill_stays_far_below_what_ends_its_connection() {
        let mut queued = WINDOW as usize / 2 + WINDOW as usize;
        for _ in 0..100_000 {
            queued += target(queued) as usize;
        }
        assert!(queued < 3 * WINDOW as usize, "{queued}");
    }

    #[tokio::test]
    async fn reading_pauses_while_the_client_dribbles_and_not_before() {
        let flow = Flow::default();
        let paused = || std::future::poll_fn(|context| Poll::Ready(flow.pause(context).is_some()));
        flow.add(WINDOW as usize);
        assert!(!paused().await);
        flow.add(WINDOW as usize);
        assert!(paused().await);
        flow.remove(WINDOW as usize);
        assert!(!paused().await);
    }
}
