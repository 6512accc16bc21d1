//! The part of `otpgate check` that looks at the channels: nobody should learn at a login that a password file
//! is missing.

use std::path::Path;

use otp_core::account::Account;
use otp_core::config::{Config, Way};
use otp_core::user_name::UserName;

use super::name;
use crate::delivery::{files, smtp};
use crate::host::finding::Finding;

/// What would keep codes from being sent.
pub(super) fn check_delivery(config: &Config) -> Vec<Finding> {
    if config.channels.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::from_iter(check_program(&config.delivery.program));
    for (name, channel) in &config.channels {
        findings.extend(check_channel(name, &channel.way));
    }
    findings
}

fn check_program(program: &Path) -> Option<Finding> {
    let error = pam_ffi::start::check(program).err()?;
    let place = program.display().to_string();
    Some(Finding::error(
        "delivery-program",
        &place,
        format!("The module starts this program to send a code: {error}. No code is sent."),
        format!(
            "install -o root -g root -m 755 {} {place}    # or name the right one: [delivery] program",
            this_program()
        ),
    ))
}

fn this_program() -> String {
    let path = std::env::current_exe();
    path.map_or_else(|_| "otpgate".to_owned(), |path| path.display().to_string())
}

fn check_channel(channel: &str, way: &Way) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (secrets, certificates) = way.files();
    for path in secrets {
        if let Err(error) = files::secret(path) {
            findings.push(broken(
                "channel-secret",
                channel,
                path,
                &error,
                format!(
                    "install -o root -m 600 /dev/stdin {}    # then type the secret",
                    path.display()
                ),
            ));
        }
    }
    if let Err(error) = files::roots(certificates.map(|path| path.as_path()))
        && !matches!(way, Way::Command(_))
    {
        let path = certificates.map_or(Path::new("/etc/ssl/certs"), |path| path);
        let cure = "put the certificates there, or correct ca_file".to_owned();
        findings.push(broken("channel-certificates", channel, path, &error, cure));
    }
    match way {
        Way::Smtp(mail) => findings.extend(smtp::sender(mail).err().map(|error| {
            let place = Path::new("otpgate.toml");
            let cure = format!("[channel.{channel}] from = \"otpgate@example.org\"");
            broken("channel-sender", channel, place, &error, cure)
        })),
        Way::Command(command) => {
            let found = pam_ffi::start::check(&command.program).err();
            findings.extend(found.map(|error| {
                let cure = format!("chown root {0} && chmod 755 {0}", command.program.display());
                broken("channel-program", channel, &command.program, &error, cure)
            }));
        }
        Way::Http(_) => {}
    }
    findings
}

fn broken(
    code: &'static str,
    channel: &str,
    place: &Path,
    error: &dyn std::fmt::Display,
    cure: String,
) -> Finding {
    let meaning = format!("{error}. No code is sent by [channel.{channel}].");
    Finding::error(code, place.display().to_string(), meaning, cure)
}

/// A device on a channel that is not in the configuration.
pub(super) fn check_account(
    config: &Config,
    user: &UserName,
    account: &Account,
) -> Option<Finding> {
    let mut tokens = account.tokens.iter().filter(|token| token.enabled);
    let lost = |token: &otp_core::account::Token| {
        let (channel, _) = token.destination()?;
        let known = config.channels.contains_key(channel);
        (!known).then(|| (token.id.clone(), channel.to_owned()))
    };
    let (device, channel) = tokens.find_map(lost)?;
    let (shown, quoted) = (name::shown(user), name::quoted(user));
    Some(Finding::error(
        "channel-unknown",
        format!("{shown}: {device}"),
        format!(
            "The codes of this device are sent by [channel.{channel}], which is not in the configuration. None is \
             sent."
        ),
        format!("write [channel.{channel}], or: otpgate remove {quoted} --device {device}"),
    ))
}
