//! What is wrong with the pam.d files that use our module.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::pam_library::{Library, Stack, Step};
use super::pam_walk::{OUR_MODULE, is_ours};
use super::pamd::{Kind, Module};
use super::setup_pam::named_config;
use super::{pam_enrolment, pam_entries, pam_module_file, pam_order, pam_own_files, pam_ways};

/// Files that several services share by the distributions' convention.
pub const SHARED_FILES: [&str; 14] = [
    "common-auth",
    "common-account",
    "common-password",
    "common-session",
    "common-session-noninteractive",
    "system-auth",
    "password-auth",
    "postlogin",
    "fingerprint-auth",
    "smartcard-auth",
    "base-auth",
    "system-login",
    "system-remote-login",
    "other",
];

/// Programs that every local user may start as root, and that keep the user's identity beside it, so that the
/// user may send them signals. runuser is for root alone; sshd and login belong to root altogether.
const STARTED_BY_ANYBODY: [&str; 8] = [
    "chfn", "chsh", "doas", "polkit-1", "su", "su-l", "sudo", "sudo-i",
];

/// Whether a service is that of such a program.
#[must_use]
pub fn is_started_by_anybody(service: &str) -> bool {
    STARTED_BY_ANYBODY.contains(&service)
}

/// Judges the options of one line of ours: what [`pam_login::options::Options::parse`] says.
pub type JudgeOptions<'a> = &'a dyn Fn(&[String]) -> Result<(), String>;

/// Whether the configuration of this name has rules with `then = "deny"`; without a name, the one that the
/// command works with.
pub type HasDenyRules<'a> = &'a dyn Fn(Option<&str>) -> bool;

/// Whether the configuration of this name, as there, has channels by which codes are sent.
pub type SendsCodes<'a> = &'a dyn Fn(Option<&str>) -> bool;

/// What the stacks are judged against.
pub struct Context<'a> {
    /// Where libpam looks for modules.
    pub module_directories: &'a [PathBuf],
    /// Judges the options of our lines.
    pub judge_options: JudgeOptions<'a>,
    /// Looks into the configuration of a line.
    pub has_deny_rules: HasDenyRules<'a>,
    /// The same.
    pub sends_codes: SendsCodes<'a>,
    /// Services in which something else than PAM asks for another factor first, as sshd does with
    /// `AuthenticationMethods publickey,keyboard-interactive`.
    pub has_other_factor: &'a dyn Fn(&str) -> bool,
}

/// The four stacks of one service.
pub(super) struct Service<'a> {
    pub(super) name: &'a str,
    pub(super) auth: Stack,
    pub(super) account: Stack,
    pub(super) password: Stack,
    session: Stack,
}

impl<'a> Service<'a> {
    fn load(library: &Library, name: &'a str) -> Self {
        Self {
            name,
            auth: library.stack(name, Kind::Auth),
            account: library.stack(name, Kind::Account),
            password: library.stack(name, Kind::Password),
            session: library.stack(name, Kind::Session),
        }
    }

    fn all(&self) -> [&Stack; 4] {
        [&self.auth, &self.account, &self.password, &self.session]
    }

    fn ours(&self) -> impl Iterator<Item = (&Step, &Module)> {
        self.all().into_iter().flat_map(ours)
    }
}

/// The steps of ours in a stack.
pub(super) fn ours(stack: &Stack) -> impl Iterator<Item = (&Step, &Module)> {
    stack
        .steps
        .iter()
        .filter(|step| is_ours(step))
        .filter_map(|step| Some((step, step.module()?)))
}

/// The services whose auth stack asks for a code.
#[must_use]
pub fn services_that_ask(library: &Library) -> BTreeSet<String> {
    library
        .services()
        .into_iter()
        .filter(|name| library.stack(name, Kind::Auth).steps.iter().any(is_ours))
        .collect()
}

/// The options of our auth lines in a service.
#[must_use]
pub fn auth_options(library: &Library, service: &str) -> Vec<String> {
    let stack = library.stack(service, Kind::Auth);
    ours(&stack)
        .flat_map(|(_, module)| module.options.clone())
        .collect()
}

/// The options of each auth line of ours, whatever the service.
#[must_use]
pub fn auth_lines(library: &Library) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for service in library.services() {
        let stack = library.stack(&service, Kind::Auth);
        lines.extend(ours(&stack).map(|(_, module)| module.options.clone()));
    }
    lines.sort();
    lines.dedup();
    lines
}

/// A line of ours with `config=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedConfig {
    /// The pam.d file.
    pub file: PathBuf,
    /// The line there.
    pub line: usize,
    /// What it names.
    pub path: String,
}

