//! The only place that looks at the wall clock; everything else is told the time.

use std::time::SystemTime;

use crate::totp::UnixTime;

/// Something that knows the time.
pub trait Clock {
    /// Now.
    fn now(&self) -> UnixTime;
}

/// The host's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        // A clock before 1970 reads as the epoch: every TOTP is then outside its window, and refused.
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        UnixTime(since_epoch.map_or(0, |elapsed| elapsed.as_secs()))
    }
}

impl Clock for UnixTime {
    fn now(&self) -> UnixTime {
        *self
    }
}
