//! After the login: the PAM session, the user's programs, and their ends.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Pid;

use super::connects::{Connects, End};
use super::environment::{self, Ingredients};
use super::helpers::Helpers;
use super::login::LoggedIn;
use super::pam_session::PamSession;
use super::place::Place;
use super::plan::{self, Plan, may_connect};
use super::program::{Ends, Running};
use super::wire::{Lost, Wire};
use crate::as_user::{Account, Job, KeyLimits, Outcome, Task};
use crate::config::SessionKind;
use crate::protocol::{ConnectFailure, Program, Reply, Request, Terminal};

/// One connection with somebody logged in.
pub struct Session<'a> {
    place: &'a Place,
    wire: &'a Rc<Wire>,
    helpers: &'a dyn Helpers,
    account: Account,
    limits: KeyLimits,
    programs: Vec<Running>,
    connects: Connects,
    /// What the session modules said, until somebody has seen it.
    message: String,
    // Closed last.
    pam: PamSession<'a>,
}

impl<'a> Session<'a> {
    /// Opens PAM's session, and tells the network process that somebody is in.
    ///
    /// # Errors
    /// When PAM does not open one, or nobody is there any more.
    pub fn open(
        place: &'a Place,
        wire: &'a Rc<Wire>,
        helpers: &'a dyn Helpers,
        logged_in: LoggedIn,
    ) -> Result<Self, Lost> {
        let LoggedIn {
            handle,
            account,
            key,
        } = logged_in;
        let methods = match key {
            Some(_) => "publickey,keyboard-interactive",
            None => "keyboard-interactive",
        };
        let mut pam = match PamSession::open(place, &account, handle) {
            Ok(pam) => pam,
            Err(error) => {
                place.failed(Some(&account.name), "pam_session", &error);
                return Err(wire.dismiss("The session could not be opened"));
            }
        };
        let service = place.config.pam_service.as_str();
        let details = [("methods", methods), ("service", service)];
        let line = place.line("accepted", Some(&account.name), &details);
        place.log.info(&line);
        let message = pam.take_texts();
        wire.reply(&Reply::Accepted, &[])?;
        Ok(Self {
            place,
            wire,
            helpers,
            account,
            limits: key.map(|key| key.limits).unwrap_or_default(),
            programs: Vec::new(),
            connects: Connects::default(),
            message,
            pam,
        })
    }

    /// Whose it is.
    pub fn user(&self) -> &str {
        &self.account.name
    }

    /// Serves until the network process is gone. Programs that live on then are not ended: those on a
    /// terminal lose it, the others their pipes, as under sshd.
    pub fn run(&mut self) -> Lost {
        // The login is done, and from now on there is little but waiting.
        pam_ffi::memory::give_back();
        loop {
            if let Err(lost) = self.step() {
                return lost;
            }
        }
    }

    fn step(&mut self) -> Result<(), Lost> {
        let is_asked = self.wait()?;
        self.collect_programs()?;
        self.collect_connects()?;
        if !is_asked {
            return Ok(());
        }
        match self.wire.next()? {
            Request::Start {
                session,
                program,
                terminal,
                environment,
            } => self.start(session, &program, terminal, &environment),
            Request::Signal { session, signal } => {
                self.signal(session, signal);
                Ok(())
            }
            Request::Connect {
                channel,
                host,
                port,
            } => self.connect(channel, host, port),
            // The table lets none of these through.
            Request::Begin { .. }
            | Request::Answer { .. }
            | Request::KeyOffered { .. }
            | Request::KeyVerified { .. } => Ok(()),
        }
    }

    /// Until a program ends, a connection stands or does not, or the network process wants something:
    /// whether it does.
    fn wait(&self) -> Result<bool, Lost> {
        let programs = self.programs.iter().map(|program| program.ended.as_fd());
        let mut watched: Vec<PollFd<'_>> = std::iter::once(self.wire.as_fd())
            .chain(programs)
            .chain(self.connects.watched())
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let patience = self.connects.patience();
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        match poll(&mut watched, patience.as_ref()) {
            Ok(_) => {}
            // The patience is another one by now.
            Err(Errno::INTR) => return Ok(false),
            Err(error) => return Err(Lost::Broken(error.into())),
        }
        Ok(watched
            .first()
            .is_some_and(|wire| !wire.revents().is_empty()))
    }

    /// Tells of the programs that have ended.
    fn collect_programs(&mut self) -> Result<(), Lost> {
        let mut ended = Vec::new();
        self.programs.retain_mut(|program| match program.exit() {
            Some(exit) => {
                ended.push((program.session, exit));
                false
            }
            None => true,
        });
        for (session, exit) in ended {
            self.wire.reply(&Reply::Exited { session, exit }, &[])?;
        }
        Ok(())
    }

    fn start(
        &mut self,
        session: u32,
        program: &Program,
        terminal: Option<Terminal>,
        environment: &[(String, String)],
    ) -> Result<(), Lost> {
        let on_terminal = terminal.is_some();
        match self.launch(session, program, terminal, environment) {
            Ok((plan, ours)) => {
                self.note(plan.kind, plan.forced);
                let is_seen = plan.command.is_none() && on_terminal;
                let message = if is_seen {
                    std::mem::take(&mut self.message).into_bytes()
                } else {
                    Vec::new()
                };
                let reply = Reply::Started {
                    terminal: on_terminal,
                    message,
                };
                let descriptors: Vec<_> = ours.iter().map(AsFd::as_fd).collect();
                self.wire.reply(&reply, &descriptors)
            }
            Err(reason) => self.wire.reply(&Reply::NotStarted { reason }, &[]),
        }
    }

