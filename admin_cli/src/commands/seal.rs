//! `otpgate seal`: secrets encrypted at rest, with another key, or in clear again.
//!
//! Each of them may be cut short at any moment: logins go on, and the same command does the rest.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use otp_core::seal::KeyId;
use otp_core::store::FilesStore;
use otp_core::store::reseal::{Converted, Counts};
use otp_core::store::sealing::Settings;
use serde_json::json;

use super::Context;
use crate::cli::Seal;
use crate::error::{CliError, NO, OK};

pub(super) fn run(context: &Context<'_>, what: &Seal) -> Result<u8, CliError> {
    match what {
        Seal::Init { key_file } => init(context, key_file.as_deref()),
        Seal::Rotate => rotate(context),
        Seal::Status => status(context),
        Seal::Off => off(context),
    }
}

fn init(context: &Context<'_>, key_file: Option<&Path>) -> Result<u8, CliError> {
    let store = context.store()?;
    let mut administration = store.administer()?;
    let before = store.sealing().settings().cloned();
    administration.seal_from_now_on(key_file)?;
    drop(administration);
    let (store, settings) = reopened(context)?;
    let converted = convert(&store)?;
    let path = settings.key_file.display();
    let mut text = format!(
        "{} sealed with the key {}, which is in {path}.\nKeep a copy of that file where no backup of {} goes. \
         Who loses it has to enrol everybody anew.\n",
        accounts(converted.changed),
        settings.key,
        store.path().display()
    );
    if let Some(before) = before.filter(|before| before.key_file != settings.key_file) {
        let old = before.key_file.display();
        text += &format!("Nothing reads {old} any more; take it away when nobody else needs it.\n");
    }
    report(context, &settings, &converted, &text)
}

fn rotate(context: &Context<'_>) -> Result<u8, CliError> {
    context.store()?.administer()?.begin_rotation()?;
    // Opened anew, with the new key.
    let (store, settings) = reopened(context)?;
    let converted = convert(&store)?;
    let counts = count(&store)?;
    let (decoys, old) = (store.decoy_counts(), store.sealing().keys().count() - 1);
    if !is_done(&counts) || !is_done(&decoys) {
        let text = format!(
            "{} sealed with the key {}. Not all accounts could be, so the old key stays; \
             `otpgate seal status` counts them, and `otpgate seal rotate` goes on.\n",
            accounts(converted.changed),
            settings.key
        );
        report(context, &settings, &converted, &text)?;
        return Ok(NO);
    }
    let mut administration = store.administer()?;
    administration.drop_other_keys(settings.key)?;
    let (path, keys) = (settings.key_file.display(), number(old, "old key"));
    let mut text = format!(
        "{} sealed with the key {}. {keys} taken out of {path}: backups from before need the file as it was.\n",
        accounts(converted.changed),
        settings.key
    );
    if administration.key_file_is_in_memory()? {
        text += &format!(
            "{path} is in memory: write it to where it comes from too (otpgate-seal-key(8)).\n"
        );
    }
    report(context, &settings, &converted, &text)
}

fn off(context: &Context<'_>) -> Result<u8, CliError> {
    let store = context.store()?;
    store.administer()?.seal_no_more()?;
    let Some(settings) = context.store()?.sealing().settings().cloned() else {
        let text = "Secrets are not sealed.\n";
        context.print(&json!({ "on": false, "changed": 0, "failed": 0 }), text)?;
        return Ok(OK);
    };
    let store = context.store()?;
    let converted = convert(&store)?;
    let left = count(&store)?;
    if left.clear != left.all() {
        let text = format!(
            "{} unsealed. Not all accounts could be; `otpgate seal status` counts them, and `otpgate seal off` goes on.\n",
            accounts(converted.changed)
        );
        report(context, &settings, &converted, &text)?;
        return Ok(NO);
    }
    store.administer()?.forget_sealing()?;
    let text = format!(
        "{} unsealed: secrets are in clear. {} stays where it is, for backups from before.\n",
        accounts(converted.changed),
        settings.key_file.display()
    );
    report(context, &settings, &converted, &text)
}

