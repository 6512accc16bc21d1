//! A monitor in a thread, and the test in the place of its network process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use ssh_frontend::as_user::{Helper, Job, KeyLimits, KeyVerdict, Outcome, Task};
use ssh_frontend::config::{Config, HostPort, Method};
use ssh_frontend::ipc::Socket;
use ssh_frontend::log::Destination;
use ssh_frontend::monitor::helpers::Helpers;
use ssh_frontend::monitor::place::Place;
use ssh_frontend::monitor::serve;
use ssh_frontend::protocol::{ConnectFailure, Program, Question, Reply, Request, Secret, Terminal};

/// The password that the stack of [`Desk::open`] wants.
pub const RIGHT: &str = "right";
/// The one key that everybody has.
pub const GOOD_KEY: &[u8] = b"good key";
/// The port where connections stand at once.
const PROMPT: u16 = 22;
/// No reply takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Notes what it is to do; programs are really run, by this user.
#[derive(Clone, Default)]
pub struct NoteTaker {
    notes: Arc<Mutex<Vec<String>>>,
    /// The ends of those that have not connected yet, and their processes.
    connecting: Arc<Mutex<Vec<(Socket, u32)>>>,
    limits: KeyLimits,
}

impl NoteTaker {
    fn note(&self, job: &Job) {
        self.notes.lock().unwrap().push(format!("{job:?}"));
    }
}

impl Helpers for NoteTaker {
    fn ask(&self, task: &Task) -> Result<(Outcome, Option<OwnedFd>), String> {
        match &task.job {
            Job::FindKey { key, .. } if key == GOOD_KEY => {
                let found = KeyVerdict::Found(self.limits.clone());
                Ok((Outcome::Key(found), None))
            }
            Job::FindKey { .. } => Ok((Outcome::Key(KeyVerdict::NotFound), None)),
            job => {
                self.note(job);
                Ok((Outcome::Ready, None))
            }
        }
    }

    fn connect(&self, task: &Task) -> Result<Helper, String> {
        self.note(&task.job);
        let (ours, theirs) = Socket::pair().unwrap();
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = child.id();
        if matches!(task.job, Job::Connect { port: PROMPT, .. }) {
            let connection = std::fs::File::open("/dev/null").unwrap();
            let outcome = Outcome::Connected;
            theirs.send(&outcome, &[connection.as_fd()]).unwrap();
        }
        self.connecting.lock().unwrap().push((theirs, id));
        Ok(Helper::give(child, ours, task, &[]).unwrap())
    }

    fn run(&self, task: &Task, descriptors: &[BorrowedFd<'_>]) -> Result<Child, String> {
        self.note(&task.job);
        let Job::Run {
            environment,
            command,
            ..
        } = &task.job
        else {
            return Err("not a program".into());
        };
        let end = |position: usize| {
            let fd = descriptors.get(position).or(descriptors.first()).unwrap();
            fd.try_clone_to_owned().unwrap()
        };
        let command = command.clone().unwrap_or_else(|| b"cat".to_vec());
        let mut program = Command::new("/bin/sh");
        program.arg("-c").arg(String::from_utf8(command).unwrap());
        program.env_clear().process_group(0);
        for (name, value) in environment {
            program.env(name, String::from_utf8(value.clone()).unwrap());
        }
        let program = program.stdin(end(0)).stdout(end(1)).stderr(end(2)).spawn();
        program.map_err(|error| error.to_string())
    }
}

/// What the test may change.
pub struct Setting {
    pub config: Config,
    /// The lines of the PAM service; `CHECK` in them becomes a module that asks for [`RIGHT`].
    pub stack: String,
    pub limits: KeyLimits,
}

impl Default for Setting {
    fn default() -> Self {
        let mut config = Config::parse("", Path::new("none")).unwrap();
        config.permit_root_login = true;
        config.pam_service = "door".into();
        config.permit_open = vec![HostPort {
            host: Some("inner".into()),
            port: None,
        }];
        Self {
            config,
            stack: "auth required CHECK\naccount required pam_permit.so\n\
                    session required pam_permit.so\n"
                .into(),
            limits: KeyLimits::default(),
        }
    }
}

/// The network process's chair.
pub struct Desk {
    pub socket: Socket,
    monitor: JoinHandle<String>,
    helpers: NoteTaker,
    directory: tempfile::TempDir,
}

/// Who runs the tests: whom a server that is not root's lets in.
pub fn me() -> String {
    nix::unistd::User::from_uid(nix::unistd::geteuid())
        .unwrap()
        .unwrap()
        .name
}

impl Desk {
    /// A connection on which nothing was said.
    pub fn open(change: impl FnOnce(&mut Setting)) -> Self {
        let mut setting = Setting::default();
        change(&mut setting);
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("check");
        let heard = directory.path().join("heard");
        let text = format!(
            "IFS= read -r p\nprintf '%s' \"$p\" >> {}\n[ \"$p\" = {RIGHT} ]\n",
            heard.display()
        );
        std::fs::write(&script, text).unwrap();
        // pam_exec has no credentials to set, and a stack without any fails.
        let check = format!(
            "pam_exec.so expose_authtok quiet /bin/sh {}",
            script.display()
        );
        let credentials = "auth required pam_permit.so\n";
        let stack = setting.stack.replace("CHECK", &check) + credentials;
        std::fs::write(directory.path().join("door"), stack).unwrap();
        setting.config.pam_confdir = Some(directory.path().into());
        let (socket, theirs) = Socket::pair().unwrap();
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).unwrap();
        let helpers = NoteTaker {
            limits: setting.limits,
            ..NoteTaker::default()
        };
        let monitor = monitor(setting.config, theirs, helpers.clone());
        Self {
            socket,
            monitor,
            helpers,
            directory,
        }
    }

