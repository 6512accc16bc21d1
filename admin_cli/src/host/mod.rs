//! This host: what locks people out or lets them round the code, and how to put the module in place.
//!
//! - [`finding`]: what a check says.
//! - [`pamd`], [`pam_control`]: a pam.d file as libpam reads it; [`pam_library`]: the stack it builds.
//! - [`pam_walk`]: every way through a stack; [`pam_stack`]: what is wrong with it, with the details in
//!   `pam_ways`, `pam_wrong_password`, `pam_entries`, [`pam_enrolment`], `pam_own_files`, [`pam_modules`] and [`pam_module_file`].
//! - [`sshd_run`], [`sshd_config`]: what sshd says and what is written; [`sshd`]: what is wrong with it.
//! - [`frontend`]: otpgate-sshd, the same.
//! - [`clock`]: codes by time need a right one.
//! - [`setup`]: `otpgate setup`; [`setup_outcome`], [`setup_error`]: how it ended; [`setup_pam`],
//!   [`setup_sshd`]: the lines; `setup_change`, [`setup_record`]: the way back.
//! - [`files`]: reading without hanging, replacing in one step.
//!
//! Nothing here has a path of its own: everything comes in through [`Paths`], so that tests run on
//! directories of theirs.

pub mod clock;
pub mod files;
pub mod finding;
pub mod frontend;
pub mod pam_control;
pub mod pam_enrolment;
mod pam_entries;
pub mod pam_library;
pub mod pam_module_file;
pub mod pam_modules;
mod pam_order;
mod pam_own_files;
pub mod pam_stack;
pub mod pam_walk;
mod pam_ways;
mod pam_wrong_password;
pub mod pamd;
mod program;
pub mod setup;
mod setup_change;
pub mod setup_error;
pub mod setup_outcome;
pub mod setup_pam;
pub mod setup_record;
pub mod setup_sshd;
pub mod sshd;
pub mod sshd_config;
pub mod sshd_run;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use finding::Finding;
use frontend::Frontend;
use pam_library::Library;
use pam_stack::{HasDenyRules, JudgeOptions, SendsCodes};
use sshd_run::{Connection, Sshd};

/// The PAM service of sshd: the name it was started under, unless a newer one has `PAMServiceName`.
pub const SSHD_SERVICE: &str = "sshd";

/// Where things are on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Where libpam looks for services, in its order; setup writes into the first.
    pub pam_dirs: Vec<PathBuf>,
    /// sshd's main configuration.
    pub sshd_config: PathBuf,
    /// Where its drop-ins are.
    pub sshd_dropin_dir: PathBuf,
    /// The server itself, by absolute path.
    pub sshd_binary: PathBuf,
    /// otpgate-sshd, and its configuration.
    pub frontend: Frontend,
    /// otpgate's own directory; setup keeps the originals below it.
    pub state_dir: PathBuf,
    /// Where libpam looks for modules.
    pub module_search_dirs: Vec<PathBuf>,
}

impl Default for Paths {
    fn default() -> Self {
        let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
        Self {
            pam_dirs: vec!["/etc/pam.d".into(), "/usr/lib/pam.d".into()],
            sshd_config: "/etc/ssh/sshd_config".into(),
            sshd_dropin_dir: "/etc/ssh/sshd_config.d".into(),
            sshd_binary: "/usr/sbin/sshd".into(),
            frontend: Frontend {
                binary: "/usr/sbin/otpgate-sshd".into(),
                config: "/etc/otpgate/otpgate-sshd.toml".into(),
            },
            state_dir: "/var/lib/otpgate".into(),
            module_search_dirs: vec![
                format!("/lib/{multiarch}/security").into(),
                format!("/usr/lib/{multiarch}/security").into(),
                "/lib64/security".into(),
                "/usr/lib64/security".into(),
                "/lib/security".into(),
                "/usr/lib/security".into(),
            ],
        }
    }
}

impl Paths {
    /// The sshd of this host.
    #[must_use]
    pub fn sshd(&self) -> Sshd {
        Sshd {
            binary: self.sshd_binary.clone(),
            config: self.sshd_config.clone(),
            patience: sshd_run::PATIENCE,
        }
    }

    /// The pam.d files of this host.
    #[must_use]
    pub fn library(&self) -> Library {
        Library::new(&self.pam_dirs)
    }
}

/// What `otpgate check` was asked.
pub struct CheckRequest<'a> {
    /// `--user`: judge sshd for this account, `Match` blocks included.
    pub user: Option<String>,
    /// `--from`: and for this address (without it, loopback).
    pub from: Option<IpAddr>,
    /// Whether a configuration has rules with `then = "deny"`.
    pub has_deny_rules: HasDenyRules<'a>,
    /// Whether one has channels.
    pub sends_codes: SendsCodes<'a>,
    /// Judges the options of our pam.d lines.
    pub judge_options: JudgeOptions<'a>,
}

impl CheckRequest<'_> {
    fn connection(&self) -> Option<Connection> {
        if self.user.is_none() && self.from.is_none() {
            return None;
        }
        Some(Connection {
            user: self.user.clone().unwrap_or_else(|| "nobody".to_owned()),
            from: self.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        })
    }
}

/// Everything wrong with this host, errors first; the state store is checked elsewhere.
#[must_use]
pub fn check_host(paths: &Paths, request: &CheckRequest<'_>) -> Vec<Finding> {
    let library = paths.library();
    let mut findings = clock::check(&pam_ffi::clock::synchronisation());
    let sshd_asks = pam_stack::services_that_ask(&library).contains(SSHD_SERVICE);
    let mut key_comes_first = false;
    if sshd_asks {
        let sshd = paths.sshd();
        let context = sshd::Context {
            first_pass: looks_in_password(&pam_stack::auth_options(&library, SSHD_SERVICE)),
            connection: request.connection(),
            enrols: pam_stack::auth_options(&library, SSHD_SERVICE)
                .iter()
                .any(|option| option == "enrol"),
        };
        let answer = sshd.settings(context.connection.as_ref());
        key_comes_first = answer.as_ref().is_ok_and(sshd::has_other_factor);
        findings.extend(sshd::check(&sshd, &answer, &context));
    }
    let frontend = frontend::settings(&paths.frontend).unwrap_or_else(|wrong| {
        findings.push(wrong);
        None
    });
    let context = pam_stack::Context {
        module_directories: &paths.module_search_dirs,
        judge_options: request.judge_options,
        has_deny_rules: request.has_deny_rules,
        sends_codes: request.sends_codes,
        has_other_factor: &|service| {
            let frontend = frontend.as_ref().filter(|it| it.pam_service == service);
            service == SSHD_SERVICE && key_comes_first
                || frontend.is_some_and(frontend::Settings::key_comes_first)
        },
    };
    findings.extend(pam_stack::check(&library, &context));
    if let Some(frontend) = &frontend {
        let its_library = frontend.library(&library);
        findings.extend(frontend::asks_for_no_code(frontend, &its_library));
        if frontend.pam_confdir.is_some() {
            findings.extend(pam_stack::check(&its_library, &context));
        }
    }
    finding::sorted(findings)
}

/// Whether the code may stand behind the password, so that sshd's password method can work.
fn looks_in_password(options: &[String]) -> bool {
    ["forward_pass", "try_first_pass", "use_first_pass"]
        .iter()
        .any(|wanted| options.iter().any(|option| option == wanted))
}