    /// A program and the network process's ends of its pipes or terminal, or why not, for the client's eyes.
    fn launch(
        &mut self,
        session: u32,
        program: &Program,
        terminal: Option<Terminal>,
        client: &[(String, String)],
    ) -> Result<(Plan, Vec<OwnedFd>), String> {
        let config = &self.place.config;
        let plan = plan::plan(config, &self.limits, program, terminal.is_some())?;
        let most = usize::try_from(config.max_sessions).unwrap_or(usize::MAX);
        if self.programs.len() >= most {
            return Err("too many sessions".into());
        }
        if self.programs.iter().any(|other| other.session == session) {
            return Err("this session runs a program already".into());
        }
        let ends = Ends::open(&self.account, terminal.as_ref())
            .map_err(|error| self.trouble("descriptors", &error))?;
        let kind = terminal.as_ref().map(|terminal| terminal.term.as_str());
        let client = environment::from_client(client, plan.forced);
        let ingredients = Ingredients {
            pam: &self.pam.environment(),
            client: &client,
            terminal: kind.zip(ends.terminal_name.as_deref()),
            original_command: plan.original_command.as_deref(),
        };
        let task = self.task(Job::Run {
            environment: environment::build(self.place, &self.account, &ingredients),
            command: plan.command_for(&self.account.shell),
            terminal,
        });
        let theirs: Vec<_> = ends.theirs.iter().map(AsFd::as_fd).collect();
        let child = self.helpers.run(&task, &theirs);
        let child = child.map_err(|error| self.trouble("program", &error))?;
        let running = Running::new(session, child, plan.forced);
        let running = running.map_err(|error| self.trouble("program", &error))?;
        self.programs.push(running);
        Ok((plan, ends.ours))
    }

    /// The log hears what is wrong, the client only that something is.
    fn trouble(&self, reason: &str, error: &dyn std::fmt::Display) -> String {
        self.place.failed(Some(&self.account.name), reason, error);
        "the program could not be started".into()
    }

    fn note(&self, kind: SessionKind, forced: bool) {
        let kind = match kind {
            SessionKind::Shell => "shell",
            SessionKind::Exec => "exec",
            SessionKind::Sftp => "sftp",
        };
        let mut details = vec![("kind", kind)];
        details.extend(forced.then_some(("forced", "yes")));
        let line = self
            .place
            .line("session", Some(&self.account.name), &details);
        self.place.log.info(&line);
    }

    /// As in sshd, not to a program that a key forces: what that may do is the key's owner's to say, and it
    /// may have taken another identity. One that has just ended is no error.
    fn signal(&mut self, session: u32, name: String) {
        let program = self
            .programs
            .iter()
            .find(|program| program.session == session);
        let Some(program) = program.filter(|program| !program.forced) else {
            return;
        };
        let group = Pid::from_child(&program.child).as_raw_nonzero().get();
        let task = self.task(Job::Signal { group, name });
        if let Ok((Outcome::Failed(reason), _)) | Err(reason) = self.helpers.ask(&task) {
            self.place
                .failed(Some(&self.account.name), "signal", &reason);
        }
    }

    /// Begins to connect. How that went is told when it is known, and not waited for.
    fn connect(&mut self, channel: u32, host: String, port: u16) -> Result<(), Lost> {
        let permitted = &self.place.config.permit_open;
        let user = Some(self.account.name.as_str());
        if !may_connect(permitted, &self.limits, &host, port) {
            self.place.refused(user, "connect_not_permitted");
            return self.tell(channel, End::NotConnected(ConnectFailure::Prohibited));
        }
        // An honest network process refuses this itself.
        if self.connects.is_full() {
            return self.tell(channel, End::NotConnected(ConnectFailure::Failed));
        }
        let number = port.to_string();
        let details = [
            ("kind", "connect"),
            ("host", host.as_str()),
            ("to", &number),
        ];
        let line = self.place.line("session", user, &details);
        self.place.log.info(&line);
        let task = self.task(Job::Connect { host, port });
        match self.helpers.connect(&task) {
            Ok(helper) => {
                self.connects.add(channel, helper);
                Ok(())
            }
            Err(reason) => self.tell(channel, End::Lost(reason)),
        }
    }

    /// Tells of the connections that stand, or will not.
    fn collect_connects(&mut self) -> Result<(), Lost> {
        for (channel, end) in self.connects.collect() {
            self.tell(channel, end)?;
        }
        Ok(())
    }

    fn tell(&self, channel: u32, end: End) -> Result<(), Lost> {
        let failure = match end {
            End::Connected(connection) => {
                let reply = Reply::Connected { channel };
                return self.wire.reply(&reply, &[connection.as_fd()]);
            }
            End::NotConnected(failure) => failure,
            End::Lost(reason) => {
                self.place
                    .failed(Some(&self.account.name), "connect", &reason);
                ConnectFailure::Failed
            }
        };
        self.wire
            .reply(&Reply::NotConnected { channel, failure }, &[])
    }

    fn task(&self, job: Job) -> Task {
        let account = self.account.clone();
        let groups = self.pam.groups();
        Task {
            account,
            groups,
            job,
        }
    }
}
