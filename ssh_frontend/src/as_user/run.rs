//! Becoming the user's program.
//!
//! What can fail before exec is answered as `Failed`. After `Ready` the program's own standard error is the
//! only way to say something, as with any other server.

mod terminal;

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use pam_ffi::signals;

use super::{Account, Outcome};
use crate::ipc::Socket;
use crate::protocol::Terminal;

/// What POSIX shells exit with when a program is not there.
const NOT_FOUND: u8 = 127;
/// And when it is there, but cannot be run.
const NOT_EXECUTABLE: u8 = 126;

/// What is to be run; see [`super::Job::Run`].
#[derive(Debug)]
pub struct Program {
    /// Whose it is.
    pub account: Account,
    /// The whole environment.
    pub environment: Vec<(String, Vec<u8>)>,
    /// A command line for the shell; none for a login shell.
    pub command: Option<Vec<u8>>,
    /// The one descriptor is a terminal of this kind.
    pub terminal: Option<Terminal>,
}

impl Program {
    /// Runs it on the descriptors, in a session of its own. Returns only if it could not be run: with the
    /// process's exit status.
    pub fn run(self, descriptors: Vec<OwnedFd>, socket: &Socket) -> ExitCode {
        if let Err(reason) = self.take_descriptors(descriptors) {
            return super::answer(socket, &Outcome::Failed(reason), None);
        }
        // The socket closes with exec. A program that nobody waits for is not begun.
        if socket.send(&Outcome::Ready, &[]).is_err() {
            return ExitCode::FAILURE;
        }
        self.enter_home();
        signals::restore_defaults();
        let error = self.command_line().exec();
        say(self.account.shell.as_path(), &error);
        ExitCode::from(match error.kind() {
            io::ErrorKind::NotFound => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        })
    }

    fn take_descriptors(&self, descriptors: Vec<OwnedFd>) -> Result<(), String> {
        // execvp would look for it in the user's PATH.
        if !self.account.shell.is_absolute() {
            return Err("a shell whose path is not absolute".to_owned());
        }
        rustix::process::setsid().map_err(|error| format!("beginning a session: {error}"))?;
        let standard = match (&self.terminal, descriptors.as_slice()) {
            (Some(kind), [terminal]) => {
                terminal::take(terminal, kind)?;
                [terminal, terminal, terminal]
            }
            (None, [input, output, error]) => [input, output, error],
            _ => return Err("descriptors that do not fit the program".to_owned()),
        };
        let [input, output, error] = standard;
        rustix::stdio::dup2_stdin(input)
            .and_then(|()| rustix::stdio::dup2_stdout(output))
            .and_then(|()| rustix::stdio::dup2_stderr(error))
            .map_err(|error| format!("taking the standard descriptors: {error}"))
    }

    /// A home that is missing keeps nobody out: they may be the one to mend it.
    fn enter_home(&self) {
        let home = &self.account.home;
        if let Err(error) = std::env::set_current_dir(home) {
            let error = plain(&error);
            let home = home.display();
            write_line(&format!(
                "Could not chdir to home directory {home}: {error}"
            ));
        }
    }

    /// A dash before its name makes a shell a login shell. Signals that were blocked, and SIGPIPE, which
    /// Rust ignores, are put back by exec.
    fn command_line(&self) -> Command {
        let shell = &self.account.shell;
        let name = shell.file_name().unwrap_or_default();
        let mut line = Command::new(shell);
        line.env_clear();
        let variables = self.environment.iter();
        line.envs(variables.map(|(name, value)| (name, OsStr::from_bytes(value))));
        match &self.command {
            None => {
                let mut login = b"-".to_vec();
                login.extend_from_slice(name.as_bytes());
                line.arg0(OsStr::from_bytes(&login));
            }
            Some(command) => {
                line.arg0(name).arg("-c").arg(OsStr::from_bytes(command));
            }
        }
        line
    }
}

fn say(program: &Path, error: &io::Error) {
    write_line(&format!("{}: {}", program.display(), plain(error)));
}

/// On the user's terminal or pipe; if they are gone, nobody is to be told.
fn write_line(line: &str) {
    let line = format!("{line}\n");
    let _ = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
}

/// The wording that people know from other programs, without Rust's number behind it.
fn plain(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(
        || error.to_string(),
        |number| Errno::from_raw(number).desc().to_owned(),
    )
}
