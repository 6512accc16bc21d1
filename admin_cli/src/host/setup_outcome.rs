//! What setup did, and what to do next.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The file.
    pub file: PathBuf,
    /// `created`, `changed` or `removed`.
    pub how: &'static str,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing to do; exit status 0.
    AlreadyThere {
        /// The service.
        service: String,
    },
    /// `--dry-run`: a unified diff, and nothing was changed.
    Preview {
        /// The diff; empty if nothing would change.
        diff: String,
    },
    /// The module is in place.
    Done {
        /// The service.
        service: String,
        /// What changed.
        changed: Vec<Changed>,
        /// Where the originals are.
        originals: PathBuf,
        /// The systemd unit to reload.
        reload: Option<String>,
        /// The configuration that the lines name; without it undo looks for the originals elsewhere.
        #[serde(skip)]
        config: Option<PathBuf>,
    },
    /// Everything of ours is gone.
    Undone {
        /// The service.
        service: String,
        /// What changed.
        changed: Vec<Changed>,
        /// Lines that name our module but are not setup's.
        left: Vec<String>,
        /// The systemd unit to reload.
        reload: Option<String>,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyThere { service } => {
                writeln!(f, "{service}: already there, nothing changed.")
            }
            Self::Preview { diff } if diff.is_empty() => writeln!(f, "Nothing would change."),
            Self::Preview { diff } => f.write_str(diff),
            Self::Done {
                service,
                changed,
                originals,
                reload,
                config,
            } => {
                let otpgate = match config {
                    Some(path) => format!("otpgate --config {path:?}"),
                    None => "otpgate".to_owned(),
                };
                list(f, changed)?;
                writeln!(
                    f,
                    "Keep this session open until a login from a second one works."
                )?;
                next(f, &otpgate, service, reload.as_deref())?;
                writeln!(f, "To go back:\n    {otpgate} setup {service} --undo")?;
                writeln!(f, "    (the originals are in {})", originals.display())
            }
            Self::Undone {
                service,
                changed,
                left,
                reload,
            } => undone(f, service, changed, left, reload.as_deref()),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, changed: &[Changed]) -> fmt::Result {
    for Changed { file, how } in changed {
        writeln!(f, "{how} {}", file.display())?;
    }
    Ok(())
}

fn next(
    f: &mut fmt::Formatter<'_>,
    otpgate: &str,
    service: &str,
    reload: Option<&str>,
) -> fmt::Result {
    writeln!(f, "Next:")?;
    if let Some(unit) = reload {
        writeln!(
            f,
            "    systemctl reload {unit}    # now: the PAM line is in force at once, sshd's settings only after this"
        )?;
    }
    writeln!(f, "    otpgate test-login {service} USER")?;
    writeln!(f, "    {otpgate} check")
}

fn undone(
    f: &mut fmt::Formatter<'_>,
    service: &str,
    changed: &[Changed],
    left: &[String],
    reload: Option<&str>,
) -> fmt::Result {
    list(f, changed)?;
    if changed.is_empty() {
        writeln!(f, "{service}: the files were gone already.")?;
    }
    for place in left {
        writeln!(
            f,
            "{place} still names pam_otpgate.so; setup did not write that line, so it stays."
        )?;
    }
    match reload {
        Some(unit) => writeln!(f, "Next:\n    systemctl reload {unit}"),
        None => Ok(()),
    }
}
