//! `--users-from`: user names, one a line, for those whom `getent passwd` does not list.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::lines::Lines;
use crate::error::CliError;

/// Does something for each name; blank lines and those that begin with `#` are none.
pub(super) fn each(
    list: &Path,
    mut work: impl FnMut(&str) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let place = list.display();
    let fail = |error: io::Error| CliError::new(format!("--users-from {place}: {error}"));
    let mut lines = Lines::new(open(list).map_err(fail)?);
    while let Some(line) = lines.next().map_err(fail)? {
        let name = line.bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let name = name.ok_or_else(|| {
            CliError::new(format!(
                "--users-from {place}: line {} is no user name",
                line.number
            ))
        })?;
        let name = name.trim();
        if !name.is_empty() && !name.starts_with('#') {
            work(name)?;
        }
    }
    Ok(())
}

fn open(list: &Path) -> io::Result<Box<dyn Read>> {
    if list == Path::new("-") {
        Ok(Box::new(io::stdin()))
    } else {
        Ok(Box::new(File::open(list)?))
    }
}
