//! `make bench`: what a login costs beside pam_google_authenticator, and what the server costs beside
//! Debian's sshd, in one run on one machine.
//!
//! The sides take turns, so that a noisy machine is noisy for both; ratios are what to look at.
//! `bench module cycles races many logins transfers memory` runs only the parts that are named.

mod cycles;
mod figures;
mod logins;
mod many;
mod memory;
mod module;
mod place;
mod plot;
mod races;
mod report;
mod servers;
mod transfers;

use std::env;

use report::Row;
use tests::sandbox::{self, Sandbox};

/// A part of the run: prints its own tables, and returns what the goals are about.
type Part = fn(&Sandbox) -> Vec<Row>;

fn main() {
    let wanted: Vec<String> = env::args().skip(1).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    let parts: [(&str, Part); 7] = [
        ("module", |_| module::bench()),
        ("cycles", |_| cycles::bench()),
        ("races", |_| races::bench()),
        ("many", |_| many::bench()),
        ("logins", logins::bench),
        ("transfers", transfers::bench),
        ("memory", memory::bench),
    ];
    let mut rows = Vec::new();
    for (name, bench) in parts {
        if is_wanted(name) {
            rows.extend(sandbox::run(bench));
        }
    }
    report::publish(&rows);
}
