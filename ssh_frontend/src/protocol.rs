//! What the processes of one connection say to each other: every message, and nothing else.
//!
//! Three conversations, each over a `SOCK_SEQPACKET` pair of [`crate::ipc`]:
//!
//! | between | down | up |
//! | --- | --- | --- |
//! | listener and monitor | [`MonitorSetup`], once | [`Progress`] |
//! | monitor and network process | [`NetworkSetup`], once, then [`Reply`] | [`Request`] |
//! | monitor and as-user process | [`crate::as_user::Task`], once | [`crate::as_user::Outcome`], once |
//!
//! The network process reads what strangers send. The monitor therefore believes nothing in a
//! [`Request`] but its form, and `monitor::table` says which one is allowed when and how often.

use std::net::{IpAddr, SocketAddr};

use rustix::termios::Winsize;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::{Config, Method};

/// Most public keys that one connection may offer.
pub const MOST_OFFERS: u32 = 20;
/// Longest user name that is looked at, in bytes; Linux allows 32.
pub const LONGEST_USER: usize = 256;
/// Longest answer to a prompt, in bytes. PAM's own limit.
pub const LONGEST_ANSWER: usize = 512;
/// Longest command of an `exec` request, in bytes.
pub const LONGEST_COMMAND: usize = 32 * 1024;
/// Most environment variables that a session may bring.
pub const MOST_VARIABLES: usize = 64;
/// Longest name or value of such a variable, in bytes.
pub const LONGEST_VARIABLE: usize = 4096;

/// Most connections for `direct-tcpip` channels at once, asked for or standing.
pub const MOST_FORWARDS: u32 = 100;

/// Longest that names and values of all of them may be together, in bytes.
pub const LONGEST_ENVIRONMENT: usize = 32 * 1024;

/// What somebody typed: wiped when it goes. No Debug output of it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The text itself, which goes on being wiped.
    #[must_use]
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl From<Vec<u8>> for Secret {
    fn from(text: Vec<u8>) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::ops::Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What the listener gives a new monitor.
#[derive(Debug, Serialize, Deserialize)]
pub struct MonitorSetup {
    /// The configuration as it was when the connection came.
    pub config: Config,
    /// The host keys, in OpenSSH's format, already read: connections keep the keys of their configuration.
    pub host_keys: Vec<HostKey>,
    /// The text of the banner.
    pub banner: Option<String>,
    /// Who is at the other end of the TCP connection; a proxy perhaps.
    pub peer: SocketAddr,
    /// The address it was accepted on.
    pub local: SocketAddr,
    /// Where log lines go.
    pub log: crate::log::Destination,
}

/// A private host key, as OpenSSH writes it. No Debug output of it.
#[derive(Serialize, Deserialize, Clone)]
pub struct HostKey(pub Zeroizing<String>);

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostKey(..)")
    }
}

/// What a monitor tells the listener.
#[derive(Debug, Serialize, Deserialize)]
pub enum Progress {
    /// The PROXY header named the real source: count it instead of the proxy.
    Source(IpAddr),
    /// Somebody is logged in: the time for that is over.
    Authenticated,
}

/// What the monitor gives a new network process.
#[derive(Debug, Serialize, Deserialize)]
pub struct NetworkSetup {
    /// The host keys. The process that signs the key exchange has to hold them.
    pub host_keys: Vec<HostKey>,
    /// What to advertise before anything was tried.
    pub methods: Vec<Method>,
    /// The text of the banner.
    pub banner: Option<String>,
    /// Seconds without a sign of life before one is asked for; 0: never.
    pub client_alive_interval: u64,
    /// So many in a row unanswered end the connection.
    pub client_alive_count_max: u32,
    /// Bytes in one direction after which keys are changed.
    pub rekey_bytes: u64,
    /// Seconds after which keys are changed.
    pub rekey_seconds: u64,
    /// Most sessions at once.
    pub max_sessions: u32,
    /// Whether `direct-tcpip` channels are worth asking the monitor for.
    pub forwarding: bool,
    /// Whether the process gives up root's identity for this one, in a chroot.
    pub confinement: Option<Confinement>,
}

/// Whom the network process becomes, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Confinement {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// An empty directory of root's.
    pub chroot: std::path::PathBuf,
}

