//! Help, man pages and completions: complete, and fit for the programs that read them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;

use admin_cli::cli::Cli;
use clap::{Arg, Command, CommandFactory as _};
use support::{Desk, Ran, feed, tool};

fn otpgate(arguments: &[&str]) -> Ran {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_otpgate"));
    feed(command.args(arguments), "")
}

fn commands() -> Vec<Command> {
    let mut cli = Cli::command();
    cli.build();
    below(&cli)
}

/// The commands below this one, and those below them.
fn below(command: &Command) -> Vec<Command> {
    let commands = command
        .get_subcommands()
        .filter(|command| command.get_name() != "help");
    commands
        .flat_map(|command| [vec![command.clone()], below(command)].concat())
        .collect()
}

/// How the command is typed: `import google`.
fn typed(command: &Command) -> &str {
    let name = command.get_bin_name().unwrap();
    name.strip_prefix("otpgate ").unwrap()
}

/// The file name of its man page.
fn page_of(command: &Command) -> String {
    format!("otpgate-{}.1", typed(command).replace(' ', "-"))
}

/// How the argument is written: `--qr`, or `USER`.
fn spelling(argument: &Arg) -> String {
    match argument.get_long() {
        Some(long) => format!("--{long}"),
        None => argument.get_id().to_string().to_uppercase(),
    }
}

#[test]
fn every_command_and_argument_has_a_help_text() {
    for command in commands() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for argument in command.get_arguments() {
            let help = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.len() > 5,
                "{} {}",
                command.get_name(),
                spelling(argument)
            );
        }
    }
}

#[test]
fn help_mentions_every_flag() {
    for command in commands() {
        let name = typed(&command);
        let words: Vec<&str> = name.split(' ').collect();
        let by_flag = otpgate(&[&words[..], &["--help"]].concat());
        let by_command = otpgate(&[&["help"], &words[..]].concat());
        assert_eq!((by_flag.status, by_command.status), (0, 0), "{name}");
        assert_eq!(by_flag.stdout, by_command.stdout, "{name}");
        for argument in command.get_arguments() {
            assert!(
                by_flag.stdout.contains(&spelling(argument)),
                "{name} {}",
                spelling(argument)
            );
        }
    }
    let overview = otpgate(&["--help"]).stdout;
    for command in commands() {
        if typed(&command).contains(' ') {
            continue;
        }
        assert!(
            overview.contains(&format!("\n  {}", command.get_name())),
            "{overview}"
        );
    }
    assert!(
        overview.contains("Exit status: 0 done, 1 \"no\""),
        "{overview}"
    );
}

/// Spellings that scripts rely on: an interface.
#[test]
fn what_scripts_rely_on_is_there() {
    for (command, flags) in [
        (
            "enroll",
            &[
                "--config",
                "--device",
                "--totp",
                "--hotp",
                "--profile",
                "--algorithm",
                "--digits",
                "--period",
                "--counter",
                "--secret-from",
                "--no-confirm",
                "--force",
                "--qr",
                "--json",
            ][..],
        ),
        (
            "code",
            &[
                "--secret-from",
                "--hotp",
                "--counter",
                "--at",
                "--algorithm",
                "--digits",
                "--period",
                "--json",
            ],
        ),
        ("setup", &["--undo", "--dry-run"]),
        (
            "import google",
            &[
                "USER",
                "--all",
                "--from",
                "--dry-run",
                "--force",
                "--allow-weak",
                "--json",
            ],
        ),
        ("import oath", &["FILE", "--window", "--dry-run", "--json"]),
        ("import otpauth", &["FILE", "--user", "--dry-run", "--json"]),
        ("list", &["--limit", "--after", "--json"]),
    ] {
        let known = commands()
            .into_iter()
            .find(|known| typed(known) == command)
            .unwrap();
        let known: Vec<String> = known.get_arguments().map(spelling).collect();
        for flag in flags {
            assert!(known.contains(&(*flag).to_owned()), "{command} {flag}");
        }
    }
    for command in [
        "setup",
        "init",
        "enroll",
        "list",
        "show",
        "code",
        "verify",
        "recovery",
        "test-login",
        "disable",
        "enable",
        "remove",
        "unlock",
        "resync",
        "export",
        "repair",
        "check",
        "completions",
        "man",
    ] {
        assert_eq!(otpgate(&[command, "--help"]).status, 0, "{command}");
    }
}

