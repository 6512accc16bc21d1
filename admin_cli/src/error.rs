//! Errors as people read them, and exit statuses as scripts do.

use std::fmt;

use otp_core::config::ConfigError;
use otp_core::secret::SecretError;
use otp_core::shown;
use otp_core::store::StoreError;

/// Done; or, of a question, "yes".
pub const OK: u8 = 0;
/// A question answered "no": a code that would be refused, a check with warnings.
pub const NO: u8 = 1;
/// An error: nothing was changed, unless the message says otherwise.
pub const ERROR: u8 = 2;

/// What went wrong, where, and what to do.
#[derive(Debug)]
pub struct CliError {
    message: String,
    status: u8,
}

impl CliError {
    /// An error with [`ERROR`] as its status.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: shown::lines(&message.into()),
            status: ERROR,
        }
    }

    /// A "no" with its reason.
    pub fn no(message: impl Into<String>) -> Self {
        Self {
            message: shown::lines(&message.into()),
            status: NO,
        }
    }

    /// The exit status.
    #[must_use]
    pub fn status(&self) -> u8 {
        self.status
    }

    /// Prints it to standard error; with `json`, as an object with the key `error`.
    pub fn report(&self, json: bool) {
        if json {
            eprintln!("{}", serde_json::json!({ "error": self.message }));
        } else {
            eprintln!("otpgate: {}", self.message);
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

macro_rules! from_display {
    ($($error:ty),*) => {
        $(impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::new(error.to_string())
            }
        })*
    };
}

from_display!(
    ConfigError,
    StoreError,
    SecretError,
    crate::host::setup::SetupError
);

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::new(format!("cannot read or write: {error}"))
    }
}
