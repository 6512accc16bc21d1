//! Programs started from inside a host: what they find, and what the host is left with.
#![cfg(not(miri))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use pam_ffi::start::{Program, start};
use std::ffi::c_int;
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One test at a time: a child of another's would have a program open that is still being written, which the
/// kernel then refuses to execute, and descriptors are counted here.
static ALONE: Mutex<()> = Mutex::new(());

/// A program that tells what it found, in a file.
struct Scene {
    directory: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Scene {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn script(&self, text: &str) -> PathBuf {
        let path = self.directory.path().join("program");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// What stands in the file when it is whole.
    fn told(&self) -> String {
        let path = self.directory.path().join("told");
        wait_until(|| fs::read_to_string(&path).is_ok_and(|text| text.ends_with("end\n")));
        fs::read_to_string(path).unwrap()
    }

    fn start(&self, text: &str, deadline: u32) -> io::Result<()> {
        start(&Program {
            path: &self.script(text),
            arguments: &[self.directory.path().to_str().unwrap(), "--flag"],
            input: b"one line\n",
            deadline,
        })
    }
}

fn wait_until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn the_program_finds_a_clean_place() {
    let scene = Scene::new();
    // Left open across exec, as hosts do.
    let leaking = fs::File::open("/dev/zero").unwrap();
    // SAFETY: takes numbers.
    unsafe { libc::fcntl(leaking.as_raw_fd(), libc::F_SETFD, 0) };
    // What `ls` finds open is what the shell was given: its own descriptors close themselves on exec. Those of
    // the shell (`$$`) would be another matter while it makes a pipeline.
    let tell = r#"ls -l /proc/self/fd > "$1/descriptors"
{ echo "argument $2"; cat; pwd; env | grep -v -e ^_= -e ^PWD= -e ^SHLVL= | sort; umask
  grep -e SigIgn -e SigBlk -e SigCgt /proc/self/status; ulimit -c; ps -o sid= -p $$ | tr -d ' ' | grep -qx $$ && echo session
  echo end; } > "$1/told""#;
    scene.start(tell, 60).unwrap();
    let told = scene.told();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "argument --flag",
            "one line",
            "/",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "0077"
        ]
    );
    let open = fs::read_to_string(scene.directory.path().join("descriptors")).unwrap();
    let numbers: Vec<&str> = open
        .lines()
        .filter_map(|line| line.split_once(" -> ")?.0.rsplit(' ').next())
        .collect();
    // The three of the standard, and the directory itself.
    assert_eq!(numbers, ["0", "1", "2", "3"], "{open}");
    assert!(!open.contains("/dev/zero"), "{open}");
    for name in ["SigBlk", "SigIgn"] {
        assert!(
            told.contains(&format!("{name}:\t0000000000000000")),
            "{told}"
        );
    }
    assert!(told.contains("session\nend"), "{told}");
}

#[test]
fn a_program_that_hangs_is_killed() {
    let scene = Scene::new();
    scene
        .start(
            r#"echo $$ > "$1/pid"; { echo end; } > "$1/told"; exec sleep 600"#,
            5,
        )
        .unwrap();
    scene.told();
    let pid = fs::read_to_string(scene.directory.path().join("pid")).unwrap();
    wait_until(|| !alive(pid.trim()));
}

static HEARD: AtomicU32 = AtomicU32::new(0);

extern "C" fn hear(_: c_int) {
    HEARD.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn the_host_hears_of_no_child_and_has_no_descriptor_more() {
    let handler = hear as extern "C" fn(c_int);
    // SAFETY: the handler touches an atomic number. No other test here has children.
    unsafe { libc::signal(libc::SIGCHLD, handler as libc::sighandler_t) };
    let scene = Scene::new();
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for _ in 0..20 {
        scene.start(r#"{ echo end; } > "$1/told""#, 60).unwrap();
    }
    assert_eq!(descriptors(), before);
    assert_eq!(HEARD.load(Ordering::Relaxed), 0, "SIGCHLD");
    let children = format!("/proc/self/task/{}/children", gettid());
    let children = fs::read_to_string(children).unwrap_or_default();
    assert_eq!(children, "");
}

fn gettid() -> i64 {
    // SAFETY: takes no arguments.
    unsafe { libc::syscall(libc::SYS_gettid) }
}

#[test]
fn what_is_not_to_be_trusted_is_not_started() {
    let scene = Scene::new();
    let path = scene.script("echo");
    let with = |path: &Path| {
        start(&Program {
            path,
            arguments: &[],
            input: b"",
            deadline: 1,
        })
        .map_err(|error| error.kind())
    };
    assert_eq!(with(&path), Ok(()));
    for mode in [0o775, 0o757, 0o644] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            with(&path),
            Err(io::ErrorKind::PermissionDenied),
            "{mode:o}"
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        with(scene.directory.path()),
        Err(io::ErrorKind::PermissionDenied)
    );
    assert_eq!(with(Path::new("bin/sh")), Err(io::ErrorKind::InvalidInput));
    assert_eq!(
        with(Path::new("/nonexistent")),
        Err(io::ErrorKind::NotFound)
    );
    fs::write(&path, "\x7fELF and nothing else").unwrap();
    assert!(with(&path).is_err(), "the error of exec comes back");
}
