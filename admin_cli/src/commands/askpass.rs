//! `otpgate askpass`: answers ssh, says whether it could, or starts what asks.

use std::fmt::Write as _;

use rustix::io::Errno;
use serde_json::json;
use zeroize::Zeroizing;

use super::Context;
use crate::askpass::{self, Tested};
use crate::cli::Askpass;
use crate::error::{CliError, NO, OK};

pub(super) fn run(context: &Context<'_>, arguments: &Askpass) -> Result<u8, CliError> {
    if arguments.test {
        return test(context);
    }
    match &arguments.prompt {
        Some(prompt) => answer(&prompt.to_string_lossy()),
        None => askpass::run::run(&arguments.run),
    }
}

/// Answers one question on standard output.
///
/// # Errors
/// Why not; then nothing was printed.
pub fn answer(question: &str) -> Result<u8, CliError> {
    let answer = askpass::answer(question)?;
    let mut line = Zeroizing::new(String::with_capacity(answer.len() + 1));
    line.push_str(&answer);
    line.push('\n');
    // Not through std's buffer, which is not wiped.
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(CliError::no(format!("cannot answer: {error}"))),
        }
    }
    Ok(OK)
}

fn test(context: &Context<'_>) -> Result<u8, CliError> {
    let (path, logins) = askpass::test()?;
    let good = logins.iter().all(|login| login.problems.is_empty());
    let listed = |login: &Tested| json!({ "who": login.who, "problems": login.problems });
    let json = json!({
        "file": path.display().to_string(),
        "logins": logins.iter().map(listed).collect::<Vec<_>>(),
    });
    let mut text = String::new();
    for login in &logins {
        let who = login.who.join(", ");
        // Writing to a String cannot fail.
        let _ = match login.problems.as_slice() {
            [] => writeln!(text, "{who}: can be answered"),
            problems => writeln!(text, "{who}: {}", problems.join("; ")),
        };
    }
    if logins.is_empty() {
        let _ = writeln!(
            text,
            "{}: no [[login]], so nothing is answered",
            path.display()
        );
    }
    context.print(&json, &text)?;
    Ok(if good { OK } else { NO })
}