fn status(context: &Context<'_>) -> Result<u8, CliError> {
    let store = context.store()?;
    let counts = count(&store)?;
    let sealing = store.sealing();
    let settings = sealing.settings();
    let keys: Vec<KeyId> = sealing.keys().ids().collect();
    let has_key = settings.is_none_or(|settings| keys.contains(&settings.key));
    let is_as_wanted = match settings {
        Some(settings) => {
            settings.on && keys.len() == 1 && is_done(&counts) && is_done(&store.decoy_counts())
        }
        None => counts.clear == counts.all(),
    };
    let json = json!({
        "on": settings.is_some_and(|settings| settings.on),
        "key": settings.map(|settings| settings.key),
        "key_file": settings.map(|settings| &settings.key_file),
        "key_found": settings.map(|_| has_key),
        "keys_in_file": keys,
        "accounts": {
            "sealed": counts.sealed, "unsealed": counts.clear, "other_key": counts.other_key,
            "unknown_key": counts.unknown_key, "damaged": counts.damaged,
        },
    });
    context.print(&json, &status_text(settings, &keys, &counts))?;
    Ok(if is_as_wanted && has_key { OK } else { NO })
}

fn status_text(settings: Option<&Settings>, keys: &[KeyId], counts: &Counts) -> String {
    let mut text = match settings {
        None => "Secrets are not sealed (otpgate seal init).\n".to_owned(),
        Some(Settings { on, key, key_file }) => {
            let doing = match on {
                true => "Secrets are sealed",
                false => "Secrets are being unsealed (otpgate seal off goes on)",
            };
            let found = match (keys.contains(key), keys.len()) {
                (true, 1) => "",
                (true, _) => ", with other keys (otpgate seal rotate drops them)",
                (false, 0) => ", which is MISSING: nobody can log in",
                (false, _) => ", which does NOT hold it",
            };
            let path = key_file.display();
            format!("{doing}.\n  key           {key}\n  key file      {path}{found}\n")
        }
    };
    for (what, count, advice) in [
        ("sealed", counts.sealed, ""),
        (
            "in clear",
            counts.clear,
            if settings.is_some_and(|settings| settings.on) {
                "  (otpgate seal init)"
            } else {
                ""
            },
        ),
        ("other key", counts.other_key, "  (otpgate seal rotate)"),
        (
            "unknown key",
            counts.unknown_key,
            "  (these people cannot log in until the key is back)",
        ),
        ("damaged", counts.damaged, "  (otpgate check)"),
    ] {
        if count > 0 {
            text += &format!("  {what:<12}  {}{advice}\n", accounts(count));
        }
    }
    text
}

/// Nothing is left that is not sealed with the one key. What is damaged opens with no key, old or new, but a
/// repair may find it to be sealed with the old one.
fn is_done(counts: &Counts) -> bool {
    counts.sealed == counts.all()
}

/// The store as it is after a change of the settings.
fn reopened(context: &Context<'_>) -> Result<(FilesStore, Settings), CliError> {
    let store = context.store()?;
    let settings = store.sealing().settings().cloned();
    let settings = settings.ok_or_else(|| CliError::new("sealing was switched off meanwhile"))?;
    Ok((store, settings))
}

fn convert(store: &FilesStore) -> Result<Converted, CliError> {
    let bar = progress(store, "written")?;
    let converted = store.convert_all(&mut |count| bar.inc(count));
    bar.finish_and_clear();
    Ok(converted?)
}

fn count(store: &FilesStore) -> Result<Counts, CliError> {
    let bar = progress(store, "looked at")?;
    let counts = store.counts(&mut || bar.inc(1));
    bar.finish_and_clear();
    Ok(counts?)
}

/// Draws on standard error, and nothing when that is no terminal.
fn progress(store: &FilesStore, what: &'static str) -> Result<ProgressBar, CliError> {
    let bar = ProgressBar::new(store.account_count()?).with_message(what);
    let template = "{bar:40} {percent:>3}%  {human_pos} {msg}  {elapsed} (left: {eta})";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    Ok(bar)
}

fn report(
    context: &Context<'_>,
    settings: &Settings,
    converted: &Converted,
    text: &str,
) -> Result<u8, CliError> {
    for failure in &converted.failures {
        eprintln!("otpgate: {failure}");
    }
    let unlisted = converted.failed - converted.failures.len() as u64;
    if unlisted > 0 {
        eprintln!("otpgate: {} more", accounts(unlisted));
    }
    let json = json!({
        "on": settings.on, "key": settings.key, "key_file": settings.key_file,
        "changed": converted.changed, "failed": converted.failed,
    });
    context.print(&json, text)?;
    Ok(if converted.failed == 0 { OK } else { NO })
}

fn accounts(count: u64) -> String {
    match count {
        1 => "1 account".to_owned(),
        count => format!("{count} accounts"),
    }
}

fn number(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what} is"),
        count => format!("{count} {what}s are"),
    }
}
