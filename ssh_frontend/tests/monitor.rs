//! The monitor's contract, from the chair of its network process: what an honest one gets, and what one
//! gets that was taken over.

// clippy.toml allows these in test functions, but not in what they call.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

#[path = "monitor/desk.rs"]
mod desk;

#[path = "monitor/attacks.rs"]
mod attacks;
#[path = "monitor/connects.rs"]
mod connects;
#[path = "monitor/logins.rs"]
mod logins;
#[path = "monitor/processes.rs"]
mod processes;
#[path = "monitor/sessions.rs"]
mod sessions;
