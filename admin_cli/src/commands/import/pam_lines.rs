//! The lines of pam.d that name the module people come from, and what to write instead.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::host::pamd::{Directive, Module, parse};

/// A module that people come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub module: &'static str,
    /// Options that mean the same to ours. The others are about the peer's file, which is no longer read.
    keeps: &'static [&'static str],
}

pub(super) const GOOGLE: Peer = Peer {
    module: "pam_google_authenticator.so",
    keeps: &[
        "nullok",
        "try_first_pass",
        "use_first_pass",
        "forward_pass",
        "authtok_prompt",
        "echo_verification_code",
        "echo-verification-code",
        "grace_period",
        "debug",
    ],
};

pub(super) const OATH: Peer = Peer {
    module: "pam_oath.so",
    keeps: &["try_first_pass", "use_first_pass", "debug"],
};

/// A line to change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PamChange {
    place: String,
    before: String,
    after: String,
}

impl PamChange {
    pub fn json(&self) -> Value {
        json!({ "place": self.place, "before": self.before, "after": self.after })
    }

    pub fn text(&self) -> String {
        format!(
            "\nTo use it, change in {}\n  - {}\n  + {}\n",
            self.place, self.before, self.after
        )
    }
}

/// The lines to change on this host; without any, an example.
pub(super) fn changes(directory: &Path, peer: Peer) -> Vec<PamChange> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort_unstable();
    let mut changes = Vec::new();
    for file in files {
        // Whatever cannot be read is not what libpam reads either.
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        changes.extend(changes_in(&text, &file.display().to_string(), peer));
    }
    if changes.is_empty() {
        let before = format!("auth required {}", peer.module);
        changes.extend(changes_in(
            &before,
            "the pam.d file that names the old module",
            peer,
        ));
    }
    changes
}

fn changes_in(text: &str, file: &str, peer: Peer) -> Vec<PamChange> {
    let mut changes = Vec::new();
    for line in parse(text) {
        let Directive::Module(module) = line.directive else {
            continue;
        };
        if module.name() != peer.module {
            continue;
        }
        let before = text.lines().nth(line.first - 1).unwrap_or_default().trim();
        let place = if file.starts_with('/') {
            format!("{file}, line {}:", line.first)
        } else {
            format!("{file}:")
        };
        changes.push(PamChange {
            place,
            before: before.to_owned(),
            after: after(before, &module, peer),
        });
    }
    changes
}

/// Everything before the module's name stays; behind it, the options that still mean something.
fn after(before: &str, module: &Module, peer: Peer) -> String {
    let (start, _) = before.split_once(&module.path).unwrap_or((before, ""));
    let mut line = format!("{start}pam_otpgate.so");
    for option in &module.options {
        let name = option.split('=').next().unwrap_or_default();
        if !peer.keeps.contains(&name) {
            continue;
        }
        if option.contains(char::is_whitespace) {
            line.push_str(&format!(" [{option}]"));
        } else {
            line.push_str(&format!(" {option}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_still_means_something_stays_on_the_line() {
        for (peer, before, expected) in [
            (
                GOOGLE,
                "auth required pam_google_authenticator.so",
                "auth required pam_otpgate.so",
            ),
            (
                GOOGLE,
                "auth  [success=done default=die] /lib/security/pam_google_authenticator.so nullok secret=/var/ga/${USER} user=root [authtok_prompt=Your code: ]",
                "auth  [success=done default=die] pam_otpgate.so nullok [authtok_prompt=Your code: ]",
            ),
            (
                OATH,
                "auth requisite pam_oath.so usersfile=/etc/users.oath window=20 digits=6 try_first_pass alwaysok",
                "auth requisite pam_otpgate.so try_first_pass",
            ),
        ] {
            let text = format!("# comment\n{before}\nauth required pam_unix.so\n");
            let changes = changes_in(&text, "/etc/pam.d/sshd", peer);
            assert_eq!(changes.len(), 1, "{before}");
            assert_eq!(changes[0].after, expected);
            assert_eq!(changes[0].place, "/etc/pam.d/sshd, line 2:");
        }
    }
}
