//! `otpgate import`: people keep the phone they have.
//!
//! Each source is read into a `candidate::Candidate` per user; `importer` holds it against the store
//! and enrols in batches; `report` says what became of whom.

mod candidate;
mod google;
mod google_file;
pub(super) mod homes;
mod importer;
mod lines;
mod names;
mod oath;
pub mod oath_line;
mod oath_used;
mod otpauth;
mod pam_lines;
mod report;

use super::Context;
use crate::cli::Import;
use crate::error::CliError;

pub(super) fn run(context: &Context<'_>, source: &Import) -> Result<u8, CliError> {
    match source {
        Import::Google(arguments) => google::run(context, arguments),
        Import::Oath(arguments) => oath::run(context, arguments),
        Import::Otpauth(arguments) => otpauth::run(context, arguments),
    }
}