#[test]
fn config_and_json_may_stand_before_and_behind_the_command() {
    let desk = Desk::new();
    let config = desk.path("otpgate.toml");
    let config = config.to_str().unwrap();
    desk.enroll("alice", &[]);
    for arguments in [
        ["--config", config, "--json", "show", "alice"],
        ["show", "--config", config, "--json", "alice"],
        ["show", "alice", "--json", "--config", config],
    ] {
        let ran = otpgate(&arguments);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.stdout.starts_with("{\n"), "{ran:?}");
    }
}

#[test]
fn man_pages_render_without_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().to_str().unwrap();
    let ran = otpgate(&["man", "--out", out]);
    assert_eq!(
        (ran.status, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "", "")
    );
    let mut pages: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort_unstable();
    let mut expected: Vec<String> = commands()
        .iter()
        .map(page_of)
        .chain(["otpgate.1".to_owned()])
        .collect();
    expected.sort_unstable();
    assert_eq!(pages, expected);
    for page in &pages {
        let mut groff = tool("groff", "groff");
        groff
            .args(["-man", "-ww", "-Tutf8", "-P-cbou"])
            .arg(directory.path().join(page));
        let ran = feed(&mut groff, "");
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{page}");
        assert!(
            ran.stdout.contains("NAME") && ran.stdout.contains("SYNOPSIS"),
            "{page}"
        );
    }
    for command in commands() {
        let page = page_of(&command);
        // As written, before hyphens are broken over lines.
        let text = fs::read_to_string(directory.path().join(&page))
            .unwrap()
            .replace('\\', "");
        for argument in command.get_arguments() {
            assert!(
                text.contains(&spelling(argument)),
                "{page} {}",
                spelling(argument)
            );
        }
    }
    let main = otpgate(&["man"]);
    let written = fs::read_to_string(directory.path().join("otpgate.1")).unwrap();
    assert_eq!(
        main.stdout, written,
        "the main page goes to standard output"
    );
}

#[test]
fn man_names_a_directory_that_is_not_there() {
    let ran = otpgate(&["man", "--out", "/no/such/directory"]);
    assert_eq!(ran.status, 2);
    assert_eq!(
        ran.error(),
        "/no/such/directory: No such file or directory (os error 2)"
    );
}

#[test]
fn completions_parse_and_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = otpgate(&["completions", shell]);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{shell}");
        for command in commands() {
            assert!(
                ran.stdout.contains(command.get_name()),
                "{shell} {}",
                command.get_name()
            );
        }
    }
    let script = otpgate(&["completions", "bash"]).stdout;
    let parsed = feed(tool("bash", "bash").arg("-n"), &script);
    assert_eq!((parsed.status, parsed.stderr.as_str()), (0, ""));
    let ran = otpgate(&["completions", "tcsh"]);
    assert_eq!(ran.status, 2);
}

#[test]
fn bash_completes_commands_and_flags() {
    let script = otpgate(&["completions", "bash"]).stdout;
    for (words, expected) in [
        ("otpgate rep", "repair"),
        ("otpgate enroll --no", "--no-confirm"),
        ("otpgate code --secret", "--secret-from"),
    ] {
        let last = words.split(' ').count() - 1;
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={last}; _otpgate otpgate \"${{COMP_WORDS[{last}]}}\" \
             \"${{COMP_WORDS[{last}-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let ran = feed(tool("bash", "bash").args(["--norc", "-s"]), &ask);
        assert_eq!(ran.stdout.trim(), expected, "{words}: {}", ran.stderr);
    }
}
