//! Would otpgate-sshd start, and does it ask for the code?
//!
//! The server judges its own configuration (`--test`) and tells what it runs with (`--dump`); only what
//! lies outside of it, the PAM stack, is looked at here.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::finding::Finding;
use super::pam_library::Library;
use super::pam_stack::services_that_ask;
use super::program::run_within;
use super::sshd_run::PATIENCE;

/// The server and the configuration to judge it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontend {
    /// The server itself.
    pub binary: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
}

/// What of the server's settings matters here, as `--dump` prints them.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// The PAM service.
    pub pam_service: String,
    /// A directory instead of /etc/pam.d.
    pub pam_confdir: Option<PathBuf>,
    authentication_methods: Vec<String>,
}

impl Settings {
    /// Whether each way in asks for a key before the PAM stack.
    #[must_use]
    pub fn key_comes_first(&self) -> bool {
        let lists = &self.authentication_methods;
        lists
            .iter()
            .all(|list| list.split(',').any(|method| method == "publickey"))
    }

    /// Where the server's PAM service is looked for.
    #[must_use]
    pub fn library(&self, system: &Library) -> Library {
        match &self.pam_confdir {
            Some(confdir) => Library::new(std::slice::from_ref(confdir)),
            None => system.clone(),
        }
    }
}

/// What the server says about its configuration; nothing when there is none.
///
/// # Errors
/// What is wrong with it.
pub fn settings(frontend: &Frontend) -> Result<Option<Settings>, Finding> {
    if !frontend.config.exists() {
        return Ok(None);
    }
    ask(frontend, "--test").map_err(|said| refuses(&frontend.config, &said))?;
    let dump = ask(frontend, "--dump").map_err(|said| refuses(&frontend.config, &said))?;
    match serde_json::from_str(&dump) {
        Ok(settings) => Ok(Some(settings)),
        Err(error) => Err(refuses(&frontend.config, &error.to_string())),
    }
}

/// Whether the server's PAM service asks for a code.
#[must_use]
pub fn asks_for_no_code(settings: &Settings, library: &Library) -> Option<Finding> {
    let service = &settings.pam_service;
    let directory = settings
        .pam_confdir
        .clone()
        .unwrap_or_else(|| "/etc/pam.d".into());
    let file = directory.join(service);
    (!services_that_ask(library).contains(service)).then(|| {
        Finding::error(
            "frontend-asks-no-code",
            file.display().to_string(),
            "otpgate-sshd lets everybody in without a code: no auth line of its PAM service has pam_otpgate.so.",
            format!("otpgate setup {service}"),
        )
    })
}

fn refuses(config: &Path, said: &str) -> Finding {
    Finding::error(
        "frontend-refuses",
        config.display().to_string(),
        format!("otpgate-sshd would not start, or not take a new configuration. {said}"),
        format!("otpgate-sshd --config {} --test", config.display()),
    )
}

fn ask(frontend: &Frontend, mode: &str) -> Result<String, String> {
    let binary = frontend.binary.display();
    let mut command = Command::new(&frontend.binary);
    command.arg("--config").arg(&frontend.config).arg(mode);
    match run_within(command, PATIENCE) {
        Err(error) => Err(format!("{binary} cannot be run: {error}")),
        Ok(None) => Err(format!(
            "{binary} gave no answer within {} s",
            PATIENCE.as_secs()
        )),
        Ok(Some((status, said, _))) if status.success() => Ok(said),
        Ok(Some((status, _, complaint))) if complaint.trim().is_empty() => Err(status.to_string()),
        Ok(Some((_, _, complaint))) => Err(complaint.trim().to_owned()),
    }
}
