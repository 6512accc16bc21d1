//! The `otpgate` command.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use admin_cli::askpass::PROGRAM;
use admin_cli::cli::Cli;
use admin_cli::commands;
use admin_cli::error::CliError;
use clap::Parser;

fn main() -> ExitCode {
    if called_by_ssh() {
        return answer();
    }
    let cli = Cli::parse();
    match commands::run(&cli) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            error.report(cli.json);
            ExitCode::from(error.status())
        }
    }
}

/// Under its other name every argument is a question, also one that looks like an option.
fn called_by_ssh() -> bool {
    let name = env::args_os().next();
    let name = name.as_deref().and_then(|name| Path::new(name).file_name());
    name == Some(OsStr::new(PROGRAM))
}

fn answer() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let result = match (arguments.next(), arguments.next()) {
        (Some(question), None) => commands::askpass::answer(&question.to_string_lossy()),
        _ => Err(CliError::no(
            "takes one question from ssh: name it in SSH_ASKPASS, or see `otpgate askpass --help`",
        )),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("{PROGRAM}: {error}");
            ExitCode::from(error.status())
        }
    }
}
