//! The link to the monitor: questions one at a time, answers to whoever asked, news to the channels they
//! concern.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::input::{Descriptor, watch};
use crate::ipc::{IpcError, MOST_DESCRIPTORS, Socket};
use crate::protocol::{ConnectFailure, Exit, Reply, Request};

/// Within the login PAM may wait for people and their phones; how long in all is the listener's business.
const PATIENCE_BEFORE_LOGIN: Duration = Duration::from_secs(24 * 60 * 60);
/// After it, only programs are started.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The monitor is gone, or not itself any more.
    Gone,
    /// The client is told this first.
    Say(String),
}

/// There will be no answer: the connection ends.
#[derive(Debug)]
pub struct Over;

/// A reply, with the descriptors beside it.
pub type Answer = (Reply, Vec<OwnedFd>);

/// A connection for a `direct-tcpip` channel, or why there is none.
pub type Connected = Result<OwnedFd, ConnectFailure>;

/// Who waits for news, by the number of their channel.
type Waiting<T> = Mutex<HashMap<u32, oneshot::Sender<T>>>;

/// The link. Clones are the same link.
#[derive(Debug, Clone)]
pub struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: Socket,
    /// The same once more, to wait for it.
    watched: Descriptor,
    /// Who holds it may ask.
    turn: tokio::sync::Mutex<mpsc::Receiver<Answer>>,
    asked: AtomicBool,
    logged_in: AtomicBool,
    exits: Waiting<Exit>,
    connections: Waiting<Connected>,
    end: watch::Sender<Option<End>>,
}

impl Link {
    /// A link over a socket that does not block, and what tells when it is over.
    ///
    /// # Errors
    /// When the socket cannot be watched.
    pub fn new(socket: Socket) -> io::Result<(Self, watch::Receiver<Option<End>>)> {
        let (answers, answered) = mpsc::channel(1);
        let (end, ended) = watch::channel(None);
        let link = Self(Arc::new(Shared {
            watched: watch(socket.as_fd().try_clone_to_owned()?)?,
            socket,
            turn: tokio::sync::Mutex::new(answered),
            asked: AtomicBool::new(false),
            logged_in: AtomicBool::new(false),
            exits: Mutex::default(),
            connections: Mutex::default(),
            end,
        }));
        tokio::spawn(listen(link.clone(), answers));
        Ok((link, ended))
    }

    /// Asks, and waits for the answer. Must not be dropped before it came: the next one to ask would get it.
    ///
    /// # Errors
    /// [`Over`] when none comes.
    pub async fn ask(&self, request: &Request) -> Result<Answer, Over> {
        let mut answered = self.0.turn.lock().await;
        self.0.asked.store(true, Ordering::Relaxed);
        self.tell(request).await?;
        let patience = if self.0.logged_in.load(Ordering::Relaxed) {
            PATIENCE
        } else {
            PATIENCE_BEFORE_LOGIN
        };
        match timeout(patience, answered.recv()).await {
            Ok(answer) => answer.ok_or(Over),
            Err(_) => Err(self.end(End::Say("the server did not answer in time".to_owned()))),
        }
    }

    /// Sends what is not answered.
    ///
    /// # Errors
    /// [`Over`] when nobody is there.
    pub async fn tell(&self, request: &Request) -> Result<(), Over> {
        loop {
            let mut ready = self.0.watched.writable().await.map_err(|_| Over)?;
            match ready.try_io(|_| io_result(self.0.socket.send(request, &[]))) {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => return Err(self.end(End::Gone)),
                Err(_would_block) => {}
            }
        }
    }

    /// From now on the patience is that of a session.
    pub fn logged_in(&self) {
        self.0.logged_in.store(true, Ordering::Relaxed);
    }

    /// How a session's program will have ended. To be called before it is started.
    pub fn exit_of(&self, session: u32) -> oneshot::Receiver<Exit> {
        news_for(session, &self.0.exits)
    }

    /// Nobody wants to know that any more.
    pub fn forget(&self, session: u32) {
        lock(&self.0.exits).remove(&session);
    }