/// The lines of ours that name a configuration, each once.
#[must_use]
pub fn named_configs(library: &Library) -> Vec<NamedConfig> {
    let mut named = Vec::new();
    for name in library.services() {
        for (step, module) in Service::load(library, &name).ours() {
            let Some(path) = named_config(module) else {
                continue;
            };
            let config = NamedConfig {
                file: step.file.clone(),
                line: step.line,
                path: path.to_owned(),
            };
            if !named.contains(&config) {
                named.push(config);
            }
        }
    }
    named
}

/// Everything wrong with every service that uses our module.
#[must_use]
pub fn check(library: &Library, context: &Context<'_>) -> Vec<Finding> {
    if !library.exists() {
        return vec![no_directory(&library.place())];
    }
    let mut findings = shared_files(library);
    let mut used = false;
    for name in library.services() {
        let service = Service::load(library, &name);
        if service.ours().next().is_some() {
            used = true;
            findings.extend(check_service(&service, context));
        }
    }
    if !used {
        findings.push(unused(&library.place()));
    }
    findings
}

fn no_directory(place: &str) -> Finding {
    Finding::error(
        "pam-no-directory",
        place,
        "There is no pam.d directory, so libpam reads /etc/pam.conf, which otpgate does not judge.",
        "mkdir -m 0755 /etc/pam.d    # and one file in it for each service of /etc/pam.conf",
    )
}

fn unused(place: &str) -> Finding {
    Finding::warning(
        "pam-unused",
        place,
        format!("No service uses {OUR_MODULE}: nobody is asked for a code."),
        "otpgate setup sshd",
    )
}

fn check_service(service: &Service<'_>, context: &Context<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = service
        .all()
        .iter()
        .flat_map(|stack| stack.findings.clone())
        .collect();
    findings.extend(pam_ways::check(service.name, &service.auth));
    findings.extend(pam_order::check(service, context));
    findings.extend(lines(service, context));
    findings.extend(pam_enrolment::check(service));
    let denies = |(_, module): (_, &Module)| (context.has_deny_rules)(named_config(module));
    if service.ours().any(denies) {
        findings.extend(pam_entries::deny_rules(service));
    }
    findings
}

/// What each line of ours says by itself.
fn lines(service: &Service<'_>, context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (step, module) in service.ours() {
        let edit = format!("sudoedit +{} {}", step.line, step.file.display());
        if let Err(why) = (context.judge_options)(&module.options) {
            findings.push(Finding::error(
                "pam-bad-option",
                step.place(),
                format!("The module refuses every login over this line: {why}"),
                edit.clone(),
            ));
        }
        if module.silent {
            findings.push(Finding::warning(
                "pam-silent-line",
                step.place(),
                "With \"-\" in front, libpam does not log that the module is missing: logins fail and no line says why.",
                format!("{edit}    # take the \"-\" out"),
            ));
        }
        findings.extend(pam_own_files::check(step, module));
        if module.kind == Kind::Auth && module.has_option("nullok") {
            findings.push(Finding::warning(
                "pam-nullok",
                step.place(),
                "\"nullok\": people who are not enrolled are let in without a code.",
                format!(
                    "otpgate setup {} --require    # once everybody is enrolled",
                    service.name
                ),
            ));
        }
        findings.extend(pam_module_file::check(
            &module.path,
            context.module_directories,
        ));
    }
    findings
}

/// Our line in a file that other services share.
fn shared_files(library: &Library) -> Vec<Finding> {
    let mut reached: Vec<(String, PathBuf, BTreeSet<String>)> = Vec::new();
    for service in library.services() {
        let stack = library.stack(&service, Kind::Auth);
        for step in stack.steps.iter().filter(|step| is_ours(step)) {
            let place = step.place();
            match reached.iter_mut().find(|(known, ..)| *known == place) {
                Some((_, _, services)) => drop(services.insert(service.clone())),
                None => reached.push((place, step.file.clone(), [service.clone()].into())),
            }
        }
    }
    reached
        .into_iter()
        .filter_map(|(place, file, services)| shared_file(place, &file, services))
        .collect()
}

fn shared_file(place: String, file: &Path, services: BTreeSet<String>) -> Option<Finding> {
    let own = file.file_name()?.to_str()?;
    // `su-l` and `sudo-i` are `su` and `sudo` under another name, and include them.
    let alias = |name: &String| name == own || name.starts_with(&format!("{own}-"));
    let hit: Vec<String> = services
        .into_iter()
        .filter(|name| !alias(name) && !SHARED_FILES.contains(&name.as_str()))
        .collect();
    if hit.is_empty() && !SHARED_FILES.contains(&own) {
        return None;
    }
    Some(Finding::error(
        "pam-shared-file",
        place,
        format!(
            "{own} is shared: {} ask for a code too. Screen lockers run without root and cannot read the store, so they lock their users out.",
            if hit.is_empty() {
                "all services".to_owned()
            } else {
                hit.join(", ")
            }
        ),
        format!(
            "sudoedit {}    # take our line out, then: otpgate setup sshd",
            file.display()
        ),
    ))
}
