//! Processes with a deadline: started, awaited, and ended with everything they started.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Far beyond what any step takes on a loaded machine; a run that reaches it hangs.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// What a finished process left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended; `None` when it was killed at the deadline.
    pub status: Option<ExitStatus>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// Whether it ended by itself, with exit status 0.
    pub fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// Runs `command` to its end or to the [`DEADLINE`]; its output is kept in `scratch`.
///
/// Files rather than pipes: a grandchild that keeps them open cannot keep us waiting.
pub fn run(command: &mut Command, scratch: &Path) -> Finished {
    let (out, err) = (scratch.join("stdout"), scratch.join("stderr"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let status = wait(&mut child, DEADLINE);
    if status.is_none() {
        kill_tree(&mut child);
    }
    let text = |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    Finished {
        status,
        stdout: text(out),
        stderr: text(err),
    }
}

/// Waits for the end of `child`; `None` when the deadline comes first.
pub fn wait(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    // One that was waited for has no process any more.
    if let Some(status) = child.try_wait().unwrap() {
        return Some(status);
    }
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    let timeout = Timespec::try_from(deadline).unwrap();
    let mut ended = [PollFd::new(&pidfd, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut ended, Some(&timeout))).unwrap();
    child.try_wait().unwrap()
}

/// Polls for a condition that nothing announces.
///
/// # Panics
/// When it does not come true before the [`DEADLINE`].
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(came_true(condition), "waited in vain for {what}");
}

fn came_true(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > DEADLINE {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Ends `child` and all its descendants, sessions of their own included.
pub fn kill_tree(child: &mut Child) {
    let root = Pid::from_child(child);
    // Stopped, it starts nothing new while its descendants are hunted down.
    let _ = kill_process(root, Signal::STOP);
    came_true(|| {
        let descendants = descendants(root);
        for pid in &descendants {
            let _ = kill_process(*pid, Signal::KILL);
        }
        descendants.is_empty()
    });
    let _ = kill_process(root, Signal::KILL);
    let _ = child.wait();
}

/// Ends all descendants of this program.
pub fn kill_descendants() {
    let own = rustix::process::getpid();
    came_true(|| {
        let descendants = descendants(own);
        for pid in &descendants {
            let _ = kill_process(*pid, Signal::KILL);
        }
        descendants.is_empty()
    });
}

/// Ends every other process that shares the mount namespace of the calling thread.
///
/// The test program itself is spared: its main thread lives in the machine's namespace.
pub(crate) fn kill_everything_in_this_namespace() {
    let Ok(ours) = fs::read_link("/proc/thread-self/ns/mnt") else {
        return;
    };
    if fs::read_link("/proc/self/ns/mnt").is_ok_and(|main| main == ours) {
        return;
    }
    for pid in all_processes() {
        let theirs = fs::read_link(format!("/proc/{}/ns/mnt", pid.as_raw_nonzero()));
        if theirs.is_ok_and(|theirs| theirs == ours) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The living descendants of `root`.
pub fn descendants(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for pid in all_processes() {
        if let Some(parent) = parent_of_living(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let these = children.remove(&pid).unwrap_or_default();
        found.extend(&these);
        next.extend(these);
    }
    found
}

fn all_processes() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(Pid::from_raw).collect()
}

/// `/proc/PID/stat` is `pid (name) state ppid ...`, and the name may hold anything.
fn parent_of_living(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then(|| Pid::from_raw(parent)).flatten()
}
