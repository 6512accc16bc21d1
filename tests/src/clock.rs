//! Clocks for processes: the machine's, or libfaketime's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which time a process is told.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's.
    Real,
    /// So many seconds ahead of the machine's (behind, when negative).
    Shifted(i64),
    /// Every process starts at this moment, in seconds since 1970, and goes on from there.
    StartingAt(u64),
}

impl Clock {
    /// Sets the clock of `command` and of what it starts.
    ///
    /// The monotonic clock stays real: deadlines and timeouts are to work as always.
    pub fn set(self, command: &mut Command) {
        let time = match self {
            Self::Real => return,
            Self::Shifted(seconds) => format!("{seconds:+}"),
            Self::StartingAt(seconds) => format!("@{}", utc(seconds)),
        };
        command
            .env("LD_PRELOAD", libfaketime())
            .env("FAKETIME", time)
            .env("TZ", "UTC")
            .env("DONT_FAKE_MONOTONIC", "1");
    }
}

/// Removes what libfaketime shares in a process that was killed: the next process of that number would find it,
/// and refuse to start.
pub fn clear_after(pid: u32) {
    for name in [
        format!("faketime_shm_{pid}"),
        format!("sem.faketime_sem_{pid}"),
    ] {
        // It is not there under the machine's own clock.
        let _ = fs::remove_file(Path::new("/dev/shm").join(name));
    }
}

fn utc(seconds: u64) -> String {
    let at = format!("@{seconds}");
    let date = Command::new("date")
        .args(["-u", "-d", &at, "+%F %T"])
        .output()
        .unwrap();
    assert!(date.status.success());
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

fn libfaketime() -> PathBuf {
    let multiarch = format!("/usr/lib/{}-linux-gnu/faketime", std::env::consts::ARCH);
    let library = Path::new(&multiarch).join("libfaketime.so.1");
    assert!(
        library.exists(),
        "{} is missing: install faketime",
        library.display()
    );
    library
}
