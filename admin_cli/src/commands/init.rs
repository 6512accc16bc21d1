//! `otpgate init`.

mod homes;

use std::fs;
use std::path::Path;

use otp_core::store::administration;

use super::Context;
use crate::error::{CliError, OK};
use crate::host::files::{self, Image, Unreadable};
use homes::Homes;

const KEY: &str = "google_authenticator_files";

pub(super) fn run(context: &Context<'_>) -> Result<u8, CliError> {
    let state_dir = context.config()?.state_dir;
    // Once: what an administrator decided later is not decided anew. A package may have made the directory.
    let first = !state_dir.join("accounts").exists();
    administration::init(&state_dir)?;
    let switched_off = first && Homes::of_this_host().have_no_file() && switch_off(context)?;
    let json = serde_json::json!({ "state_dir": state_dir, "switched_off": switched_off });
    let mut text = format!(
        "{} is ready. Next: `otpgate enroll USER` for yourself, then `otpgate setup sshd`.\n",
        state_dir.display()
    );
    if switched_off {
        text.push_str(&format!(
            "No home here has a ~/.google_authenticator, so {} now says {KEY} = \"off\".\n",
            context.cli.config.display()
        ));
    }
    context.print(&json, &text)?;
    Ok(OK)
}

/// Writes the key where nobody has decided about it; whether it was written.
fn switch_off(context: &Context<'_>) -> Result<bool, CliError> {
    let path = &context.cli.config;
    let fail = |error: &dyn std::fmt::Display| {
        CliError::new(format!(
            "{}: {error}; write {KEY} = \"off\" into it yourself, or \"fallback\", and run `otpgate init` again",
            path.display()
        ))
    };
    let image = match files::read(path) {
        Ok(image) => image,
        Err(Unreadable::Missing) => new_file(path).map_err(|error| fail(&error))?,
        Err(error) => return Err(fail(&error)),
    };
    let text = String::from_utf8(image.bytes).map_err(|error| fail(&error))?;
    if text.lines().any(|line| line.trim_start().starts_with(KEY)) {
        return Ok(false);
    }
    // In front: behind the first table the key would be the table's.
    let bytes = format!("{KEY} = \"off\"\n{text}").into_bytes();
    files::replace(path, &Image { bytes, ..image }).map_err(|error| fail(&error))?;
    Ok(true)
}

/// An empty file that is not there yet, readable by all: it holds no secrets.
fn new_file(path: &Path) -> std::io::Result<Image> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    Ok(Image {
        bytes: Vec::new(),
        mode: 0o644,
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    })
}
