//! Printing: for people, or with `--json` for scripts. Never both.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use otp_core::totp::UnixTime;
use serde::Serialize;

use crate::error::CliError;

/// Prints one JSON value, indented.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)
        .map_err(|error| CliError::new(error.to_string()))?;
    writeln!(out)?;
    Ok(())
}

/// Prints text as it is. A reader that has seen enough, such as `head`, is no error.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(text: &str) -> Result<(), CliError> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
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
