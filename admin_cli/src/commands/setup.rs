//! `otpgate setup SERVICE`.

use std::path::{Path, PathBuf};

use super::Context;
use super::check_store::check_foundation;
use crate::cli::{Places, Setup};
use crate::error::{CliError, OK};
use crate::host::Paths;
use crate::host::setup::{SetupRequest, setup};

pub(super) fn run(context: &Context<'_>, arguments: &Setup) -> Result<u8, CliError> {
    let config = context.config()?;
    if !arguments.undo {
        refuse_unusable_store(&config.state_dir)?;
    }
    let named = context.named_config().map(std::path::absolute);
    let request = SetupRequest {
        service: arguments.service.clone(),
        undo: arguments.undo,
        dry_run: arguments.dry_run,
        require: arguments.require,
        enrol: arguments.enrol,
        config: named.transpose()?,
    };
    let outcome = setup(&paths(&arguments.places, &config.state_dir), &request)?;
    let json = serde_json::to_value(&outcome).map_err(|error| CliError::new(error.to_string()))?;
    context.print(&json, &outcome.to_string())?;
    Ok(OK)
}

/// With the module in front of a store that it cannot use, nobody gets in any more.
fn refuse_unusable_store(state_dir: &Path) -> Result<(), CliError> {
    let Some(finding) = check_foundation(state_dir) else {
        return Ok(());
    };
    Err(CliError::new(format!(
        "{}: {} Nothing was changed. First: {}",
        finding.place, finding.meaning, finding.cure
    )))
}

/// Where things are on this host, unless other places were named.
pub(super) fn paths(places: &Places, state_dir: &Path) -> Paths {
    let mut paths = Paths {
        state_dir: state_dir.to_owned(),
        ..Paths::default()
    };
    if let Some(directory) = &places.pam_dir {
        paths.pam_dirs = vec![directory.clone()];
    }
    if let Some(file) = &places.sshd_config {
        paths.sshd_config.clone_from(file);
        paths.sshd_dropin_dir = file.with_file_name("sshd_config.d");
    }
    if let Some(file) = &places.sshd {
        paths.sshd_binary.clone_from(file);
    }
    if let Some(file) = &places.otpgate_sshd_config {
        paths.frontend.config.clone_from(file);
    }
    if let Some(file) = &places.otpgate_sshd {
        paths.frontend.binary.clone_from(file);
    } else if let Some(beside) = beside_this_program("otpgate-sshd") {
        paths.frontend.binary = beside;
    }
    if let Some(directory) = &places.module_dir {
        paths.module_search_dirs = vec![directory.clone()];
    }
    paths
}

/// A program in the directory of this one, where both were installed together.
fn beside_this_program(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name(name);
    beside.is_file().then_some(beside)
}
