//! The command line of the server.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use pam_ffi::signals;
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::config::Config;
use crate::config::file::File;
use crate::host_keys;
use crate::listener::settings::Settings;
use crate::listener::{self, preflight};
use crate::log::Destination;

/// An SSH server whose every login goes through PAM.
#[derive(Debug, Parser)]
#[command(name = "otpgate-sshd", version)]
pub struct Cli {
    /// The configuration file [default: /etc/otpgate/otpgate-sshd.toml]
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check configuration, host keys and what logins need, and say what to do about what is wrong
    #[arg(short, long, group = "task")]
    pub test: bool,
    /// Print the configuration with its defaults as JSON
    #[arg(short = 'T', long, group = "task")]
    pub dump: bool,
    /// Make a host key where the first of `host_keys` should be
    #[arg(long, group = "task")]
    pub generate_host_key: bool,
    /// Log to standard error instead of syslog
    #[arg(short = 'e', long)]
    pub stderr: bool,
}

/// Does what the command line says; without a task, serves.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Whatever the caller's was: files of sessions are nobody else's to write.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let named = cli.config.as_deref();
    if cli.test {
        return test(named);
    }
    if cli.dump {
        return dump(named);
    }
    if cli.generate_host_key {
        return generate_host_key(named);
    }
    serve(named, destination(cli.stderr))
}

fn serve(named: Option<&Path>, log: Destination) -> ExitCode {
    log.open();
    // Whoever started this may ignore some, and what is started from here would inherit that.
    signals::restore_defaults();
    // The host keys are in its memory.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    match listener::begin(named, log) {
        Ok(listener) => listener.run(),
        Err(error) => {
            if log == Destination::Syslog {
                log.error(&error.to_string());
            }
            failure(error)
        }
    }
}

/// syslog for a daemon; a terminal, or somebody without root, wants to see for themselves.
fn destination(stderr: bool) -> Destination {
    let daemon = rustix::process::geteuid().is_root() && !io::stderr().is_terminal();
    match daemon && !stderr {
        true => Destination::Syslog,
        false => Destination::Stderr,
    }
}

fn test(named: Option<&Path>) -> ExitCode {
    let settings = match Settings::load(named) {
        Ok(settings) => settings,
        Err(error) => return failure(error),
    };
    let problems = preflight::problems(&settings.config);
    for problem in &problems {
        failure(problem);
    }
    match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn dump(named: Option<&Path>) -> ExitCode {
    let config = match Config::load(named) {
        Ok(config) => config,
        Err(error) => return failure(error),
    };
    match serde_json::to_string_pretty(&File::from(&config)) {
        Ok(json) => print(&json),
        Err(error) => failure(error),
    }
}

fn generate_host_key(named: Option<&Path>) -> ExitCode {
    let config = match Config::load(named) {
        Ok(config) => config,
        Err(error) => return failure(error),
    };
    // Tested: the list is never empty.
    let Some(path) = config.host_keys.first() else {
        return ExitCode::FAILURE;
    };
    match host_keys::generate(path) {
        Ok(fingerprint) => print(&format!("{}: {fingerprint}", path.display())),
        Err(error) => failure(error),
    }
}

fn print(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn failure(error: impl Display) -> ExitCode {
    // Nobody to tell if even that fails.
    let _ = writeln!(io::stderr(), "otpgate-sshd: {error}");
    ExitCode::FAILURE
}
