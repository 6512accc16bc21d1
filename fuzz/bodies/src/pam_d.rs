//! pam.d: the arguments of our line, and whole files as `otpgate check` walks through them.

use std::path::{Path, PathBuf};

use admin_cli::host::pam_library::Library;
use admin_cli::host::pam_walk::{is_ours, walk};
use admin_cli::host::pamd::{Directive, Kind, parse};
use pam_login::options::{FirstPass, LONGEST_GRACE, Options};

/// An argument a line.
pub fn pam_arguments(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let arguments: Vec<&str> = text.split('\n').collect();
    match Options::parse(arguments.iter().copied()) {
        Ok(options) => is_what_was_written(&options, &arguments),
        Err(error) => {
            let error = error.to_string();
            assert!(!error.chars().any(char::is_control), "{error:?}");
            // What stands behind `=` may be anything, and belongs into no log. Names do, without odd characters.
            let in_a_name = |argument: &&str| {
                let name = argument.split('=').next().unwrap_or_default();
                let graphic = name.chars().filter(char::is_ascii_graphic);
                graphic.collect::<String>().contains("hunter2")
            };
            if !arguments.iter().any(in_a_name) {
                assert!(!error.contains("hunter2"), "{error}");
            }
        }
    }
}

fn is_what_was_written(options: &Options, arguments: &[&str]) {
    let has = |wanted: &str| arguments.contains(&wanted);
    assert_eq!(options.nullok, has("nullok"));
    assert_eq!(options.ask_password, has("ask_password"));
    assert_eq!(options.forward_pass, has("forward_pass"));
    assert!(!(options.ask_password && options.forward_pass));
    assert_eq!(options.quiet, has("quiet"));
    assert_eq!(options.no_delay, has("no_delay"));
    assert_eq!(options.files.no_strict_owner, has("no_strict_owner"));
    assert_eq!(options.files.allow_readonly, has("allow_readonly"));
    let mut passes = arguments.iter().rev();
    let last = passes.find(|argument| argument.ends_with("_first_pass"));
    let expected = match last.copied() {
        Some("try_first_pass") => FirstPass::Try,
        Some("use_first_pass") => FirstPass::Use,
        _ => FirstPass::Ignore,
    };
    assert_eq!(options.first_pass, expected);
    assert!(options.grace.is_none_or(|seconds| seconds > 0));
    assert!(options.grace.is_none_or(|seconds| seconds <= LONGEST_GRACE));
    assert!(options.files.allowed_perm.is_none_or(|mode| mode <= 0o7777));
}

/// The text of a service file.
pub fn pam_d(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines = parse(&text);
    let mut last = 0;
    for line in &lines {
        assert!(line.first > last && line.last >= line.first, "{line:?}");
        last = line.last;
    }
    assert!(last <= text.split('\n').count());
    // A file that exists must not decide what a run does.
    let leads_out = |directive: &Directive| match directive {
        Directive::IncludeAll(name)
        | Directive::Include(_, name)
        | Directive::Substack(_, name) => name.contains('/'),
        Directive::Module(_) | Directive::Broken(..) => false,
    };
    if !lines.iter().any(|line| leads_out(&line.directive)) {
        walk_through(data);
    }
}

fn walk_through(data: &[u8]) {
    let directory = PathBuf::from("/nonexistent");
    let file = directory.join("sshd");
    let library = Library::new(&[directory]).with_planned(Path::new(&file), data);
    for kind in [Kind::Auth, Kind::Account, Kind::Password, Kind::Session] {
        let stack = library.stack("sshd", kind);
        let ways = walk(&stack.steps, kind);
        // Without our module there is no way through it.
        if !stack.steps.iter().any(is_ours) {
            assert!(!ways.accepted && !ways.ignored && !ways.asked_twice);
        }
    }
}