/// What a network process may ask of its monitor.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Begin a keyboard-interactive dialogue (RFC 4256); whatever dialogue there was is over.
    /// Answered by `Question`, `Refused` or `Disconnect`.
    Begin {
        /// Who they say they are.
        user: String,
    },
    /// The answer to the last question, none where it had no prompt.
    /// Answered by `Question`, `Accepted`, `Refused` or `Disconnect`.
    Answer {
        /// What was typed.
        answer: Option<Secret>,
    },
    /// Would this public key do? Answered by `KeyAcceptable`, or `Disconnect`.
    KeyOffered {
        /// Who they say they are.
        user: String,
        /// The key's type, as in authorized_keys.
        algorithm: String,
        /// The key in SSH's wire format.
        key: Vec<u8>,
    },
    /// The signature of this key was right (says the network process, which cannot be believed: what follows
    /// is always a keyboard-interactive dialogue). Answered by `Refused`, with or without `partial`.
    KeyVerified {
        /// Who they say they are.
        user: String,
        /// The key's type.
        algorithm: String,
        /// The key in SSH's wire format.
        key: Vec<u8>,
    },
    /// Start a program. Answered by `Started` with descriptors, or `NotStarted`.
    Start {
        /// The number of the channel, for `Signal` and `Exited`.
        session: u32,
        /// What to run.
        program: Program,
        /// On a terminal like this.
        terminal: Option<Terminal>,
        /// Variables that the client wants set.
        environment: Vec<(String, String)>,
    },
    /// Send a signal to the session's program. Not answered.
    Signal {
        /// Which session.
        session: u32,
        /// Its name without SIG (RFC 4254, section 6.9).
        signal: String,
    },
    /// Connect to a host for a `direct-tcpip` channel. Not answered: `Connected` or `NotConnected` comes
    /// at some time, and until then no other for the same channel.
    Connect {
        /// The number of the channel.
        channel: u32,
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
}

/// What a session runs.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub enum Program {
    /// The login shell.
    Shell,
    /// A command line for the login shell.
    Command(Vec<u8>),
    /// A subsystem; `sftp` is the one there is.
    Subsystem(String),
}

/// A terminal as the client describes it (RFC 4254, section 6.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Terminal {
    /// The value of TERM.
    pub term: String,
    /// Its size.
    pub size: Size,
    /// Encoded modes: opcode (RFC 4254, section 8) and argument.
    pub modes: Vec<(u8, u32)>,
}

/// Size of a terminal.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Size {
    /// Characters in a line.
    pub columns: u32,
    /// Lines.
    pub rows: u32,
    /// Width in pixels, 0 if unknown.
    pub x_pixels: u32,
    /// Height in pixels, 0 if unknown.
    pub y_pixels: u32,
}

impl From<Size> for Winsize {
    fn from(size: Size) -> Self {
        let short = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        Self {
            ws_row: short(size.rows),
            ws_col: short(size.columns),
            ws_xpixel: short(size.x_pixels),
            ws_ypixel: short(size.y_pixels),
        }
    }
}

/// What a monitor says to its network process.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Show this, and bring the answer.
    Question(Question),
    /// No; or, after one of several methods, not yet.
    Refused {
        /// With what it may go on.
        methods: Vec<Method>,
        /// One method succeeded and another is wanted.
        partial: bool,
    },
    /// The user is in.
    Accepted,
    /// Whether a signature by the key is worth making.
    KeyAcceptable(bool),
    /// The program runs. With a terminal, its descriptor; else those of standard input, output and error.
    Started {
        /// Whether the one descriptor is a terminal's.
        terminal: bool,
        /// What PAM's session modules had to say, to be shown first.
        message: Vec<u8>,
    },
    /// The program does not run.
    NotStarted {
        /// Why, for the client's eyes.
        reason: String,
    },
    /// The connection stands; its descriptor comes along. Not an answer, as a host may take its time: it
    /// comes at any time after `Connect`.
    Connected {
        /// For which channel.
        channel: u32,
    },
    /// It does not. No answer either.
    NotConnected {
        /// For which channel.
        channel: u32,
        /// Why.
        failure: ConnectFailure,
    },
    /// A session's program ended. Not an answer: it comes at any time after `Started`.
    Exited {
        /// Which session.
        session: u32,
        /// How.
        exit: Exit,
    },
    /// Say this to the client and end the connection. Comes instead of any answer.
    Disconnect {
        /// Why, for the client's eyes.
        reason: String,
    },
}

/// One request of RFC 4256, with one prompt or none.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Question {
    /// Texts of the PAM modules, shown before the prompt.
    pub instruction: String,
    /// The prompt.
    pub prompt: Option<Prompt>,
}

/// One prompt.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Prompt {
    /// Its text.
    pub text: String,
    /// Whether what is typed may be shown.
    pub echo: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(u32),
    /// By a signal.
    Signal {
        /// Its name without SIG.
        name: String,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
}

/// Why there is no connection (RFC 4254, section 5.1).
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub enum ConnectFailure {
    /// `permit_open` does not name it.
    Prohibited,
    /// It was tried.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_typed_and_no_key_is_in_debug_output() {
        let answer = Some(Secret::from(b"hunter2".to_vec()));
        let request = format!("{:?}", Request::Answer { answer });
        assert_eq!(request, "Answer { answer: Some(Secret(..)) }");
        let key = HostKey(Zeroizing::new("hunter2".into()));
        assert_eq!(format!("{key:?}"), "HostKey(..)");
    }
}
