//! The monitor's side: starting an as-user process, and hearing its one answer in time.
//!
//! What the process does may hang for as long as the user likes (a home on a dead file server), and the
//! monitor waits for nobody for ever.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Job, Outcome, Task};
use crate::ipc::{IpcError, Socket};
use crate::role::Role;

/// How long an answer may take: files of the user's, on slow disks too.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long that to [`Job::Connect`] may take: the other host, and the name service before it.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(30);
/// How long a process that was killed may take to go. One that the kernel cannot end is left behind.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

/// An as-user process that has its task.
#[derive(Debug)]
pub struct Helper {
    child: Child,
    socket: Socket,
    /// It becomes the user's program with its answer, and lives on.
    becomes_program: bool,
}

/// Starts a process for one task, with copies of these descriptors. To be followed by
/// [`Helper::outcome`].
///
/// # Errors
/// When the system has no room for it, or the task is too long for a message.
pub fn start(task: &Task, descriptors: &[BorrowedFd<'_>]) -> io::Result<Helper> {
    let (ours, theirs) = Socket::pair().map_err(io::Error::other)?;
    let shown = format!("otpgate-sshd: as {}", task.account.name);
    let child = Role::AsUser.start(&shown, None, theirs)?;
    Helper::give(child, ours, task, descriptors)
}

impl Helper {
    /// Gives a process that waits at the other end of the socket its task. It is ended if that fails.
    ///
    /// # Errors
    /// When the task does not go through: it is too long, or the process gone.
    pub fn give(
        child: Child,
        socket: Socket,
        task: &Task,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Self> {
        let mut helper = Self {
            child,
            socket,
            becomes_program: matches!(task.job, Job::Run { .. }),
        };
        match helper.socket.send(task, descriptors) {
            Ok(()) => Ok(helper),
            Err(error) => {
                helper.end();
                Err(io::Error::other(error))
            }
        }
    }

    /// Waits for the answer: [`PATIENCE`], or [`CONNECT_PATIENCE`] where it fits. One descriptor comes
    /// with [`Outcome::Connected`], none with any other. The process is then gone, and its status
    /// collected; but not after [`Outcome::Ready`] to [`Job::Run`]: see [`Helper::into_child`].
    ///
    /// # Errors
    /// Why there is no answer, for the log. The process is gone then too.
    pub fn outcome(&mut self, patience: Duration) -> Result<(Outcome, Vec<OwnedFd>), String> {
        let heard = self.hear(patience);
        let lives_on = self.becomes_program && matches!(heard, Ok((Outcome::Ready, _)));
        if !lives_on {
            self.end();
        }
        heard
    }

    /// As [`Helper::outcome`], but none while there is no answer: the process goes on. The socket becomes
    /// readable when there is one.
    pub fn outcome_if_any(&mut self) -> Option<Result<(Outcome, Vec<OwnedFd>), String>> {
        match poll_until(&self.socket, Instant::now()) {
            Ok(false) => None,
            Ok(true) | Err(_) => Some(self.outcome(Duration::ZERO)),
        }
    }

    /// The user's program, after `Ready`. Its id is also that of its session and process group.
    #[must_use]
    pub fn into_child(self) -> Child {
        self.child
    }

    fn hear(&self, patience: Duration) -> Result<(Outcome, Vec<OwnedFd>), String> {
        let heard = poll_until(&self.socket, Instant::now() + patience)
            .map_err(|error| format!("waiting for a process of the user's: {error}"))?;
        if !heard {
            return Err(format!(
                "a process of the user's did not answer within {} s",
                patience.as_secs()
            ));
        }
        let heard = match self.socket.receive::<Outcome>(1) {
            // It did not even read its task.
            Err(IpcError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => None,
            heard => heard.map_err(|error| error.to_string())?,
        };
        let (outcome, descriptors) =
            heard.ok_or("a process of the user's ended without an answer")?;
        if descriptors.len() != usize::from(matches!(outcome, Outcome::Connected)) {
            return Err("a process of the user's sent descriptors that do not fit".to_owned());
        }
        Ok((outcome, descriptors))
    }

    /// Kills it without waiting, for somebody who has several to [`Helper::end`]. Does nothing to one that
    /// is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Kills it, if it is not gone by itself, and collects its status.
    pub fn end(&mut self) {
        self.kill();
        let gone = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
            .and_then(|process| poll_until(&process, Instant::now() + LAST_MOMENTS));
        // Before Linux 5.3 there are no such descriptors: then it is waited for, come what may.
        if gone.unwrap_or(true) {
            let _ = self.child.wait();
        }
    }
}

/// Where the answer comes.
impl AsFd for Helper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether the descriptor has something to say before the deadline.
fn poll_until(descriptor: &impl AsFd, deadline: Instant) -> Result<bool, rustix::io::Errno> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| rustix::io::Errno::INVAL)?;
        let mut watched = [PollFd::new(descriptor, PollFlags::IN)];
        match poll(&mut watched, Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            heard => return heard.map(|ready| ready > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::as_user::Account;
    use crate::protocol::ConnectFailure;
    use std::process::{Command, Stdio};

    fn task(job: Job) -> Task {
        let account = Account {
            name: "somebody".to_owned(),
            uid: 1,
            gid: 1,
            home: "/".into(),
            shell: "/bin/sh".into(),
        };
        Task {
            account,
            groups: None,
            job,
        }
    }

    fn signal() -> Job {
        Job::Signal {
            group: 1,
            name: "TERM".to_owned(),
        }
    }

    fn program() -> Job {
        Job::Run {
            environment: vec![],
            command: None,
            terminal: None,
        }
    }

    /// A helper whose process is `sleep`, and the end of the socket that the test plays.
    fn helper(job: Job) -> (Helper, Socket) {
        let (ours, theirs) = Socket::pair().unwrap();
        let child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let helper = Helper::give(child, ours, &task(job), &[]).unwrap();
        (helper, theirs)
    }

    fn is_gone(helper: Helper) -> bool {
        let mut child = helper.into_child();
        let gone = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        let _ = child.wait();
        gone
    }

    #[test]
    fn an_answer_is_heard_and_the_process_collected() {
        let (mut helper, process) = helper(signal());
        let (task, _) = process.receive::<Task>(3).unwrap().unwrap();
        assert!(matches!(task.job, Job::Signal { group: 1, .. }));
        process.send(&Outcome::Ready, &[]).unwrap();
        let (outcome, descriptors) = helper.outcome(PATIENCE).unwrap();
        assert!(matches!(outcome, Outcome::Ready));
        assert!(descriptors.is_empty());
        assert!(is_gone(helper));
    }

    #[test]
    fn an_answer_that_is_not_there_yet_is_not_waited_for() {
        let (mut helper, process) = helper(signal());
        let began = Instant::now();
        assert!(helper.outcome_if_any().is_none());
        assert!(began.elapsed() < Duration::from_secs(1));
        process.send(&Outcome::Ready, &[]).unwrap();
        assert!(matches!(
            helper.outcome_if_any(),
            Some(Ok((Outcome::Ready, _)))
        ));
        assert!(is_gone(helper));
    }

    #[test]
    fn silence_ends_with_the_patience_and_the_process_with_it() {
        let (mut helper, _process) = helper(program());
        let began = Instant::now();
        let error = helper.outcome(Duration::from_millis(30)).unwrap_err();
        assert!(error.contains("did not answer"), "{error}");
        assert!(began.elapsed() < PATIENCE);
        assert!(is_gone(helper));
    }

    #[test]
    fn a_process_that_ends_without_an_answer_is_heard_at_once() {
        let (mut helper, process) = helper(signal());
        drop(process);
        let error = helper.outcome(PATIENCE).unwrap_err();
        assert!(error.contains("without an answer"), "{error}");
        assert!(is_gone(helper));
    }

    #[test]
    fn a_program_lives_on_after_ready_and_not_after_failure() {
        let (mut ready, process) = helper(program());
        process.send(&Outcome::Ready, &[]).unwrap();
        ready.outcome(PATIENCE).unwrap();
        assert!(!is_gone(ready));
        let (mut failed, process) = helper(program());
        let outcome = Outcome::Failed("no".to_owned());
        process.send(&outcome, &[]).unwrap();
        failed.outcome(PATIENCE).unwrap();
        assert!(is_gone(failed));
    }

    #[test]
    fn a_descriptor_comes_with_connected_and_with_nothing_else() {
        let cases = [
            (Outcome::Connected, 1, true),
            (Outcome::Connected, 0, false),
            (Outcome::Ready, 1, false),
            (Outcome::NotConnected(ConnectFailure::Failed), 0, true),
            (Outcome::Connected, 2, false),
        ];
        for (outcome, descriptors, accepted) in cases {
            let (mut helper, process) = helper(signal());
            let beside = vec![process.as_fd(); descriptors];
            process.send(&outcome, &beside).unwrap();
            let heard = helper.outcome(PATIENCE);
            assert_eq!(heard.is_ok(), accepted, "{outcome:?}, {descriptors}");
            assert!(is_gone(helper));
        }
    }

    #[test]
    fn a_task_that_is_too_long_is_an_error_and_leaves_no_process() {
        let (ours, _theirs) = Socket::pair().unwrap();
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Pid::from_child(&child);
        let job = Job::Connect {
            host: "x".repeat(crate::ipc::LONGEST),
            port: 1,
        };
        assert!(Helper::give(child, ours, &task(job), &[]).is_err());
        assert!(rustix::process::test_kill_process(process).is_err());
    }
}
