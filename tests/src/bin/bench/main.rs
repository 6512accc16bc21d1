//! `make bench`: what a login costs beside pam_google_authenticator, and what the server costs beside
//! Debian's sshd, in one run on one machine.
//!
//! The sides take turns, so that a noisy machine is noisy for both; ratios are what to look at.
//! `bench module many logins transfers memory` runs only the parts that are named.

mod figures;
mod logins;
mod many;
mod memory;
mod module;
mod servers;
mod transfers;

use std::env;

use tests::sandbox;

fn main() {
    let wanted: Vec<String> = env::args().skip(1).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    if is_wanted("module") {
        sandbox::run(|_| module::bench());
    }
    if is_wanted("many") {
        sandbox::run(|_| many::bench());
    }
    if is_wanted("logins") {
        sandbox::run(logins::bench);
    }
    if is_wanted("transfers") {
        sandbox::run(transfers::bench);
    }
    if is_wanted("memory") {
        sandbox::run(memory::bench);
    }
}
