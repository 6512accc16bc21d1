//! Codes by time die with the clock: a minute off, and every one of them is refused.

use std::io;

use pam_ffi::clock::ClockState;

use super::finding::Finding;

const PLACE: &str = "system clock";
const CURE: &str = "timedatectl set-ntp true    # or: apt install chrony && systemctl enable --now chrony (Red Hat: chronyd)";

/// Judges what `pam_ffi::clock::synchronisation()` said.
#[must_use]
pub fn check(clock: &io::Result<ClockState>) -> Vec<Finding> {
    match clock {
        Ok(state) if state.synchronised => Vec::new(),
        Ok(state) => vec![Finding::warning(
            "clock-unsynchronised",
            PLACE,
            format!(
                "Nothing keeps this clock right (it may be {:.1} s off by now). When it is a minute off, every time-based code is refused, for everybody at once.",
                state.maximum_error.as_secs_f64()
            ),
            CURE,
        )],
        Err(error) => vec![Finding::warning(
            "clock-unknown",
            PLACE,
            format!(
                "The kernel does not say whether the clock is synchronised ({error}); in a container the host keeps it. Time-based codes die with it."
            ),
            "chronyc tracking || timedatectl timesync-status    # on the machine that keeps the clock",
        )],
    }
}
