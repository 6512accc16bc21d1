//! `otpgate askpass --run COMMAND`: the two variables that make ssh ask us, for one command.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::PROGRAM;
use crate::error::CliError;

/// Becomes the command.
///
/// # Errors
/// When it cannot be started, or this program has no link named [`PROGRAM`] beside it.
pub fn run(words: &[OsString]) -> Result<u8, CliError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(CliError::new("--run: takes a command"));
    };
    let askpass = askpass()?;
    let error = Command::new(program)
        .args(arguments)
        .env("SSH_ASKPASS", askpass)
        // Also where there is a terminal, or no DISPLAY.
        .env("SSH_ASKPASS_REQUIRE", "force")
        .exec();
    let program = program.to_string_lossy();
    Err(CliError::new(match error.kind() {
        io::ErrorKind::NotFound => format!("{program}: there is no such command"),
        _ => format!("{program}: cannot start: {error}"),
    }))
}

fn askpass() -> Result<PathBuf, CliError> {
    let own = env::current_exe()?;
    let link = own.with_file_name(PROGRAM);
    if link.exists() {
        return Ok(link);
    }
    Err(CliError::new(format!(
        "{}: is not there, and ssh starts its askpass without arguments; make it: ln -s {} {}",
        link.display(),
        own.display(),
        link.display()
    )))
}
