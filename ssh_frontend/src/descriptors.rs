//! What no process of a connection inherits.
//!
//! Everything that this server opens is closed on exec. A PAM module in the monitor, or whoever started
//! the server, may have been less careful, and what root left open would be a stranger's or a user's.

use std::fs;
use std::io;
use std::os::fd::RawFd;

/// Closes everything but the standard descriptors. Only for the very beginning of a process, when nothing
/// in it owns a descriptor.
///
/// # Errors
/// When `/proc` does not say what is open.
pub fn close_leaked() -> io::Result<()> {
    let open = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect::<Vec<_>>();
    for descriptor in open {
        // The directory's own is among them, closed by now: an error that is none.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}
