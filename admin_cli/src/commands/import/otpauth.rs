//! `otpgate import otpauth`: key URIs, one a line, as phone apps and other hosts export them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use otp_core::account::check_text;

use otp_core::key_uri::KeyUri;
use otp_core::secret::SecretError;
use otp_core::store::FilesStore;
use otp_core::user_name::UserName;

use super::super::Context;
use super::candidate::{Candidate, Device, Maker};
use super::importer::Importer;
use super::lines::Lines;
use super::report::Report;
use crate::cli::ImportOtpauth;
use crate::error::CliError;

/// Most keys of one file: they are held in memory, for the lines of a user may stand anywhere.
const MOST_KEYS: usize = 100_000;

pub(super) fn run(context: &Context<'_>, arguments: &ImportOtpauth) -> Result<u8, CliError> {
    let config = context.config()?;
    let store = FilesStore::open(&config.state_dir)?;
    let report = Report::new(context, arguments.how.dry_run);
    let mut importer = Importer::new(&store, &arguments.how, report);
    let maker = Maker::new(&config);
    for candidate in read(arguments, &maker, &mut importer.report)? {
        importer.take(candidate)?;
    }
    importer.close()?;
    importer.report.finish(&[])
}

/// A candidate per user, in the order of their first lines.
fn read(
    arguments: &ImportOtpauth,
    maker: &Maker,
    report: &mut Report<'_>,
) -> Result<Vec<Candidate>, CliError> {
    let path = arguments.file.display();
    let fail = |error: io::Error| CliError::new(format!("{path}: {error}"));
    let mut lines = Lines::new(open(&arguments.file).map_err(fail)?);
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut known: HashMap<UserName, usize> = HashMap::new();
    let mut keys = 0;
    while let Some(line) = lines.next().map_err(fail)? {
        let place = format!("{path}:{}", line.number);
        let (user, device) = match line.bytes.map(|bytes| key(bytes, arguments, maker)) {
            None => {
                report.skipped(&place, "the line is too long")?;
                continue;
            }
            Some(Ok(None)) => continue,
            Some(Ok(Some(found))) => found,
            Some(Err(why)) => {
                report.skipped(&place, &why)?;
                continue;
            }
        };
        keys += 1;
        if keys > MOST_KEYS {
            return Err(CliError::new(format!(
                "{path}: more than {MOST_KEYS} keys; split the file"
            )));
        }
        let index = *known.entry(user.clone()).or_insert(candidates.len());
        if index == candidates.len() {
            candidates.push(Candidate::new(user, place));
        }
        if let Some(candidate) = candidates.get_mut(index) {
            candidate.add(device);
        }
    }
    Ok(candidates)
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        Ok(Box::new(io::stdin()))
    } else {
        Ok(Box::new(File::open(path)?))
    }
}

/// The user and the device of a line; `None` for blank lines and comments.
fn key(
    line: &[u8],
    arguments: &ImportOtpauth,
    maker: &Maker,
) -> Result<Option<(UserName, Device)>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "is no text")?.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let uri = KeyUri::parse(text).map_err(|error| error.to_string())?;
    check_text("the account", &uri.account)?;
    check_text("the issuer", uri.issuer.as_deref().unwrap_or_default())?;
    let user = match &arguments.user {
        Some(user) => UserName::from(user.as_str()),
        None => UserName::from(user_of(&uri.account)),
    };
    let device = device(&user, uri, maker).map_err(|error| error.to_string())?;
    Ok(Some((user, device)))
}

/// `alice` of `alice@host`, unless somebody is named `alice@host`.
fn user_of(account: &str) -> &str {
    match account.rsplit_once('@') {
        Some((user, _)) if !pam_ffi::nss::user_exists(account.as_bytes()).unwrap_or(false) => user,
        _ => account,
    }
}

fn device(user: &UserName, uri: KeyUri, maker: &Maker) -> Result<Device, SecretError> {
    let mut device = maker.device(user, uri.kind, uri.secret, uri.digits)?;
    device.token.algorithm = uri.algorithm;
    device.token.label = uri.account;
    device.token.issuer = uri.issuer.unwrap_or_default();

    Ok(device)
}
