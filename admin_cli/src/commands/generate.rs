//! `otpgate completions`, `otpgate man`: made from the definitions that parse the command line.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::error::{CliError, OK};
use crate::output;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "otpgate", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(OK)
}

pub(super) fn man(out: Option<&Path>) -> Result<u8, CliError> {
    let Some(directory) = out else {
        let mut page = Vec::new();
        // As `generate_to` does: there is no page otpgate-help(1) to refer to.
        Man::new(Cli::command().disable_help_subcommand(true)).render(&mut page)?;
        output::print(&String::from_utf8_lossy(&page))?;
        return Ok(OK);
    };
    let written: io::Result<()> = clap_mangen::generate_to(Cli::command(), directory);
    written.map_err(|error| CliError::new(format!("{}: {error}", directory.display())))?;
    Ok(OK)
}
