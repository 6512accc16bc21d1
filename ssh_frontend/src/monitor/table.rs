//! Which request is allowed in which state, and how often: a table, looked at before anything is done.
//!
//! The network process reads what strangers send, and may have been taken over. What it can ask of root is
//! therefore written down here as data. An honest one never asks for anything else, so whatever does not
//! fit ends the connection. State and counts change in this file and nowhere else.

use std::fmt;

use crate::protocol::{
    LONGEST_ANSWER, LONGEST_COMMAND, LONGEST_ENVIRONMENT, LONGEST_USER, LONGEST_VARIABLE,
    MOST_OFFERS, MOST_VARIABLES, Program, Reply, Request, Terminal,
};

/// Most requests of one connection before somebody is logged in.
const MOST_BEFORE_LOGIN: u32 = 400;
/// Longest name of a key type, in bytes; the longest in use has 34.
const LONGEST_ALGORITHM: usize = 64;
/// Longest public key, in bytes; RSA with 16384 bits has 2100.
const LONGEST_KEY: usize = 8192;
/// Longest name of a host (RFC 1035), a subsystem or a kind of terminal, in bytes.
const LONGEST_NAME: usize = 255;
/// Most modes of a terminal: RFC 4254 numbers them with one byte.
const MOST_MODES: usize = 256;

/// What the monitor waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A beginning, or PAM is at work.
    Idle,
    /// The answer to a question with a prompt.
    Asked,
    /// The answer to a question without one.
    AskedEmpty,
    /// Sessions.
    LoggedIn,
}

/// A request by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `Begin`.
    Begin,
    /// `Answer` with an answer.
    Answer,
    /// `Answer` without one.
    EmptyAnswer,
    /// `KeyOffered`.
    KeyOffered,
    /// `KeyVerified`.
    KeyVerified,
    /// `Start`.
    Start,
    /// `Signal`.
    Signal,
    /// `Connect`.
    Connect,
}

/// How often a kind may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Often {
    /// So many times in the connection's life.
    InAll(u32),
    /// So many times since the last `Begin`.
    PerDialogue(u32),
    /// Limited elsewhere: by the sessions that live, by what is permitted.
    Unlimited,
}

/// One line of the table.
#[derive(Debug)]
pub struct Rule {
    /// What.
    pub kind: Kind,
    /// Its name in the log.
    pub name: &'static str,
    /// When.
    pub states: &'static [State],
    /// How often.
    pub often: Often,
}

/// While a person could be logging in.
const BEFORE_LOGIN: &[State] = &[State::Idle, State::Asked, State::AskedEmpty];

/// The table.
#[rustfmt::skip]
pub const TABLE: [Rule; 8] = [
    Rule { kind: Kind::Begin,       name: "begin",        states: BEFORE_LOGIN,         often: Often::InAll(20) },
    Rule { kind: Kind::Answer,      name: "answer",       states: &[State::Asked],      often: Often::PerDialogue(32) },
    Rule { kind: Kind::EmptyAnswer, name: "empty_answer", states: &[State::AskedEmpty], often: Often::PerDialogue(32) },
    Rule { kind: Kind::KeyOffered,  name: "key_offered",  states: BEFORE_LOGIN,         often: Often::InAll(MOST_OFFERS) },
    Rule { kind: Kind::KeyVerified, name: "key_verified", states: BEFORE_LOGIN,         often: Often::InAll(6) },
    Rule { kind: Kind::Start,       name: "start",        states: &[State::LoggedIn],   often: Often::Unlimited },
    Rule { kind: Kind::Signal,      name: "signal",       states: &[State::LoggedIn],   often: Often::Unlimited },
    Rule { kind: Kind::Connect,     name: "connect",      states: &[State::LoggedIn],   often: Often::Unlimited },
];

/// A request that an honest network process does not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    request: &'static str,
    what: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.request, self.what)
    }
}

/// State and counts of one connection.
#[derive(Debug)]
pub struct Gate {
    state: State,
    counts: [u32; TABLE.len()],
    before_login: u32,
    /// The channels whose connections nothing was said of yet.
    connecting: Vec<u32>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            state: State::Idle,
            counts: [0; TABLE.len()],
            before_login: 0,
            connecting: Vec::new(),
        }
    }
}

