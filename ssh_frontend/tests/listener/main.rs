//! The listener with scripted monitors: this program is started again as both.
//!
//! A listener starts its monitors from `/proc/self/exe`, so it runs here in a process of this program, and
//! what it starts is [`monitor`]: it does what the client tells it, line by line.

// A test throughout, which clippy cannot see without the usual harness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod cases;
mod monitor;
mod server;

use std::path::Path;
use std::process::ExitCode;

use ssh_frontend::listener;
use ssh_frontend::log::Destination;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--role=monitor"] => monitor::main(),
        ["serve", config] => match listener::begin(Some(Path::new(config)), Destination::Stderr) {
            Ok(listener) => listener.run(),
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        ["--list", ..] => {
            for (name, _) in cases::ALL {
                println!("{name}: test");
            }
            ExitCode::SUCCESS
        }
        _ => run(&arguments),
    }
}

/// Runs the cases whose names hold one of the words; all, if there are none.
fn run(arguments: &[String]) -> ExitCode {
    let words: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    for (name, case) in cases::ALL {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            println!("test {name} ...");
            case();
            println!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}
