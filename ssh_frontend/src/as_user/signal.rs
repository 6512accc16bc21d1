//! Signals that a client sends to its program (RFC 4254, section 6.9).

use nix::errno::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

/// The names of RFC 4254, section 6.9, without SIG.
pub const SIGNALS: [(&str, Signal); 13] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

/// Sends the signal of this name to a process group.
///
/// # Errors
/// Why not: a name that is none, a group that is none, or what the kernel said.
pub fn send(group: i32, name: &str) -> Result<(), String> {
    let signal = SIGNALS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, signal)| *signal)
        .ok_or("a signal that RFC 4254 does not name")?;
    // To kill(2), 0 is one's own group, -1 everybody, and a group of init's does not begin here.
    let group = Some(group)
        .filter(|group| *group > 1)
        .and_then(Pid::from_raw)
        .ok_or("a process group that is none")?;
    kill_process_group(group, signal)
        .map_err(|error| Errno::from_raw(error.raw_os_error()).desc().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command};
    use std::thread::sleep;
    use std::time::Duration;

    #[test]
    fn every_name_ends_a_process_group_by_the_signal_of_that_name() {
        for (name, signal) in SIGNALS {
            let mut child = sleeper();
            send(i32::try_from(child.id()).unwrap(), name).unwrap();
            let status = child.wait().unwrap();
            assert_eq!(status.signal(), Some(signal.as_raw()), "{name}");
        }
    }

    /// A group of its own, to which no signal means anything else than usual, whatever is ignored here (as nohup
    /// does).
    fn sleeper() -> Child {
        let child = Command::new("env")
            .args(["--default-signal", "sleep", "60"])
            .process_group(0)
            .spawn()
            .unwrap();
        let name = format!("/proc/{}/comm", child.id());
        let mut tries = 0;
        while fs::read_to_string(&name).unwrap() != "sleep\n" {
            tries += 1;
            assert!(tries < 20_000, "env has not started sleep");
            sleep(Duration::from_millis(1));
        }
        child
    }

    #[test]
    fn nothing_else_is_a_name() {
        for name in ["", "SIGTERM", "term", "STOP", "CONT", "9", "WINCH"] {
            assert!(send(i32::MAX, name).unwrap_err().contains("RFC"), "{name}");
        }
    }

    #[test]
    fn groups_that_mean_something_else_to_the_kernel_are_refused() {
        for group in [i32::MIN, -1, 0, 1] {
            let error = send(group, "USR1").unwrap_err();
            assert_eq!(error, "a process group that is none", "{group}");
        }
    }

    #[test]
    fn a_group_that_nobody_is_in_is_said_so() {
        assert_eq!(send(i32::MAX, "TERM").unwrap_err(), "No such process");
    }
}
