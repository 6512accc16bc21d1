//! Sending a code by a `[channel.NAME]` of the configuration.
//!
//! | question | where |
//! | --- | --- |
//! | what stands in the texts? | [`message`] |
//! | which passwords and certificates? | [`files`] |
//! | how is it sent? | [`smtp`], [`http`], [`command`] |
//!
//! What goes wrong is said in words that hold neither the code nor a secret, for it goes into logs.

pub mod command;
pub mod files;
pub mod http;
pub mod message;
pub mod smtp;

use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use otp_core::config::{Channel, Way};

pub use message::Message;

/// Why a code was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError {
    what: String,
    said: Option<String>,
}

impl SendError {
    /// With these words.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            said: None,
        }
    }

    /// With what the other side said about it, for a terminal and not for a log.
    pub fn saying(what: impl Into<String>, said: &str) -> Self {
        const LONGEST: usize = 300;
        let said: String = said.chars().take(LONGEST).collect();
        Self {
            what: what.into(),
            said: Some(pam_ffi::syslog::printable(said.trim())).filter(|said| !said.is_empty()),
        }
    }

    /// For a terminal.
    #[must_use]
    pub fn in_full(&self) -> String {
        match &self.said {
            Some(said) => format!("{}: {said}", self.what),
            None => self.what.clone(),
        }
    }

    /// A server's own words may repeat what it was told.
    fn without(self, message: &Message) -> Self {
        Self {
            what: message.struck_from(&self.what),
            said: self.said.map(|said| message.struck_from(&said)),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Sends, and waits for it at most as long as this. Each way has timeouts of its own; what none of them reaches
/// (name servers, say) is left behind in a thread, and ends with the process.
///
/// # Errors
/// [`SendError`] when the channel has not taken it.
pub fn send(channel: &Channel, message: &Message, timeout: Duration) -> Result<(), SendError> {
    let (tell, told) = mpsc::channel();
    let (way, copy) = (channel.way.clone(), message.clone());
    thread::spawn(move || {
        // Nobody listens any more when it took too long.
        let _ = tell.send(by(&way, &copy, timeout));
    });
    let late = || SendError::new(format!("it took longer than {} s", timeout.as_secs()));
    let spare = Duration::from_secs(1);
    let sent = told.recv_timeout(timeout + spare);
    sent.unwrap_or_else(|_| Err(late()))
        .map_err(|error| error.without(message))
}

fn by(way: &Way, message: &Message, timeout: Duration) -> Result<(), SendError> {
    match way {
        Way::Smtp(smtp) => smtp::send(smtp, message, timeout),
        Way::Http(http) => http::send(http, message, timeout),
        Way::Command(command) => command::send(command, message, timeout),
    }
}

/// Whether this channel can take this address at all.
///
/// # Errors
/// What is wrong with it, in words; it is not repeated.
pub fn check_address(channel: &Channel, address: &str) -> Result<(), String> {
    otp_core::account::check_address(address)?;
    match &channel.way {
        Way::Smtp(_) => smtp::recipient(address)
            .map(drop)
            .map_err(|error| error.to_string()),
        Way::Http(_) | Way::Command(_) => Ok(()),
    }
}
