//! What a line of ours means that goes by users' own files.

use pam_login::options::Options;
use pam_login::options::files::FileUser;

use super::finding::Finding;
use super::pam_library::Step;
use super::pamd::{Kind, Module};

/// Says for an auth line with `secret=` or another option of pam_google_authenticator.so what it does.
pub(super) fn check(step: &Step, module: &Module) -> Option<Finding> {
    let options = Options::parse(module.options.iter().map(String::as_str)).ok()?;
    let files = &options.files;
    if module.kind != Kind::Auth || !files.any() {
        return None;
    }
    let pattern = files.secret.as_deref().unwrap_or("~/.google_authenticator");
    let mut meaning = format!(
        "This line goes by each user's own file, {pattern}, and not by otpgate's store: who is enrolled with `otpgate enroll` alone is refused, and whoever can write that file sets its secret."
    );
    let owner = match &files.user {
        Some(FileUser::Name(name)) => format!(" Files are read and written as {name}."),
        Some(FileUser::Uid(uid)) => format!(" Files are read and written as uid {uid}."),
        None => " Files are read and written as the user.".to_owned(),
    };
    meaning.push_str(&owner);
    for (given, text) in [
        (
            options.nullok,
            " Users without a file are let in without a code (nullok).",
        ),
        (
            files.no_strict_owner,
            " A file of another user's counts too (no_strict_owner).",
        ),
        (
            files.allow_readonly,
            " While the file system is read-only or full, a code can be used again and again (allow_readonly).",
        ),
        (
            files.noskewadj || files.no_increment_hotp,
            " noskewadj and no_increment_hotp change nothing: otpgate does so always.",
        ),
    ] {
        meaning.push_str(if given { text } else { "" });
    }
    let cure = format!(
        "otpgate import google --all --from '{pattern}'    # then take these options out: sudoedit +{} {}",
        step.line,
        step.file.display()
    );
    Some(Finding::warning(
        "pam-own-files",
        step.place(),
        meaning,
        cure,
    ))
}
