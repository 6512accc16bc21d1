//! Reading what people and scripts hand over: codes, and secrets that never stand in argv.

use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use otp_core::secret::Secret;
use zeroize::Zeroizing;

use crate::error::CliError;

/// Longest file that a secret is read from, in bytes.
const LONGEST_SECRET_FILE: u64 = 4096;

/// Reads `--secret-from FILE|-`: base32, or `hex:` and hexadecimal.
///
/// # Errors
/// When it cannot be read, or is no secret. The text is not repeated.
pub fn secret_from(place: &str) -> Result<Secret, CliError> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let read = if place == "-" {
        io::stdin()
            .lock()
            .take(LONGEST_SECRET_FILE)
            .read_to_string(&mut text)
    } else {
        File::open(place).and_then(|file| file.take(LONGEST_SECRET_FILE).read_to_string(&mut text))
    };
    read.map_err(|error| CliError::new(format!("--secret-from {place}: {error}")))?;
    let text = text.trim();
    let secret = match text.strip_prefix("hex:") {
        Some(hex) => Secret::from_hex(hex),
        None => Secret::from_base32(text),
    };
    secret.map_err(|error| CliError::new(format!("--secret-from {place}: {error}")))
}

/// Asks on standard error, and reads one line from standard input; `None` at its end.
///
/// # Errors
/// When standard input cannot be read.
pub fn ask(question: &str) -> Result<Option<Zeroizing<String>>, CliError> {
    eprint!("{question}");
    let mut line = Zeroizing::new(String::with_capacity(512));
    let length = io::stdin().lock().take(4096).read_line(&mut line);
    let length = length.map_err(|error| {
        CliError::new(format!(
            "cannot read an answer from standard input: {error}"
        ))
    })?;
    if length == 0 && !question.is_empty() {
        // What is said next begins a line of its own.
        eprintln!();
    }
    Ok((length > 0).then_some(line))
}

/// Whether somebody sits in front of standard input.
#[must_use]
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}
