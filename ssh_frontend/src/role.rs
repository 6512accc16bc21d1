//! Every process of the server is this program again, told by its first argument what to be.
//!
//! Started anew rather than forked: its memory layout is its own, and it inherits what it is given and
//! nothing else. What it is given are its standard descriptors.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::SigSet;

use crate::descriptors;
use crate::ipc::Socket;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Standard input: the TCP connection. Standard output: the socket to the listener.
    Monitor,
    /// Standard input: the TCP connection. Standard output: the socket to the monitor.
    Network,
    /// Standard output: the socket to the monitor.
    AsUser,
}

impl Role {
    const ALL: [(&'static str, Self); 3] = [
        ("--role=monitor", Self::Monitor),
        ("--role=network", Self::Network),
        ("--role=as-user", Self::AsUser),
    ];

    /// The role that the arguments name, if they name one: the one argument.
    pub fn from_arguments(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> Option<Self> {
        let first = arguments.next()?;
        if arguments.next().is_some() {
            return None;
        }
        Self::ALL
            .iter()
            .find(|(name, _)| *name == first)
            .map(|(_, role)| *role)
    }

    /// Starts a process in this role. Standard error stays what it is, the environment is empty. `shown` is
    /// what `ps` shows.
    ///
    /// # Errors
    /// When the system has no room for it.
    pub fn start(
        self,
        shown: &str,
        connection: Option<OwnedFd>,
        socket: Socket,
    ) -> io::Result<Child> {
        let argument = Self::ALL
            .iter()
            .find(|(_, role)| *role == self)
            .map_or("", |(name, _)| name);
        let mut command = Command::new("/proc/self/exe");
        std::os::unix::process::CommandExt::arg0(&mut command, shown);
        command.arg(argument).env_clear().current_dir("/");
        if self == Self::Monitor {
            // Ctrl-C at the listener's terminal is meant for the listener: connections go on. What a monitor
            // starts is in its group; a program leads a session of its own, so it must not lead a group yet.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        command.stdin(connection.map_or_else(Stdio::null, Stdio::from));
        command.stdout(Stdio::from(socket.into_fd()));
        command.spawn()
    }
}

/// The connection and the socket that this process was started with, and nothing else that was open. For
/// the very beginning of a process.
///
/// # Errors
/// When there are no descriptors left, or `/proc` does not say what is open.
pub fn inherited() -> io::Result<(OwnedFd, Socket)> {
    descriptors::close_leaked()?;
    // The listener blocks the signals that it reads from a descriptor, and a blocked signal stays so over
    // exec, down to the programs of users.
    SigSet::all().thread_unblock()?;
    let connection = io::stdin().as_fd().try_clone_to_owned()?;
    let socket = io::stdout().as_fd().try_clone_to_owned()?;
    // What is printed by mistake must not reach the other end.
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok((connection, Socket::from_fd(socket)))
}