    /// Where only the key and then the dialogue lead in.
    pub fn with_key_first(change: impl FnOnce(&mut Setting)) -> Self {
        Self::open(|setting| {
            setting.config.authentication_methods =
                vec![vec![Method::PublicKey, Method::KeyboardInteractive]];
            change(setting);
        })
    }

    pub fn send(&self, request: &Request) {
        self.socket.send(request, &[]).unwrap();
    }

    pub fn receive(&self) -> (Reply, Vec<OwnedFd>) {
        self.socket
            .receive(3)
            .unwrap()
            .expect("the monitor has gone")
    }

    pub fn ask(&self, request: &Request) -> Reply {
        self.send(request);
        self.receive().0
    }

    /// The question that a request leads to.
    pub fn question(&self, request: &Request) -> Question {
        match self.ask(request) {
            Reply::Question(question) => question,
            other => panic!("{other:?} instead of a question"),
        }
    }

    /// Asserts that the answer is a refusal, and gives what it leaves.
    pub fn refused(&self, request: &Request) -> (Vec<Method>, bool) {
        match self.ask(request) {
            Reply::Refused { methods, partial } => (methods, partial),
            other => panic!("{other:?} instead of a refusal"),
        }
    }

    /// Goes all the way.
    pub fn log_in(&self) {
        assert!(self.question(&begin(&me())).prompt.is_some());
        assert!(self.question(&answer(RIGHT)).prompt.is_none());
        let reply = self.ask(&empty_answer());
        assert!(matches!(reply, Reply::Accepted), "{reply:?}");
    }

    /// Starts something that has to start.
    pub fn start(&self, request: &Request) -> (Reply, Vec<OwnedFd>) {
        self.send(request);
        let (reply, descriptors) = self.receive();
        assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
        (reply, descriptors)
    }

    /// What was done in the user's name.
    pub fn notes(&self) -> Vec<String> {
        self.helpers.notes.lock().unwrap().clone()
    }

    /// What a process that connects says, counted from the first; with a descriptor if it is connected.
    pub fn answer_connect(&self, number: usize, connection: Option<BorrowedFd<'_>>) {
        let failed = Outcome::NotConnected(ConnectFailure::Failed);
        let outcome = connection.map_or(failed, |_| Outcome::Connected);
        let beside: Vec<_> = connection.into_iter().collect();
        let connecting = self.helpers.connecting.lock().unwrap();
        connecting[number].0.send(&outcome, &beside).unwrap();
    }

    /// The processes that were started to connect.
    pub fn connecting(&self) -> Vec<u32> {
        let connecting = self.helpers.connecting.lock().unwrap();
        connecting.iter().map(|(_, id)| *id).collect()
    }

    /// What the PAM module heard.
    pub fn heard(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("heard")).unwrap_or_default()
    }

    /// Asserts that the monitor has closed, having said nothing more; how it ended.
    pub fn closed(self) -> String {
        match self.socket.receive::<Reply>(3) {
            Ok(None) | Err(ssh_frontend::ipc::IpcError::Io(_)) => {}
            other => panic!("{other:?} instead of a closed connection"),
        }
        self.monitor.join().unwrap()
    }

    /// Goes away, as a network process does whose client has left; how the monitor took it.
    pub fn leave(self) -> String {
        drop(self.socket);
        self.monitor.join().unwrap()
    }
}

fn monitor(config: Config, socket: Socket, helpers: NoteTaker) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let source = "192.0.2.7:40000".parse().unwrap();
        let local = "198.51.100.1:2222".parse().unwrap();
        let place = Place::new(config, source, local, Destination::Stderr);
        serve(&place, socket, &helpers, &mut || ()).to_string()
    })
}

pub fn begin(user: &str) -> Request {
    let user = user.to_owned();
    Request::Begin { user }
}

pub fn answer(text: &str) -> Request {
    let answer: Secret = text.as_bytes().to_vec().into();
    Request::Answer {
        answer: Some(answer),
    }
}

pub fn empty_answer() -> Request {
    Request::Answer { answer: None }
}

pub fn verified(user: &str, key: &[u8]) -> Request {
    Request::KeyVerified {
        user: user.to_owned(),
        algorithm: "ssh-ed25519".into(),
        key: key.to_vec(),
    }
}

pub fn run(session: u32, program: Program, terminal: Option<Terminal>) -> Request {
    Request::Start {
        session,
        program,
        terminal,
        environment: Vec::new(),
    }
}

pub fn command(session: u32, line: &str) -> Request {
    run(session, Program::Command(line.into()), None)
}

pub fn signal(session: u32) -> Request {
    Request::Signal {
        session,
        signal: "TERM".into(),
    }
}

/// To a port where the connection stands at once.
pub fn connect(channel: u32, host: &str) -> Request {
    Request::Connect {
        channel,
        host: host.into(),
        port: PROMPT,
    }
}

/// To a host that answers when [`Desk::answer_connect`] says so.
pub fn connect_slowly(channel: u32) -> Request {
    Request::Connect {
        channel,
        host: "inner".into(),
        port: PROMPT + 1,
    }
}

/// All that a descriptor gives until its end.
pub fn read_all(descriptor: OwnedFd) -> String {
    std::io::read_to_string(std::fs::File::from(descriptor)).unwrap()
}

/// Bytes that are no message of ours.
pub fn send_raw(socket: &Socket, bytes: &[u8]) {
    rustix::net::send(socket.as_fd(), bytes, rustix::net::SendFlags::NOSIGNAL).unwrap();
}
