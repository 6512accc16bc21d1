//! A channel of one's own: a program that reads the code from standard input.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use otp_core::config::{CommandLine, Template};
use rustix::process::{Pid, Signal, kill_process_group};

use super::{Message, SendError};

/// How often it is looked whether the program has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Runs it to its end, with the code and a line's end on standard input.
///
/// # Errors
/// When it must not be trusted, does not start, fails or takes too long; then it is killed, with all that it
/// started in its process group.
pub fn send(command: &CommandLine, message: &Message, timeout: Duration) -> Result<(), SendError> {
    let deadline = Instant::now() + timeout;
    let program = command.program.display();
    let wrong = |why: &dyn std::fmt::Display| SendError::new(format!("{program}: {why}"));
    pam_ffi::start::check(&command.program).map_err(|error| wrong(&error))?;
    let arguments = command
        .arguments
        .iter()
        .map(|template| argument(template, message));
    let arguments: Vec<String> = arguments.collect::<Result<_, _>>()?;
    let mut child = Command::new(&command.program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| wrong(&error))?;
    if let Some(mut input) = child.stdin.take() {
        let line = zeroize::Zeroizing::new(format!("{}\n", *message.code.expose()));
        // A program that does not read will say so by its exit status, or has no need to.
        let _ = input.write_all(line.as_bytes());
    }
    match wait(&mut child, deadline) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(wrong(&status)),
        None => {
            end(&mut child);
            Err(wrong(&format_args!(
                "took longer than {} s",
                timeout.as_secs()
            )))
        }
    }
}

/// An address must not become an option.
fn argument(template: &Template, message: &Message) -> Result<String, SendError> {
    let text = message.text(template);
    if text.starts_with('-') && !template.beginning().starts_with('-') {
        let why = format!("argv: \"{template}\" becomes an option of the program");
        return Err(SendError::new(why));
    }
    Ok(text.to_string())
}

fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(LOOK);
    }
}

fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Gone already is gone too.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}