impl Gate {
    /// What is waited for.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Lets a request through, and counts it.
    ///
    /// # Errors
    /// When it is not allowed now, has come too often, or is too long.
    pub fn admit(&mut self, request: &Request) -> Result<(), Violation> {
        let kind = Kind::of(request);
        let rules = TABLE.iter().zip(&mut self.counts);
        let Some((rule, count)) = rules.into_iter().find(|(rule, _)| rule.kind == kind) else {
            return Err(violation("request", "unknown"));
        };
        if !rule.states.contains(&self.state) {
            return Err(violation(rule.name, "out_of_state"));
        }
        *count = count.saturating_add(1);
        let most = match rule.often {
            Often::InAll(most) | Often::PerDialogue(most) => most,
            Often::Unlimited => u32::MAX,
        };
        if *count > most {
            return Err(violation(rule.name, "too_often"));
        }
        if !has_proper_lengths(request) {
            return Err(violation(rule.name, "too_long"));
        }
        if names_nobody(request) {
            return Err(violation(rule.name, "no_user_name"));
        }
        if let Request::Connect { channel, .. } = request {
            if self.connecting.contains(channel) {
                return Err(violation(rule.name, "connecting_already"));
            }
            self.connecting.push(*channel);
        }
        self.received(kind)
    }

    fn received(&mut self, kind: Kind) -> Result<(), Violation> {
        if self.state == State::LoggedIn {
            return Ok(());
        }
        self.before_login += 1;
        if self.before_login > MOST_BEFORE_LOGIN {
            return Err(violation("login", "too_long"));
        }
        if kind == Kind::Begin {
            for (rule, count) in TABLE.iter().zip(&mut self.counts) {
                if matches!(rule.often, Often::PerDialogue(_)) {
                    *count = 0;
                }
            }
        }
        self.state = State::Idle;
        Ok(())
    }

    /// Takes note of what the network process is told: that decides what it may ask next.
    pub fn sent(&mut self, reply: &Reply) {
        if let Reply::Connected { channel } | Reply::NotConnected { channel, .. } = reply {
            self.connecting.retain(|connecting| connecting != channel);
        }
        self.state = match reply {
            Reply::Accepted => State::LoggedIn,
            _ if self.state == State::LoggedIn => State::LoggedIn,
            Reply::Question(question) if question.prompt.is_some() => State::Asked,
            Reply::Question(_) => State::AskedEmpty,
            _ => State::Idle,
        };
    }
}

impl Kind {
    /// The kind of a request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        match request {
            Request::Begin { .. } => Self::Begin,
            Request::Answer { answer: Some(_) } => Self::Answer,
            Request::Answer { answer: None } => Self::EmptyAnswer,
            Request::KeyOffered { .. } => Self::KeyOffered,
            Request::KeyVerified { .. } => Self::KeyVerified,
            Request::Start { .. } => Self::Start,
            Request::Signal { .. } => Self::Signal,
            Request::Connect { .. } => Self::Connect,
        }
    }
}

fn violation(request: &'static str, what: &'static str) -> Violation {
    Violation { request, what }
}

fn has_proper_lengths(request: &Request) -> bool {
    match request {
        Request::Begin { user } => user.len() <= LONGEST_USER,
        Request::Answer { answer } => answer
            .as_ref()
            .is_none_or(|answer| answer.len() <= LONGEST_ANSWER),
        Request::KeyOffered {
            user,
            algorithm,
            key,
        }
        | Request::KeyVerified {
            user,
            algorithm,
            key,
        } => {
            user.len() <= LONGEST_USER
                && algorithm.len() <= LONGEST_ALGORITHM
                && key.len() <= LONGEST_KEY
        }
        Request::Start {
            program,
            terminal,
            environment,
            ..
        } => {
            program_fits(program)
                && terminal.as_ref().is_none_or(terminal_fits)
                && environment_fits(environment)
        }
        Request::Signal { signal, .. } => signal.len() <= LONGEST_NAME,
        Request::Connect { host, .. } => host.len() <= LONGEST_NAME,
    }
}

/// Whether the user is called what neither PAM nor the system could be asked for.
fn names_nobody(request: &Request) -> bool {
    match request {
        Request::Begin { user }
        | Request::KeyOffered { user, .. }
        | Request::KeyVerified { user, .. } => user.contains('\0'),
        _ => false,
    }
}

fn program_fits(program: &Program) -> bool {
    match program {
        Program::Shell => true,
        Program::Command(command) => command.len() <= LONGEST_COMMAND,
        Program::Subsystem(name) => name.len() <= LONGEST_NAME,
    }
}

fn terminal_fits(terminal: &Terminal) -> bool {
    terminal.term.len() <= LONGEST_NAME && terminal.modes.len() <= MOST_MODES
}

fn environment_fits(environment: &[(String, String)]) -> bool {
    let lengths = environment
        .iter()
        .map(|(name, value)| name.len() + value.len());
    environment.len() <= MOST_VARIABLES
        && lengths.sum::<usize>() <= LONGEST_ENVIRONMENT
        && environment
            .iter()
            .all(|(name, value)| name.len() <= LONGEST_VARIABLE && value.len() <= LONGEST_VARIABLE)
}

#[cfg(test)]
mod tests;
