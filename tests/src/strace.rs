//! strace: which system calls a process makes, and its death at one of them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// One finished system call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Such as `openat`.
    pub name: String,
    /// The whole line: `openat(AT_FDCWD, "...", ...) = 3`.
    pub line: String,
    /// Which of its name it is in the whole run, from 1.
    pub occurrence: usize,
}

/// `command` under strace, which writes what it sees to `output`.
pub fn traced(command: &Command, output: &Path, arguments: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-s", "4096", "-o"])
        .arg(output)
        .args(arguments)
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            strace.env(name, value);
        }
    }
    strace
}

/// `command`, killed when it is about to make this call: what came before it has happened, the call
/// itself has not.
pub fn killed_at(command: &Command, call: &Call) -> Command {
    let (name, when) = (&call.name, call.occurrence);
    let trace = format!("trace={name}");
    let inject = format!("inject={name}:signal=SIGKILL:when={when}");
    traced(
        command,
        Path::new("/dev/null"),
        &["-e", &trace, "-e", &inject],
    )
}

impl Call {
    /// Whether it is about memory: where that comes from differs from run to run.
    pub fn is_about_memory(&self) -> bool {
        let names = ["brk", "mmap", "munmap", "mremap", "madvise", "mprotect"];
        names.contains(&self.name.as_str())
    }
}

/// What strace wrote of a process with one thread.
///
/// # Panics
/// When strace is missing or wrote nothing.
pub fn read(output: &Path) -> Vec<Call> {
    calls(&text(output))
}

/// The same of the first process alone, and not of those that it started.
///
/// # Panics
/// As [`read`].
pub fn read_first(output: &Path) -> Vec<Call> {
    let text = text(output);
    let first = text.split_once(' ').map_or("", |(pid, _)| pid);
    let lines = text
        .lines()
        .filter(|line| line.split(' ').next() == Some(first));
    calls(&lines.collect::<Vec<_>>().join("\n"))
}

fn text(output: &Path) -> String {
    fs::read_to_string(output)
        .unwrap_or_else(|error| panic!("{}: {error}; is strace installed?", output.display()))
}

fn calls(text: &str) -> Vec<Call> {
    let mut seen = HashMap::new();
    // `PID  call(arguments) = result`; signals and exits are `PID  --- ...` and `PID  +++ ...`.
    let lines = text.lines().filter_map(|line| {
        let line = line.split_once(' ')?.1.trim_start();
        let name = line.split_once('(')?.0;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        (!name.is_empty() && name.bytes().all(plain)).then(|| (name.to_owned(), line.to_owned()))
    });
    let calls: Vec<Call> = lines
        .map(|(name, line)| {
            let occurrence: &mut usize = seen.entry(name.clone()).or_default();
            *occurrence += 1;
            Call {
                name,
                line,
                occurrence: *occurrence,
            }
        })
        .collect();
    assert!(!calls.is_empty(), "strace saw nothing");
    calls
}

/// From the answer, which `pam_app --barrier` reads from standard input, to the first thing that it
/// says about the verdict.
pub fn from_answer_to_verdict(calls: &[Call]) -> &[Call] {
    let answer = calls
        .iter()
        .position(|call| call.line.starts_with("read(0,"))
        .expect("the answer was read");
    let verdict = calls
        .iter()
        .position(|call| call.line.starts_with("write(1, \"called "))
        .expect("the verdict was printed");
    &calls[answer + 1..verdict]
}
