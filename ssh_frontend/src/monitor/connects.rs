//! Connections for `direct-tcpip` channels that are being made: each by a process of the user's, all of them
//! at once, and nobody waits for a host that does not answer.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::as_user::Outcome;
use crate::as_user::helper::{CONNECT_PATIENCE, Helper};
use crate::protocol::{ConnectFailure, MOST_FORWARDS};

/// All of them, of one SSH connection. Dropped, their processes end.
#[derive(Debug, Default)]
pub struct Connects(Vec<Connect>);

#[derive(Debug)]
struct Connect {
    channel: u32,
    helper: Helper,
    deadline: Instant,
}

/// What became of one.
#[derive(Debug)]
pub enum End {
    /// It stands.
    Connected(OwnedFd),
    /// The host is not to be had.
    NotConnected(ConnectFailure),
    /// Nobody tried, or said how it went: why, for the log.
    Lost(String),
}

impl Connects {
    /// Whether there are as many as an honest network process asks for.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MOST_FORWARDS as usize
    }

    /// Watches a process that connects for this channel.
    pub fn add(&mut self, channel: u32, helper: Helper) {
        self.0.push(Connect {
            channel,
            helper,
            deadline: Instant::now() + CONNECT_PATIENCE,
        });
    }

    /// What becomes readable when there is something to [`Connects::collect`].
    pub fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|connect| connect.helper.as_fd())
    }

    /// How long until there is something to collect anyway. None: there is nothing to wait for.
    pub fn patience(&self) -> Option<Duration> {
        let first = self.0.iter().map(|connect| connect.deadline).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// Those that have ended, by channel. Does not wait.
    pub fn collect(&mut self) -> Vec<(u32, End)> {
        let mut ended = Vec::new();
        self.0.retain_mut(|connect| match connect.end() {
            Some(end) => {
                ended.push((connect.channel, end));
                false
            }
            None => true,
        });
        ended
    }
}

impl Connect {
    fn end(&mut self) -> Option<End> {
        match self.helper.outcome_if_any() {
            Some(Ok((outcome, descriptors))) => Some(End::of(outcome, descriptors)),
            Some(Err(reason)) => Some(End::Lost(reason)),
            None if Instant::now() >= self.deadline => {
                self.helper.end();
                let seconds = CONNECT_PATIENCE.as_secs();
                Some(End::Lost(format!("no answer within {seconds} s")))
            }
            None => None,
        }
    }
}

impl End {
    fn of(outcome: Outcome, descriptors: Vec<OwnedFd>) -> Self {
        match (outcome, descriptors.into_iter().next()) {
            (Outcome::Connected, Some(connection)) => Self::Connected(connection),
            (Outcome::NotConnected(failure), _) => Self::NotConnected(failure),
            (Outcome::Failed(reason), _) => Self::Lost(reason),
            (other, _) => Self::Lost(format!("an answer that does not fit: {other:?}")),
        }
    }
}

impl Drop for Connects {
    /// All are killed before the first is waited for.
    fn drop(&mut self) {
        for connect in &mut self.0 {
            connect.helper.kill();
        }
        for connect in &mut self.0 {
            connect.helper.end();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, but not in what they call.
mod tests {
    use super::*;
    use crate::as_user::{Account, Job, Task};
    use crate::ipc::Socket;
    use rustix::process::{Pid, test_kill_process};
    use std::process::Command;

    /// A process that is `sleep`, the end of its socket that the test plays, and its id.
    fn helper() -> (Helper, Socket, Pid) {
        let (ours, theirs) = Socket::pair().unwrap();
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = Pid::from_child(&child);
        let account = Account {
            name: "somebody".to_owned(),
            uid: 1,
            gid: 1,
            home: "/".into(),
            shell: "/bin/sh".into(),
        };
        let job = Job::Connect {
            host: "inner".to_owned(),
            port: 22,
        };
        let task = Task {
            account,
            groups: None,
            job,
        };
        (Helper::give(child, ours, &task, &[]).unwrap(), theirs, id)
    }

    #[test]
    fn each_end_is_told_once_for_its_own_channel_and_the_others_go_on() {
        let mut connects = Connects::default();
        let sockets: Vec<_> = (0..5)
            .map(|channel| {
                let (helper, socket, _) = helper();
                connects.add(channel, helper);
                socket
            })
            .collect();
        assert!(connects.collect().is_empty());
        let null = std::fs::File::open("/dev/null").unwrap();
        sockets[4]
            .send(&Outcome::Connected, &[null.as_fd()])
            .unwrap();
        let failed = Outcome::NotConnected(ConnectFailure::Failed);
        sockets[1].send(&failed, &[]).unwrap();
        sockets[2]
            .send(&Outcome::Failed("no".to_owned()), &[])
            .unwrap();
        let ended = connects.collect();
        let channels: Vec<_> = ended.iter().map(|(channel, _)| *channel).collect();
        assert_eq!(channels, [1, 2, 4]);
        assert!(matches!(
            ended[0].1,
            End::NotConnected(ConnectFailure::Failed)
        ));
        assert!(matches!(&ended[1].1, End::Lost(reason) if reason == "no"));
        assert!(matches!(ended[2].1, End::Connected(_)));
        assert!(connects.collect().is_empty());
        assert_eq!(connects.watched().count(), 2);
    }

    #[test]
    fn who_does_not_answer_in_time_is_ended_and_nobody_else() {
        let mut connects = Connects::default();
        let (slow, _slow, slow_id) = helper();
        let (other, _other, other_id) = helper();
        assert_eq!(connects.patience(), None);
        connects.add(1, slow);
        connects.add(2, other);
        assert!(connects.patience().unwrap() <= CONNECT_PATIENCE);
        connects.0[0].deadline = Instant::now();
        assert_eq!(connects.patience(), Some(Duration::ZERO));
        let ended = connects.collect();
        assert!(matches!(&ended[..], [(1, End::Lost(reason))] if reason.contains("30 s")));
        assert!(test_kill_process(slow_id).is_err());
        assert!(test_kill_process(other_id).is_ok());
    }

    #[test]
    fn when_nobody_wants_them_any_more_all_processes_end() {
        let mut connects = Connects::default();
        let ids: Vec<_> = (0..10)
            .map(|channel| {
                let (helper, socket, id) = helper();
                connects.add(channel, helper);
                (id, socket)
            })
            .collect();
        drop(connects);
        for (id, _) in ids {
            assert!(test_kill_process(id).is_err());
        }
    }
}
