//! `otpgate export USER`: the keys as key URIs, for another host or another phone.

use std::os::unix::fs::MetadataExt as _;

use otp_core::account::{Account, Kind};
use otp_core::state::State;
use otp_core::store::{FilesStore, Record as _};
use zeroize::Zeroizing;

use super::{Context, name, user_name};
use crate::cli::User;
use crate::error::{CliError, OK};
use crate::output;

pub(super) fn run(context: &Context<'_>, arguments: &User) -> Result<u8, CliError> {
    let store = context.store()?;
    refuse_others(&store)?;
    let record = store.lock_enrolled(&user_name(&arguments.user))?;
    let (account, state) = (record.account(), record.state());
    warn(account, state, &arguments.user);
    let uris = uris(account, state);
    if context.cli.json {
        let uris: Vec<&str> = uris.iter().map(|uri| uri.as_str()).collect();
        output::print_json(&serde_json::json!({ "user": arguments.user, "uris": uris }))?;
    } else {
        for uri in uris {
            output::print(&Zeroizing::new(format!("{}\n", *uri)))?;
        }
    }
    Ok(OK)
}

/// Secrets are for root, or for whoever owns the store. The store's own permissions say the same; this
/// says it in words.
fn refuse_others(store: &FilesStore) -> Result<(), CliError> {
    let caller = nix::unistd::geteuid();
    let owner = store.path().metadata()?.uid();
    if caller.is_root() || caller.as_raw() == owner {
        return Ok(());
    }
    Err(CliError::new(
        "export prints secrets, and only root may; run it with sudo",
    ))
}

/// The key URIs, those of counters with the next counter.
fn uris(account: &Account, state: &State) -> Vec<Zeroizing<String>> {
    let uri = |token: &otp_core::account::Token| {
        let mut uri = token.key_uri();
        if let Kind::Hotp { counter } = &mut uri.kind {
            *counter = state.token(token.serial, &token.kind).next;
        }
        uri.expose()
    };
    let keys = account.tokens.iter();
    let keys = keys.filter(|token| !token.kind.is_delivered());
    keys.map(uri).collect()
}

fn warn(account: &Account, state: &State, user: &str) {
    let user = name::shown(&user_name(user));
    eprintln!(
        "otpgate: note: whoever reads what is printed now can make {user}'s codes. Keep it off disks, \
         terminals that log, and mail."
    );
    let disabled = account.tokens.iter().filter(|token| !token.enabled);
    for token in disabled {
        eprintln!(
            "otpgate: note: the device {} is disabled here; its key URI does not say so.",
            token.id
        );
    }
    let sent = account.tokens.iter();
    for token in sent.filter(|token| token.kind.is_delivered()) {
        eprintln!(
            "otpgate: note: the codes of {} are sent; it has no key to export.",
            token.id
        );
    }
    let left = state.recovery_left(account);
    if left > 0 {
        eprintln!(
            "otpgate: note: {left} recovery codes are not exported: only hashes of them are stored."
        );
    }
}
