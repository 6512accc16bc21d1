//! `otpgate list`: a line per user, as they come; a million of them need no memory.

use std::io::{self, BufWriter, Write};

use otp_core::account::Account;

use super::{Context, name, user_name};
use crate::cli::List;
use crate::error::{CliError, OK};
use crate::output::cannot_print;

pub(super) fn run(context: &Context<'_>, arguments: &List) -> Result<u8, CliError> {
    let store = context.store()?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut status = OK;
    let mut entries = store.entries()?;
    if let Some(last) = &arguments.after {
        // The order of the directory, which stays as long as nobody is enrolled or removed.
        let last = user_name(last);
        if entries.all(|entry| entry.user != last) {
            return Err(CliError::new(format!(
                "--after {last}: nobody of that name is enrolled; begin again without it"
            )));
        }
    }
    let entries = entries.take(arguments.limit.unwrap_or(usize::MAX));
    for (user, account) in store.read_all(entries) {
        let (json, text) = match account {
            Ok(account) => {
                let json = serde_json::json!({
                    "user": name::typed(&user), "enabled": account.enabled, "devices": devices(&account),
                    "invited_until": account.invite().map(|invite| invite.expires.0),
                });
                (
                    json,
                    format!("{:<24} {}", name::shown(&user), summary(&account)),
                )
            }
            Err(error) => {
                status = crate::error::NO;
                let text = format!("{:<24} DAMAGED: {error}", name::shown(&user));
                (
                    serde_json::json!({ "user": name::typed(&user), "error": error.to_string() }),
                    text,
                )
            }
        };
        // One JSON object a line: a list that streams cannot be one array.
        let written = if context.cli.json {
            writeln!(out, "{json}")
        } else {
            writeln!(out, "{text}")
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(status),
            result => result.map_err(cannot_print)?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(cannot_print(error)),
        _ => Ok(status),
    }
}

fn devices(account: &Account) -> Vec<serde_json::Value> {
    let device = |token: &otp_core::account::Token| serde_json::json!({ "id": token.id, "kind": token.kind.name(), "enabled": token.enabled });
    account.tokens.iter().map(device).collect()
}

fn summary(account: &Account) -> String {
    let device = |token: &otp_core::account::Token| {
        let state = if token.enabled { "" } else { ", disabled" };
        format!("{} ({}{state})", token.id, token.kind.name())
    };
    let devices: Vec<String> = account.tokens.iter().map(device).collect();
    let devices = match account.invite() {
        Some(invite) => super::show::invited(invite.expires),
        None if devices.is_empty() => "no device".to_owned(),
        None => devices.join(", "),
    };
    if account.enabled {
        devices
    } else {
        format!("DISABLED  {devices}")
    }
}
