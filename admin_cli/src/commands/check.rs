//! `otpgate check`: what would lock people out or let them round the code, before they notice.

use otp_core::config::Config;
use otp_core::rules::Then;
use pam_login::options::Options;

use super::Context;
use super::check_store::{check_store, configuration_finding};
use super::setup::paths;
use crate::cli::Check;
use crate::error::CliError;
use crate::host::finding::{exit_status, render, sorted};
use crate::host::{CheckRequest, check_host};

pub(super) fn run(context: &Context<'_>, arguments: &Check) -> Result<u8, CliError> {
    context.refuse_missing_config()?;
    let config = Config::load(&context.cli.config);
    let mut findings = Vec::new();
    let config = config.unwrap_or_else(|error| {
        findings.push(configuration_finding(&error));
        Config::default()
    });
    if findings.is_empty() {
        findings.extend(check_store(&config.state_dir));
    }
    let judge = |options: &[String]| {
        Options::parse(options.iter().map(String::as_str))
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let request = CheckRequest {
        user: arguments.user.clone(),
        from: arguments.from,
        has_deny_rules: config.rules.iter().any(|rule| rule.then == Then::Deny),
        judge_options: &judge,
    };
    findings.extend(check_host(
        &paths(&arguments.places, &config.state_dir),
        &request,
    ));
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
