//! The as-user process as the monitor sees it: the real program, a task, an answer, and who it became.
//!
//! As root these tests become another user. Without root they stay who they are, and what needs root is
//! left out; under `CI` that is a failure.

// clippy.toml allows these in test functions, but not in what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod connections;
mod identity;
mod keys;
mod programs;
mod signals;
mod terminals;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use ssh_frontend::as_user::helper::{CONNECT_PATIENCE, PATIENCE};
use ssh_frontend::as_user::{Account, Helper, Job, KeyVerdict, Outcome, Task};
use ssh_frontend::ipc::Socket;
use ssh_frontend::protocol::{ConnectFailure, Size, Terminal};
use tempfile::TempDir;

/// A user that no password database has to know.
const SOMEBODY: u32 = 54_321;
const THEIR_GROUP: u32 = 54_322;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the test can go on; where it cannot, CI must hear of it.
fn has_root() -> bool {
    let demanded = std::env::var_os("CI").as_deref() == Some(OsStr::new("true"));
    assert!(is_root() || !demanded, "this test needs root");
    is_root()
}

/// Somebody to become, with a home of their own: another user for root, else who we are.
struct User {
    home: TempDir,
    account: Account,
}

impl User {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (uid, gid) = if is_root() {
            (SOMEBODY, THEIR_GROUP)
        } else {
            let gid = rustix::process::getgid().as_raw();
            (rustix::process::getuid().as_raw(), gid)
        };
        chown(home.path(), Some(uid), Some(gid)).unwrap();
        let account = Account {
            name: "nobody-knows-them".to_owned(),
            uid,
            gid,
            home: home.path().to_owned(),
            shell: "/bin/sh".into(),
        };
        Self { home, account }
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(self.account.uid), Some(self.account.gid)).unwrap();
        path
    }

    fn asks(&self, job: Job) -> Outcome {
        ask(self.account.clone(), job)
    }
}

/// As `Role::start`, but the program that is tested rather than this one.
fn spawn(task: &Task, descriptors: &[BorrowedFd<'_>]) -> Helper {
    let program = Command::new(env!("CARGO_BIN_EXE_otpgate-sshd"));
    spawn_by(program, task, descriptors)
}

fn spawn_by(mut command: Command, task: &Task, descriptors: &[BorrowedFd<'_>]) -> Helper {
    let (ours, theirs) = Socket::pair().unwrap();
    command.arg("--role=as-user").env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(theirs.into_fd());
    let child = command.spawn().unwrap();
    // The command holds the other end: as long as it does, nobody hears the process end.
    drop(command);
    Helper::give(child, ours, task, descriptors).unwrap()
}

fn ask(account: Account, job: Job) -> Outcome {
    let mut helper = spawn(
        &Task {
            account,
            groups: None,
            job,
        },
        &[],
    );
    helper.outcome(PATIENCE).unwrap().0
}

fn program(command: Option<&str>, terminal: Option<Terminal>) -> Job {
    Job::Run {
        environment: vec![("PATH".to_owned(), b"/usr/bin:/bin".to_vec())],
        command: command.map(|text| text.as_bytes().to_vec()),
        terminal,
    }
}

/// What a program said and how it ended.
struct Ended {
    output: String,
    error: String,
    status: ExitStatus,
}

/// Runs a program on three pipes, to its end.
fn run(account: &Account, job: Job, input: &str) -> Ended {
    let (stdin, mut to) = io::pipe().unwrap();
    let (mut output, stdout) = io::pipe().unwrap();
    let (mut error, stderr) = io::pipe().unwrap();
    let account = account.clone();
    let beside = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let mut helper = spawn(
        &Task {
            account,
            groups: None,
            job,
        },
        &beside,
    );
    drop((stdin, stdout, stderr));
    let (outcome, _) = helper.outcome(PATIENCE).unwrap();
    assert!(matches!(outcome, Outcome::Ready), "{outcome:?}");
    to.write_all(input.as_bytes()).unwrap();
    drop(to);
    let mut texts = [String::new(), String::new()];
    output.read_to_string(&mut texts[0]).unwrap();
    error.read_to_string(&mut texts[1]).unwrap();
    let status = helper.into_child().wait().unwrap();
    let [output, error] = texts;
    Ended {
        output,
        error,
        status,
    }
}

fn run_command(account: &Account, command: &str) -> Ended {
    run(account, program(Some(command), None), "")
}

fn terminal() -> Terminal {
    Terminal {
        term: "xterm".to_owned(),
        size: Size {
            columns: 132,
            rows: 50,
            x_pixels: 0,
            y_pixels: 0,
        },
        // VINTR is Ctrl-X, ECHO is off, an opcode that nobody knows, the speed.
        modes: vec![(1, 0x18), (53, 0), (200, 5), (129, 38_400)],
    }
}

fn find_key(file: impl Into<PathBuf>) -> Job {
    Job::FindKey {
        file: file.into(),
        algorithm: "ssh-ed25519".to_owned(),
        key: b"a key".to_vec(),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

#[test]
fn a_process_that_is_told_nothing_or_nonsense_ends_without_an_answer() {
    for nonsense in [None, Some("no task")] {
        let (ours, theirs) = Socket::pair().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_otpgate-sshd"));
        command.arg("--role=as-user").stdin(Stdio::null());
        let mut child = command.stdout(theirs.into_fd()).spawn().unwrap();
        drop(command);
        match nonsense {
            Some(text) => {
                ours.send(&text, &[]).unwrap();
                assert!(ours.receive::<Outcome>(1).unwrap().is_none());
            }
            None => drop(ours),
        }
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }
}
