//! Ports that have to be known before somebody listens on them.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the kernel gives out by itself, so that another test's server or connection takes none of them.
const FIRST: u32 = 10_000;
const COUNT: u32 = 20_000;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 that nobody listens on, and that this process has not been given before.
pub fn free_port() -> u16 {
    // Programs that run at the same time begin far from each other.
    let begin = process::id().wrapping_mul(97);
    loop {
        let nth = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + nth).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
