//! Printing: for people, or with `--json` for scripts. Never both.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use otp_core::totp::UnixTime;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::CliError;

/// Prints one JSON value, indented.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map(Zeroizing::new);
    let mut text = text.map_err(|error| CliError::new(error.to_string()))?;
    text.push('\n');
    print(&text)
}

/// Prints text as it is. A reader that has seen enough, such as `head`, is no error.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(text: &str) -> Result<(), CliError> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(cannot_print),
    }
}

/// What to say when standard output is full or broken.
#[must_use]
pub fn cannot_print(error: io::Error) -> CliError {
    CliError::new(format!("cannot write to standard output: {error}"))
}

/// A moment in local time, to the second; `never` for none.
#[must_use]
pub fn when(time: Option<UnixTime>) -> String {
    let Some(time) = time else {
        return "never".to_owned();
    };
    let timestamp = i64::try_from(time.0)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    match timestamp {
        Some(timestamp) => timestamp
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S %Z")
            .to_string(),
        None => format!("{} s after 1970", time.0),
    }
}
