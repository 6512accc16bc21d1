//! What is done with a user's identity, in a process of its own that has no other.
//!
//! The monitor starts it (`otpgate-sshd --role=as-user`), sends one [`Task`], and gets one [`Outcome`].
//! Everything under a user's control (their home, their keys, their shell) is touched only here: after
//! groups, gid and uid are the user's for good. Started without root it stays who it is.
//!
//! | side | rooms |
//! | --- | --- |
//! | the monitor's | [`helper`] |
//! | the process's | [`become_user`], then [`authorized_keys`], [`run`], [`signal`] or [`connect`] |

pub mod authorized_keys;
pub mod become_user;
pub mod connect;
pub mod helper;
pub mod run;
pub mod signal;

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::ipc::{MOST_DESCRIPTORS, Socket};
use crate::protocol::{ConnectFailure, Terminal};
use crate::role;

pub use helper::{Helper, start};

/// Whose identity, from the password database.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Account {
    /// The name as the database has it.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell; `/bin/sh` where the database has none.
    pub shell: PathBuf,
}

/// What to do, as whom.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    /// As whom.
    pub account: Account,
    /// With these supplementary groups; none: those of the group database.
    pub groups: Option<Vec<u32>>,
    /// What.
    pub job: Job,
}

/// What to do.
#[derive(Debug, Serialize, Deserialize)]
pub enum Job {
    /// Look for a key in the user's authorized_keys. Answered by `Key`. For a name that nobody has, the
    /// monitor asks with an account that owns nothing, so that both take the same steps.
    FindKey {
        /// The file, relative to the home directory or absolute.
        file: PathBuf,
        /// The key's type.
        algorithm: String,
        /// The key in SSH's wire format.
        key: Vec<u8>,
        /// Where the client is, for `from=`.
        source: IpAddr,
    },
    /// Become a program, on the descriptors that come beside the task: standard input, output and error, or
    /// one terminal. Answered, before the program begins, by `Ready`.
    Run {
        /// The whole environment.
        environment: Vec<(String, Vec<u8>)>,
        /// A command line for the shell; none for a login shell.
        command: Option<Vec<u8>>,
        /// The one descriptor is a terminal of this kind.
        terminal: Option<Terminal>,
    },
    /// Send a signal to a process group. Answered by `Ready`.
    Signal {
        /// The process group.
        group: i32,
        /// Its name without SIG.
        name: String,
    },
    /// Connect by TCP. Answered by `Connected` with the descriptor, or `NotConnected`.
    Connect {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// What the file says about the key.
    Key(KeyVerdict),
    /// Done, or about to begin.
    Ready,
    /// The connection stands.
    Connected,
    /// It does not.
    NotConnected(ConnectFailure),
    /// It could not be done, and why.
    Failed(String),
}

/// What authorized_keys says about a key.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub enum KeyVerdict {
    /// It is there, with these limits.
    Found(KeyLimits),
    /// It is not there.
    NotFound,
    /// It is there, but with an option that is not understood or does not hold (which one), or the file
    /// must not be trusted (why).
    Refused(String),
}

/// What a key's options take away, or force.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct KeyLimits {
    /// `command="..."`: run this whatever is asked for.
    pub command: Option<String>,
    /// `no-pty`, `restrict`.
    pub no_terminal: bool,
    /// `no-port-forwarding`, `restrict`.
    pub no_forwarding: bool,
    /// `permitopen="host:port"`: only these, if any are given.
    pub permit_open: Vec<String>,
}

/// The process's whole life: takes the task from its socket, becomes the user, does it, answers there.
pub fn main() -> ExitCode {
    let Ok((_, socket)) = role::inherited() else {
        return ExitCode::FAILURE;
    };
    // Without a task there is nobody left to tell.
    let Ok(Some((task, descriptors))) = socket.receive::<Task>(MOST_DESCRIPTORS) else {
        return ExitCode::FAILURE;
    };
    let Task {
        account,
        groups,
        job,
    } = task;
    if let Err(reason) = become_user::become_user(&account, groups.as_deref()) {
        return answer(&socket, &Outcome::Failed(reason), None);
    }
    match job {
        Job::Run {
            environment,
            command,
            terminal,
        } => {
            let program = run::Program {
                account,
                environment,
                command,
                terminal,
            };
            program.run(descriptors, &socket)
        }
        job => {
            // Whatever hangs below a home ends with the monitor. After the change of identity, which
            // makes the kernel forget this.
            let kill = rustix::process::Signal::KILL;
            let _ = rustix::process::set_parent_process_death_signal(Some(kill));
            let (outcome, descriptor) = perform(&account, job);
            answer(&socket, &outcome, descriptor)
        }
    }
}

/// Does a job that ends with its answer.
fn perform(account: &Account, job: Job) -> (Outcome, Option<OwnedFd>) {
    match job {
        Job::FindKey {
            file,
            algorithm,
            key,
            source,
        } => {
            let key = authorized_keys::OfferedKey::new(&algorithm, &key);
            let verdict = authorized_keys::find(account, &file, &key, source);
            (Outcome::Key(verdict), None)
        }
        Job::Signal { group, name } => match signal::send(group, &name) {
            Ok(()) => (Outcome::Ready, None),
            Err(reason) => (Outcome::Failed(reason), None),
        },
        Job::Connect { host, port } => match connect::connect(&host, port) {
            Ok(stream) => (Outcome::Connected, Some(stream.into())),
            Err(_) => (Outcome::NotConnected(ConnectFailure::Failed), None),
        },
        Job::Run { .. } => (Outcome::Failed("a program is not a job".to_owned()), None),
    }
}

/// Sends the one answer. A monitor that is gone is told nothing.
fn answer(socket: &Socket, outcome: &Outcome, descriptor: Option<OwnedFd>) -> ExitCode {
    let beside: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
    match socket.send(outcome, &beside) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
