//! What a session runs, and where a forwarded connection may go: what was asked for, the configuration and
//! the key's limits come together here, before anything is started.

use std::path::Path;

use crate::as_user::KeyLimits;
use crate::config::{Config, HostPort, SessionKind};
use crate::protocol::Program;

/// What is to be run by the user's shell.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// What was asked for.
    pub kind: SessionKind,
    /// The command line; none for a login shell.
    pub command: Option<Vec<u8>>,
    /// What was asked for, where a key forces something else.
    pub original_command: Option<Vec<u8>>,
    /// Whether a key does.
    pub forced: bool,
}

/// Shells that know `exec`.
const POSIX_SHELLS: [&str; 7] = ["ash", "bash", "dash", "ksh", "mksh", "sh", "zsh"];

impl Plan {
    /// The command line for this shell. One that is known is told to become the sftp-server instead of
    /// waiting for it, which is a process less in every SFTP session; any other may compare the line with what
    /// it allows, and gets it as it is.
    #[must_use]
    pub fn command_for(&self, shell: &Path) -> Option<Vec<u8>> {
        let mut command = self.command.clone()?;
        let name = shell.file_name().and_then(|name| name.to_str());
        let is_known = name.is_some_and(|name| POSIX_SHELLS.contains(&name));
        if self.kind == SessionKind::Sftp && !self.forced && is_known {
            command.splice(0..0, *b"exec ");
        }
        Some(command)
    }
}

/// What to run, or why not, for the client's eyes.
///
/// # Errors
/// Where the configuration or the key forbids it.
pub fn plan(
    config: &Config,
    limits: &KeyLimits,
    program: &Program,
    on_terminal: bool,
) -> Result<Plan, &'static str> {
    let (kind, command) = match program {
        Program::Shell => (SessionKind::Shell, None),
        Program::Command(command) => (SessionKind::Exec, Some(command.clone())),
        Program::Subsystem(name) if name == "sftp" => {
            (SessionKind::Sftp, Some(quoted(&config.sftp_server)))
        }
        Program::Subsystem(_) => return Err("no such subsystem"),
    };
    if !config.permit_sessions.contains(&kind) {
        return Err("this kind of session is not permitted");
    }
    if on_terminal && limits.no_terminal {
        return Err("no terminal for this key");
    }
    if command.as_ref().is_some_and(|line| line.contains(&0)) {
        return Err("a command with a NUL inside");
    }
    Ok(match &limits.command {
        None => Plan {
            kind,
            command,
            original_command: None,
            forced: false,
        },
        Some(forced) => Plan {
            kind,
            command: Some(forced.clone().into_bytes()),
            original_command: command,
            forced: true,
        },
    })
}

/// A path as one word of a command line.
fn quoted(path: &Path) -> Vec<u8> {
    let path = path.to_string_lossy();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+".contains(letter);
    if path.chars().all(is_plain) {
        return path.into_owned().into_bytes();
    }
    format!("'{}'", path.replace('\'', r"'\''")).into_bytes()
}

/// Whether a `direct-tcpip` channel to this host and port may be opened: `permit_open` has to name it, and
/// the key's options, if there are any, as well.
#[must_use]
pub fn may_connect(permit_open: &[HostPort], limits: &KeyLimits, host: &str, port: u16) -> bool {
    let configured = permit_open.iter().any(|permitted| {
        permitted
            .host
            .as_ref()
            .is_none_or(|name| name.eq_ignore_ascii_case(host))
            && permitted.port.is_none_or(|number| number == port)
    });
    let by_key = limits.permit_open.is_empty()
        || limits
            .permit_open
            .iter()
            .any(|permitted| names(permitted, host, port));
    configured && by_key && !limits.no_forwarding
}

