//! Log lines of a whole process, as a PAM application writes them (`syslog(3)`, AUTHPRIV).
//!
//! A module never opens the log: it writes through its handle ([`Module::syslog`](crate::Module::syslog)),
//! for the log belongs to the host.

use std::ffi::{CStr, CString};

use crate::codes::Priority;

/// Gives this process's lines their name and process id. The connection is made now, so that a later
/// chroot does not matter.
pub fn open(name: &'static CStr) {
    let options = libc::LOG_PID | libc::LOG_NDELAY;
    // SAFETY: the name lives as long as the process, as openlog wants it.
    unsafe { libc::openlog(name.as_ptr(), options, libc::LOG_AUTHPRIV) };
}

/// Writes one line; control characters in it are replaced.
pub fn write(priority: Priority, message: &str) {
    let line: Vec<u8> = printable(message).into_bytes();
    // `printable` left no NUL, so this cannot fail.
    let line = CString::new(line).unwrap_or_default();
    let priority = libc::LOG_AUTHPRIV | priority.to_raw();
    // SAFETY: the format takes exactly one string, and both end with a NUL.
    unsafe { libc::syslog(priority, c"%s".as_ptr(), line.as_ptr()) };
}

/// The message with everything replaced that is not meant to be seen: control characters, line and
/// paragraph separators, and the marks that turn the direction of text.
#[must_use]
pub fn printable(message: &str) -> String {
    let hidden =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    message.replace(hidden, "?")
}
