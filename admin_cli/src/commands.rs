//! The commands, one file each.

pub mod askpass;
mod check;
mod check_delivery;
mod check_invites;
mod check_own_files;
mod check_seal;
mod check_store;
mod code;
mod deliver;
mod enroll;
mod enroll_delivered;
mod explain;
mod export;
mod generate;
mod help_desk;
pub mod import;
mod init;
mod invite;
mod list;
mod name;
mod own_file;
mod recovery;
mod remove;
mod repair;
mod resync;
mod seal;
mod setup;
mod show;
mod switch;
mod test_login;
mod unlock;
mod verify;

use std::path::Path;

use otp_core::config::{Config, DEFAULT_PATH};
use otp_core::store::FilesStore;
use otp_core::user_name::UserName;

use crate::audit::Change;
use crate::cli::{Cli, Command};
use crate::error::CliError;
use crate::output;

/// Does what was typed, and returns the exit status.
///
/// # Errors
/// [`CliError`] says what, where, and what to do.
pub fn run(cli: &Cli) -> Result<u8, CliError> {
    let result = dispatch(cli);
    if let Some(change) = Change::of(&cli.command) {
        change.record(&result);
    }
    result
}

fn dispatch(cli: &Cli) -> Result<u8, CliError> {
    let context = Context { cli };
    match &cli.command {
        Command::Setup(arguments) => setup::run(&context, arguments),
        Command::Init => init::run(&context),
        Command::Enroll(arguments) => enroll::run(&context, arguments),
        Command::Deliver(arguments) => deliver::run(&context, arguments),
        Command::Import(source) => import::run(&context, source),
        Command::Export(arguments) => export::run(&context, arguments),
        Command::List(arguments) => list::run(&context, arguments),
        Command::Show(arguments) => show::run(&context, arguments),
        Command::Code(arguments) => code::run(&context, arguments),
        Command::Verify(arguments) => verify::run(&context, arguments),
        Command::Invite(arguments) => invite::run(&context, arguments),
        Command::Recovery(arguments) => recovery::run(&context, arguments),
        Command::TestLogin(arguments) => test_login::run(&context, arguments),
        Command::Disable(arguments) => switch::run(&context, arguments, false),
        Command::Enable(arguments) => switch::run(&context, arguments, true),
        Command::Remove(arguments) => remove::run(&context, arguments),
        Command::Unlock(arguments) => unlock::run(&context, arguments),
        Command::Resync(arguments) => resync::run(&context, arguments),
        Command::Repair(arguments) => repair::run(&context, arguments),
        Command::Seal(what) => seal::run(&context, what),
        Command::Check(arguments) => check::run(&context, arguments),
        Command::Askpass(arguments) => askpass::run(&context, arguments),
        Command::Completions { shell } => generate::completions(*shell),
        Command::Man { out } => generate::man(out.as_deref()),
    }
}

/// What every command needs.
pub(crate) struct Context<'a> {
    cli: &'a Cli,
}

impl Context<'_> {
    fn config(&self) -> Result<Config, CliError> {
        self.refuse_missing_config()?;
        Ok(Config::load(self.named_config())?)
    }

    /// The configuration, when it is not the usual one.
    fn named_config(&self) -> Option<&Path> {
        Some(self.cli.config.as_path()).filter(|path| *path != Path::new(DEFAULT_PATH))
    }

    /// Without a file the defaults hold. A file that was named and is not there is a typing error,
    /// and the defaults would be another store.
    fn refuse_missing_config(&self) -> Result<(), CliError> {
        let path = &self.cli.config;
        if path == Path::new(DEFAULT_PATH) || path.symlink_metadata().is_ok() {
            return Ok(());
        }
        Err(CliError::new(format!(
            "{}: cannot be found; correct --config, or leave it out for {DEFAULT_PATH}",
            path.display()
        )))
    }

    fn store(&self) -> Result<FilesStore, CliError> {
        Ok(FilesStore::open(&self.config()?.state_dir)?)
    }

    /// Prints a JSON value, or the text for people.
    fn print(&self, json: &serde_json::Value, text: &str) -> Result<(), CliError> {
        if self.cli.json {
            output::print_json(json)
        } else {
            output::print(text)
        }
    }

    /// A change was made; says so.
    fn changed(&self, user: &str, text: &str) -> Result<u8, CliError> {
        let json = serde_json::json!({ "user": user, "done": text.trim_end() });
        self.print(&json, &format!("{text}\n"))?;
        Ok(crate::error::OK)
    }
}

/// The user's name as the store knows it.
fn user_name(typed: &str) -> UserName {
    UserName::new(typed.as_bytes())
}

/// The device that was meant: the named one, or the only one of its kind.
fn choose_device<'a>(
    account: &'a otp_core::account::Account,
    device: Option<&str>,
) -> Result<&'a otp_core::account::Token, String> {
    let names = || {
        let names: Vec<&str> = account
            .tokens
            .iter()
            .map(|token| token.id.as_str())
            .collect();
        names.join(", ")
    };
    match (device, &account.tokens[..]) {
        (Some(id), _) => account
            .token(id)
            .ok_or_else(|| format!("has no device named {id}; there are: {}", names())),
        (None, [only]) => Ok(only),
        (None, []) => Err("has no device; run `otpgate enroll USER`".to_owned()),
        (None, _) => Err(format!(
            "has several devices; add --device with one of: {}",
            names()
        )),
    }
}
