//! Running a server's own check of its configuration, which must not keep us waiting for ever.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The longest output, `sshd -T`'s, is about 5 KiB.
const MAX_OUTPUT: u64 = 1024 * 1024;

/// Exit status, output and complaints, or `None` when the deadline passed and the child was killed.
pub(super) fn run_within(
    mut command: Command,
    deadline: Duration,
) -> io::Result<Option<(ExitStatus, String, String)>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let said = collect(child.stdout.take());
    let complaint = collect(child.stderr.take());
    match wait_until(&mut child, Instant::now() + deadline)? {
        Some(status) => Ok(Some((status, join(said), join(complaint)))),
        // The readers are left alone: a grandchild may hold the pipes open for as long as it likes.
        None => Ok(None),
    }
}

fn wait_until(child: &mut Child, end: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A full pipe would block the child, so both are read while it runs.
fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What could be read of a broken pipe is still worth showing.
            let _partial = pipe.take(MAX_OUTPUT).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn join(reader: JoinHandle<String>) -> String {
    reader.join().unwrap_or_default()
}
