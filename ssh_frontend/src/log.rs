//! The log: one line per decision, `key=value`, stable, in the style of the module's.
//!
//! Only the listener and the monitors write it; a network process tells its monitor, or nobody. No answer,
//! key or password is ever in it, and a user name only once the system knows it.

use serde::{Deserialize, Serialize};

use pam_ffi::{Priority, syslog};

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// syslog, AUTHPRIV.
    Syslog,
    /// Standard error, for a terminal, a container, or systemd's journal.
    Stderr,
}

impl Destination {
    /// Makes ready to write lines from this process.
    pub fn open(self) {
        if self == Self::Syslog {
            syslog::open(c"otpgate-sshd");
        }
    }

    /// Normal: a decision, a beginning, an end.
    pub fn info(self, line: &str) {
        self.write(Priority::Info, line);
    }

    /// Somebody is trying, or something will break.
    pub fn warning(self, line: &str) {
        self.write(Priority::Warning, line);
    }

    /// Something is broken and needs an administrator.
    pub fn error(self, line: &str) {
        self.write(Priority::Error, line);
    }

    fn write(self, priority: Priority, line: &str) {
        match self {
            Self::Syslog => syslog::write(priority, &format!("otpgate-sshd: {line}")),
            // One write, so that lines of several processes do not mix; nobody to tell if it fails.
            Self::Stderr => {
                let line = format!("otpgate-sshd: {}\n", syslog::printable(line));
                let _ = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
            }
        }
    }
}
