//! PuTTY's plink and psftp, on a terminal: `-pw` and `-batch` cannot answer two prompts.

use super::{ClientRun, Login, on_a_terminal};
use std::fs;
use std::process::Command;

/// Runs `command` on the server.
pub fn plink(login: &Login, command: &str) -> ClientRun {
    let mut plink = putty("plink", login);
    plink
        .arg("-no-antispoof")
        .arg(login.destination())
        .arg(command);
    login.run(&mut on_a_terminal(&plink))
}

/// Runs psftp's `commands` (one a line).
pub fn psftp(login: &Login, commands: &str) -> ClientRun {
    let batch = login.sandbox.scratch().join("batch");
    fs::write(&batch, commands).unwrap();
    let mut psftp = putty("psftp", login);
    psftp.arg("-b").arg(batch).arg(login.destination());
    login.run(&mut on_a_terminal(&psftp))
}

pub(super) fn putty(program: &str, login: &Login) -> Command {
    let mut command = Command::new(program);
    command.args([
        "-P",
        &login.server.port.to_string(),
        "-hostkey",
        &login.server.fingerprint,
    ]);
    command
}
