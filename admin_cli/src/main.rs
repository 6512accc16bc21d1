//! The `otpgate` command.

use std::process::ExitCode;

use admin_cli::cli::Cli;
use admin_cli::commands;
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(&cli) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            error.report(cli.json);
            ExitCode::from(error.status())
        }
    }
}