/// Whether `host:port` of an authorized_keys file, each part perhaps `*`, names this.
fn names(permitted: &str, host: &str, port: u16) -> bool {
    let Some((name, number)) = permitted.rsplit_once(':') else {
        return false;
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let name = bare.unwrap_or(name);
    (name == "*" || name.eq_ignore_ascii_case(host))
        && (number == "*" || number.parse() == Ok(port))
}

#[cfg(test)]
mod tests {
    use super::super::place::tests::place;
    use super::*;

    fn planned(limits: &KeyLimits, program: &Program) -> Result<Plan, &'static str> {
        plan(&place().config, limits, program, false)
    }

    #[test]
    fn only_shells_that_are_known_become_the_sftp_server() {
        let plan = |forced| Plan {
            kind: SessionKind::Sftp,
            command: Some(b"/usr/lib/sftp-server".to_vec()),
            original_command: None,
            forced,
        };
        let line = |forced, shell| plan(forced).command_for(Path::new(shell)).unwrap();
        assert_eq!(line(false, "/bin/bash"), b"exec /usr/lib/sftp-server");
        assert_eq!(line(false, "/usr/bin/rssh"), b"/usr/lib/sftp-server");
        assert_eq!(line(true, "/bin/bash"), b"/usr/lib/sftp-server");
    }

    #[test]
    fn each_kind_of_program_becomes_a_command_line_or_the_shell() {
        let free = KeyLimits::default();
        let cases = [
            (Program::Shell, SessionKind::Shell, None),
            (
                Program::Command(b"ls".to_vec()),
                SessionKind::Exec,
                Some("ls"),
            ),
            (
                Program::Subsystem("sftp".into()),
                SessionKind::Sftp,
                Some("/usr/lib/openssh/sftp-server"),
            ),
        ];
        for (program, kind, command) in cases {
            let plan = planned(&free, &program).unwrap();
            assert_eq!(plan.kind, kind);
            assert_eq!(plan.command.as_deref(), command.map(str::as_bytes));
            assert!(plan.original_command.is_none() && !plan.forced);
        }
        for name in ["", "netconf", "SFTP", "sftp "] {
            assert!(planned(&free, &Program::Subsystem(name.into())).is_err());
        }
        assert!(planned(&free, &Program::Command(b"l\0s".to_vec())).is_err());
    }

    #[test]
    fn a_forced_command_is_run_whatever_is_asked_for() {
        let limits = KeyLimits {
            command: Some("backup".into()),
            ..KeyLimits::default()
        };
        for (program, original) in [
            (Program::Shell, None),
            (Program::Command(b"sh".to_vec()), Some(b"sh".to_vec())),
            (
                Program::Subsystem("sftp".into()),
                Some(b"/usr/lib/openssh/sftp-server".to_vec()),
            ),
        ] {
            let plan = planned(&limits, &program).unwrap();
            assert_eq!(plan.command.as_deref(), Some(&b"backup"[..]));
            assert_eq!(plan.original_command, original);
            assert!(plan.forced);
        }
    }

    #[test]
    fn what_is_not_permitted_is_not_run() {
        let mut config = place().config;
        config.permit_sessions = vec![SessionKind::Sftp];
        let free = KeyLimits::default();
        assert!(plan(&config, &free, &Program::Shell, false).is_err());
        assert!(plan(&config, &free, &Program::Command(b"ls".to_vec()), false).is_err());
        assert!(plan(&config, &free, &Program::Subsystem("sftp".into()), false).is_ok());
        let bare = KeyLimits {
            no_terminal: true,
            ..free
        };
        assert!(plan(&place().config, &bare, &Program::Shell, true).is_err());
        assert!(plan(&place().config, &bare, &Program::Shell, false).is_ok());
    }

    #[test]
    fn a_path_with_blanks_and_quotes_stays_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), br"'/a b/it'\''s'");
    }

    #[test]
    fn connections_go_where_configuration_and_key_both_allow() {
        let to = |host: Option<&str>, port| HostPort {
            host: host.map(str::to_owned),
            port,
        };
        let free = KeyLimits::default();
        let one = [to(Some("Inner.example"), Some(22))];
        assert!(may_connect(&one, &free, "inner.example", 22));
        assert!(!may_connect(&one, &free, "inner.example", 23));
        assert!(!may_connect(&one, &free, "other.example", 22));
        assert!(!may_connect(&[], &free, "inner.example", 22));
        let any = [to(None, None)];
        assert!(may_connect(&any, &free, "::1", 1));
        let narrow = KeyLimits {
            permit_open: vec!["[::1]:22".into(), "b:*".into(), "damaged".into()],
            ..KeyLimits::default()
        };
        for (host, port, allowed) in [
            ("::1", 22, true),
            ("::1", 23, false),
            ("b", 9, true),
            ("c", 22, false),
            ("damaged", 22, false),
        ] {
            assert_eq!(may_connect(&any, &narrow, host, port), allowed, "{host}");
        }
        let none = KeyLimits {
            no_forwarding: true,
            ..KeyLimits::default()
        };
        assert!(!may_connect(&any, &none, "::1", 22));
    }
}
