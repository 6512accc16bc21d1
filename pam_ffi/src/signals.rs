//! Signals as a program should find them when it starts.

use std::ffi::c_int;

/// Gives every signal its default action again, so that a program does not inherit what the server was
/// started with (nohup, a shell's background job): exec keeps ignored signals ignored, and Ctrl-C would do
/// nothing; with SIGCHLD ignored the server's own children would vanish unseen.
///
/// Not SIGPIPE: Rust's runtime ignores it, and gives it back to what it starts.
pub fn restore_defaults() {
    for signal in (1..=libc::SIGRTMAX()).filter(|signal| *signal != libc::SIGPIPE) {
        restore(signal);
    }
}

/// SIGKILL and SIGSTOP, and the two that the C library keeps for itself, refuse; they have no other action.
fn restore(signal: c_int) {
    // SAFETY: the default action is no function of ours; nothing is installed that could be called.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}
