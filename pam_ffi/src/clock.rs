//! Is the system clock synchronised? Codes by time are refused when it is off by more than a
//! minute, so a check asks before the users do.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

/// What the kernel knows about its clock. It believes what the time daemon told it: chrony, ntpd or
/// systemd-timesyncd set these through the same call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockState {
    /// False when no daemon has set the clock, or the last one has been silent for so long that the
    /// kernel gave it up (the maximum error grows by 500 us each second, and at 16 s the kernel
    /// counts the clock as unsynchronised).
    pub synchronised: bool,
    /// How far off the clock probably is (`esterror`, kept in microseconds). 16 s when nobody ever
    /// said.
    pub estimated_error: Duration,
    /// How far off the clock is at most (`maxerror`, kept in microseconds). 16 s is the end of the
    /// scale.
    pub maximum_error: Duration,
    /// Whether a leap second is near.
    pub leap: Leap,
}

/// Where the clock stands with leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leap {
    /// None is announced.
    None,
    /// The last minute of this day (UTC) will have 61 seconds.
    InsertToday,
    /// The last minute of this day (UTC) will have 59 seconds.
    DeleteToday,
    /// The inserted second is now.
    InProgress,
    /// It is over, but the daemon has not yet taken the announcement back.
    Over,
}

/// Asks the kernel about its clock (`adjtimex` with nothing to set, which needs no privilege).
///
/// # Errors
///
/// When the kernel refuses, as a container's system call filter may (`EPERM`).
pub fn synchronisation() -> io::Result<ClockState> {
    // SAFETY: all fields of struct timex are integers, for which zeros are values.
    let mut clock: libc::timex = unsafe { MaybeUninit::zeroed().assume_init() };
    // Modes stay zero: read, set nothing.
    // SAFETY: a valid struct timex that is ours.
    let state = unsafe { libc::adjtimex(&raw mut clock) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(ClockState {
        synchronised: state != libc::TIME_ERROR,
        estimated_error: microseconds(clock.esterror),
        maximum_error: microseconds(clock.maxerror),
        leap: leap(state, clock.status),
    })
}

/// The state says it, except when it says "unsynchronised"; then the status still has the
/// announcement.
fn leap(state: libc::c_int, status: libc::c_int) -> Leap {
    match state {
        libc::TIME_INS => Leap::InsertToday,
        libc::TIME_DEL => Leap::DeleteToday,
        libc::TIME_OOP => Leap::InProgress,
        libc::TIME_WAIT => Leap::Over,
        libc::TIME_ERROR if status & libc::STA_INS != 0 => Leap::InsertToday,
        libc::TIME_ERROR if status & libc::STA_DEL != 0 => Leap::DeleteToday,
        _ => Leap::None,
    }
}

fn microseconds(count: libc::c_long) -> Duration {
    Duration::from_micros(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no adjtimex")]
    fn the_kernel_answers_and_its_answer_makes_sense() {
        let clock = synchronisation().unwrap();
        assert!(clock.maximum_error <= Duration::from_secs(17), "{clock:?}");
        assert!(
            clock.estimated_error <= Duration::from_secs(17),
            "{clock:?}"
        );
    }

    #[test]
    fn an_announced_leap_second_shows_even_on_an_unsynchronised_clock() {
        assert_eq!(leap(libc::TIME_OK, 0), Leap::None);
        assert_eq!(leap(libc::TIME_INS, libc::STA_INS), Leap::InsertToday);
        assert_eq!(leap(libc::TIME_ERROR, libc::STA_INS), Leap::InsertToday);
        assert_eq!(leap(libc::TIME_ERROR, libc::STA_DEL), Leap::DeleteToday);
        assert_eq!(leap(libc::TIME_ERROR, libc::STA_UNSYNC), Leap::None);
    }
}
