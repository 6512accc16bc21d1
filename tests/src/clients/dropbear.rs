//! Dropbear's dbclient, on a terminal.

use super::{ClientRun, Login, on_a_terminal};
use std::process::Command;

/// Runs `command` on the server.
pub fn dbclient(login: &Login, command: &str) -> ClientRun {
    let mut dbclient = Command::new("dbclient");
    // -y: it keeps known hosts in root's home, which is the sandbox's.
    dbclient.args([
        "-y",
        "-p",
        &login.server.port.to_string(),
        &login.destination(),
        command,
    ]);
    login.run(&mut on_a_terminal(&dbclient))
}
