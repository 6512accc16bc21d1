//! `otpgate check`: what would lock people out or let them round the code, before they notice.

use std::collections::BTreeMap;
use std::path::Path;

use otp_core::config::Config;
use otp_core::rules::Then;
use pam_login::options::Options;

use super::check_delivery::check_delivery;
use super::check_invites::check_open_rules;
use super::check_own_files::check_own_files;
use super::check_store::{check_store, configuration_finding, named_config_finding};
use super::setup::paths;
use super::{Context, explain};
use crate::cli::Check;
use crate::error::CliError;
use crate::host::finding::{Finding, exit_status, render, sorted};
use crate::host::pam_library::Library;
use crate::host::pam_stack::{auth_lines, named_configs};
use crate::host::{CheckRequest, check_host};

pub(super) fn run(context: &Context<'_>, arguments: &Check) -> Result<u8, CliError> {
    if let Some(user) = &arguments.explain {
        return explain::run(context, user, arguments);
    }
    context.refuse_missing_config()?;
    let config = Config::load(context.named_config());
    let mut findings = Vec::new();
    let config = config.unwrap_or_else(|error| {
        findings.push(configuration_finding(&error));
        Config::default()
    });
    if findings.is_empty() {
        findings.extend(check_delivery(&config));
        findings.extend(check_store(&config));
    }
    findings.extend(check_open_rules(&config));
    let paths = paths(&arguments.places, &config.state_dir);
    let (named, untaken) = load_named(&paths.library());
    findings.extend(untaken);
    let configured = |name: Option<&str>| match name {
        None => Some(&config),
        Some(name) => named.get(name),
    };
    let has_deny_rules = |name: Option<&str>| configured(name).is_some_and(denies);
    let sends_codes = |name: Option<&str>| configured(name).is_some_and(sends);
    let judge = |options: &[String]| {
        Options::parse(options.iter().map(String::as_str))
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let request = CheckRequest {
        user: arguments.user.clone(),
        from: arguments.from,
        has_deny_rules: &has_deny_rules,
        sends_codes: &sends_codes,
        judge_options: &judge,
    };
    findings.extend(check_host(&paths, &request));
    let lines = auth_lines(&paths.library());
    let lines = lines
        .iter()
        .map(|line| Options::parse(line.iter().map(String::as_str)));
    let lines: Vec<Options> = lines.filter_map(Result::ok).collect();
    findings.extend(check_own_files(&config, &context.cli.config, &lines));
    let findings = sorted(findings);
    let json = serde_json::to_value(&findings).map_err(|error| CliError::new(error.to_string()))?;
    let text = if findings.is_empty() {
        "Nothing found.\n".to_owned()
    } else {
        render(&findings)
    };
    context.print(&json, &text)?;
    Ok(exit_status(&findings))
}

/// The configurations that lines of ours name, and what keeps them from being taken.
fn load_named(library: &Library) -> (BTreeMap<String, Config>, Vec<Finding>) {
    let (mut configs, mut findings) = (BTreeMap::new(), Vec::new());
    for named in named_configs(library) {
        let path = Path::new(&named.path);
        // A relative path is refused as an option, which says so.
        if !path.is_absolute() {
            continue;
        }
        match Config::load(Some(path)) {
            Ok(config) => drop(configs.insert(named.path, config)),
            Err(error) => findings.push(named_config_finding(&named, &error)),
        }
    }
    (configs, findings)
}

fn denies(config: &Config) -> bool {
    config.rules.iter().any(|rule| rule.then == Then::Deny)
}

fn sends(config: &Config) -> bool {
    !config.channels.is_empty()
}