    /// Asks for a channel's connection, of which there is news at some time. Others may ask meanwhile.
    ///
    /// # Errors
    /// [`Over`] when there will be none.
    pub async fn connect(&self, channel: u32, host: String, port: u16) -> Result<Connected, Over> {
        // Before it is asked for, for the news may come at once.
        let news = news_for(channel, &self.0.connections);
        let request = Request::Connect {
            channel,
            host,
            port,
        };
        self.tell(&request).await?;
        news.await.map_err(|_| Over)
    }

    /// Ends the connection. The first reason stays.
    pub fn end(&self, end: End) -> Over {
        self.0.end.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(end);
            first
        });
        Over
    }

    async fn receive(&self) -> io::Result<Option<Answer>> {
        loop {
            let mut ready = self.0.watched.readable().await?;
            match ready.try_io(|_| io_result(self.0.socket.receive(MOST_DESCRIPTORS))) {
                Ok(received) => return received,
                Err(_would_block) => {}
            }
        }
    }
}

fn news_for<T>(channel: u32, waiting: &Waiting<T>) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    lock(waiting).insert(channel, sender);
    receiver
}

fn bring<T>(news: T, channel: u32, waiting: &Waiting<T>) {
    if let Some(waiting) = lock(waiting).remove(&channel) {
        // Who closed their channel meanwhile does not listen.
        let _ = waiting.send(news);
    }
}

fn lock<T>(waiting: &Waiting<T>) -> MutexGuard<'_, HashMap<u32, oneshot::Sender<T>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes whatever the monitor says, until it says no more.
async fn listen(link: Link, answers: mpsc::Sender<Answer>) {
    let end = loop {
        match link.receive().await {
            Err(_) | Ok(None) => break End::Gone,
            Ok(Some((Reply::Disconnect { reason }, _))) => break End::Say(reason),
            Ok(Some((Reply::Exited { session, exit }, _))) => bring(exit, session, &link.0.exits),
            Ok(Some((Reply::Connected { channel }, descriptors))) => {
                let Some(connection) = descriptors.into_iter().next() else {
                    break End::Gone;
                };
                bring(Ok(connection), channel, &link.0.connections);
            }
            Ok(Some((Reply::NotConnected { channel, failure }, _))) => {
                bring(Err(failure), channel, &link.0.connections);
            }
            Ok(Some(answer)) => {
                let asked = link.0.asked.swap(false, Ordering::Relaxed);
                if !asked || answers.try_send(answer).is_err() {
                    break End::Gone;
                }
            }
        }
    };
    link.end(end);
}

