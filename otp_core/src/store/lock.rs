//! flock with a deadline.
//!
//! The lock is tried, not waited for: a blocked flock cannot be called off without a signal handler,
//! and a signal handler has no place in somebody else's process.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// How long to try. Whoever holds the lock decides and commits; no person is waited for.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// Why there is no lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockError {
    /// Somebody else held it until the deadline.
    Busy,
    /// flock failed.
    Failed(Errno),
}

/// Takes an exclusive lock on the open file. `deadline` is on the monotonic clock.
///
/// # Errors
/// [`LockError`].
pub fn exclusive(file: impl AsFd, deadline: Instant) -> Result<(), LockError> {
    let mut tries = 0;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(error) => return Err(LockError::Failed(error)),
        }
        if Instant::now() >= deadline {
            return Err(LockError::Busy);
        }
        pause(tries);
        tries += 1;
    }
}

/// Sleeps after so many tries: 0.1 ms at first, doubling to 4 ms.
pub(super) fn pause(tries: u32) {
    let longest = Duration::from_millis(4);
    let pause = Duration::from_micros(100).saturating_mul(1 << tries.min(6));
    std::thread::sleep(jittered(pause.min(longest)));
}

/// Between half and one and a half times `pause`, so that waiters do not march in step.
fn jittered(pause: Duration) -> Duration {
    // Unpredictability is not needed here; a failing random source simply means no jitter.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause / 2 + pause.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Gives the lock back. Closing would do so too, but not while a forked child still holds a copy of the
/// descriptor.
pub fn release(file: impl AsFd) {
    // Nothing can be done about a failure, and closing follows.
    let _ = rustix::fs::flock(&file, FlockOperation::Unlock);
}
