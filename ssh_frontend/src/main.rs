//! The program `otpgate-sshd`: the listener, or whatever a listener or monitor starts it as.

use std::process::ExitCode;

use ssh_frontend::role::Role;
use ssh_frontend::{as_user, cli, monitor, network};

fn main() -> ExitCode {
    match Role::from_arguments(std::env::args_os().skip(1)) {
        Some(Role::Monitor) => monitor::main(),
        Some(Role::Network) => network::main(),
        Some(Role::AsUser) => as_user::main(),
        None => cli::main(),
    }
}