fn io_result<T>(result: Result<T, IpcError>) -> io::Result<T> {
    result.map_err(|error| match error {
        IpcError::Io(error) => error,
        IpcError::Malformed(what) => io::Error::new(io::ErrorKind::InvalidData, what),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Link, watch::Receiver<Option<End>>, Socket) {
        let (ours, theirs) = Socket::pair().unwrap();
        rustix::io::ioctl_fionbio(&ours, true).unwrap();
        let (link, ended) = Link::new(ours).unwrap();
        (link, ended, theirs)
    }

    fn begin() -> Request {
        let user = "alice".to_owned();
        Request::Begin { user }
    }

    fn not_connected(channel: u32) -> Reply {
        let failure = ConnectFailure::Failed;
        Reply::NotConnected { channel, failure }
    }

    #[tokio::test]
    async fn an_answer_goes_to_whoever_asked() {
        let (link, _ended, monitor) = pair();
        let monitor = tokio::task::spawn_blocking(move || {
            let (request, _) = monitor.receive::<Request>(0).unwrap().unwrap();
            monitor.send(&Reply::KeyAcceptable(true), &[]).unwrap();
            (request, monitor)
        });
        let answer = link.ask(&begin()).await.unwrap();
        assert!(matches!(answer.0, Reply::KeyAcceptable(true)));
        let (request, _monitor) = monitor.await.unwrap();
        assert!(matches!(request, Request::Begin { user } if user == "alice"));
    }

    #[tokio::test]
    async fn news_of_a_session_reach_it_between_other_answers() {
        let (link, _ended, monitor) = pair();
        let exit = link.exit_of(7);
        let news = Reply::Exited {
            session: 7,
            exit: Exit::Status(3),
        };
        monitor.send(&news, &[]).unwrap();
        assert_eq!(exit.await.unwrap(), Exit::Status(3));
    }

    #[tokio::test]
    async fn news_of_connections_reach_their_channels_and_hold_up_no_question() {
        let (link, _ended, monitor) = pair();
        let asked: Vec<_> = [5, 6, 7]
            .map(|channel| {
                let link = link.clone();
                tokio::spawn(async move { link.connect(channel, "inner".to_owned(), 22).await })
            })
            .into_iter()
            .collect();
        let monitor = tokio::task::spawn_blocking(move || {
            for _ in 5..8 {
                let (request, _) = monitor.receive::<Request>(0).unwrap().unwrap();
                assert!(matches!(request, Request::Connect { .. }));
            }
            monitor
        });
        let monitor = monitor.await.unwrap();
        // Any question would do.
        let question = tokio::spawn({
            let link = link.clone();
            async move { link.ask(&begin()).await }
        });
        let connected = Reply::Connected { channel: 7 };
        monitor.send(&connected, &[monitor.as_fd()]).unwrap();
        monitor.send(&not_connected(5), &[]).unwrap();
        let monitor = tokio::task::spawn_blocking(move || {
            monitor.receive::<Request>(0).unwrap().unwrap();
            monitor.send(&Reply::KeyAcceptable(true), &[]).unwrap();
            monitor
        });
        assert!(matches!(
            question.await.unwrap(),
            Ok((Reply::KeyAcceptable(true), _))
        ));
        let _monitor = monitor.await.unwrap();
        let [five, six, seven]: [_; 3] = asked.try_into().unwrap();
        assert!(matches!(five.await.unwrap(), Ok(Err(_))));
        assert!(matches!(seven.await.unwrap(), Ok(Ok(_))));
        assert!(!six.is_finished());
    }

    #[tokio::test]
    async fn news_of_a_connection_for_nobody_are_no_answer() {
        let (link, ended, monitor) = pair();
        monitor.send(&not_connected(1), &[]).unwrap();
        let monitor = tokio::task::spawn_blocking(move || {
            monitor.receive::<Request>(0).unwrap().unwrap();
            monitor.send(&Reply::KeyAcceptable(true), &[]).unwrap();
            monitor
        });
        let (reply, _) = link.ask(&begin()).await.unwrap();
        assert!(matches!(reply, Reply::KeyAcceptable(true)));
        assert!(ended.borrow().is_none());
        drop(monitor.await.unwrap());
    }

    #[tokio::test]
    async fn a_connection_without_its_descriptor_ends_the_connection() {
        let (_link, mut ended, monitor) = pair();
        let connected = Reply::Connected { channel: 1 };
        monitor.send(&connected, &[]).unwrap();
        let end = ended.wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(end, Some(End::Gone));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_asked_for_ends_the_connection() {
        let (_link, mut ended, monitor) = pair();
        monitor.send(&Reply::Accepted, &[]).unwrap();
        let end = ended.wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(end, Some(End::Gone));
    }

    #[tokio::test]
    async fn the_monitors_last_word_ends_every_question() {
        let (link, mut ended, monitor) = pair();
        let reason = "bye".to_owned();
        let disconnect = Reply::Disconnect { reason };
        monitor.send(&disconnect, &[]).unwrap();
        assert!(link.ask(&begin()).await.is_err());
        let end = ended.wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(end, Some(End::Say("bye".to_owned())));
    }

    #[tokio::test]
    async fn a_monitor_that_goes_away_is_noticed() {
        let (_link, mut ended, monitor) = pair();
        drop(monitor);
        let end = ended.wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(end, Some(End::Gone));
    }

    #[tokio::test(start_paused = true)]
    async fn a_monitor_that_does_not_answer_is_not_waited_for_for_ever() {
        let (link, ended, _monitor) = pair();
        link.logged_in();
        let begin_of_wait = tokio::time::Instant::now();
        assert!(link.ask(&begin()).await.is_err());
        assert_eq!(begin_of_wait.elapsed().as_secs(), PATIENCE.as_secs());
        assert!(matches!(&*ended.borrow(), Some(End::Say(_))));
    }
}
