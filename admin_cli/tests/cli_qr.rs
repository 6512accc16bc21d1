//! The QR code, wherever it goes, says the key URI and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;

use support::picture::{Picture, decode_file};
use support::{Desk, feed, mode, tool};

/// The URI as `enroll` prints it for people.
fn printed_uri(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("Key URI: "));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// Texts that make small and large codes, of ASCII and of other letters.
const SHAPES: [(&str, &[&str]); 4] = [
    ("plain", &[]),
    (
        "long",
        &[
            "--issuer",
            "An issuer with a rather long name, branch office number 12 at the harbour",
            "--digits",
            "8",
        ],
    ),
    (
        "umlaut",
        &["--issuer", "Büro & Söhne", "--label", "jürg?=&%"],
    ),
    (
        "hotp",
        &["--hotp", "--counter", "123456789", "--algorithm", "sha512"],
    ),
];

#[test]
fn png_and_svg_files_say_the_uri() {
    let desk = Desk::new();
    for (user, arguments) in SHAPES {
        for kind in ["png", "svg"] {
            let path = desk.path(&format!("{user}.{kind}"));
            let target = path.to_str().unwrap();
            let fixed = ["enroll", user, "--force", "--no-confirm", "--qr", target];
            let printed = desk.must(&[&fixed, arguments].concat());
            assert!(
                printed.contains(&format!("Scan the code in {target}")),
                "{printed}"
            );
            assert!(!printed.contains('█'), "{printed}");
            let decoded = match kind {
                "png" => decode_file(&path),
                _ => Picture::of_svg(&fs::read_to_string(&path).unwrap()).decode(),
            };
            assert_eq!(decoded, printed_uri(&printed), "{user} {kind}");
            assert_eq!(mode(&path), 0o600, "{user} {kind}");
        }
    }
}

#[test]
fn half_blocks_on_a_pipe_read_on_a_dark_terminal() {
    let desk = Desk::new();
    for (user, arguments) in SHAPES {
        let printed = desk.must(&[&["enroll", user, "--no-confirm"], arguments].concat());
        assert!(!printed.contains('\x1b'), "{printed}");
        let decoded = Picture::of_half_blocks(&printed, false).decode();
        assert_eq!(decoded, printed_uri(&printed), "{user}");
    }
}

#[test]
fn half_blocks_on_a_terminal_bring_their_own_colours() {
    let desk = Desk::new();
    for (user, arguments) in SHAPES {
        let mut line = format!(
            "{} --config {} enroll {user} --no-confirm",
            env!("CARGO_BIN_EXE_otpgate"),
            desk.path("otpgate.toml").display()
        );
        for argument in arguments {
            line.push_str(&format!(" '{argument}'"));
        }
        let mut script = tool("script", "bsdutils");
        let typescript = desk.path("typescript");
        script
            .args(["--quiet", "--return", "--command", &line])
            .arg(typescript);
        let ran = feed(&mut script, "");
        assert_eq!(ran.status, 0, "{ran:?}");
        let mut code = String::new();
        for line in ran.stdout.lines().filter(|line| line.contains("107m")) {
            // Black on bright white, and back to what the terminal had.
            let bare = line.trim_end().strip_prefix("\x1b[30;107m");
            let bare = bare.and_then(|line| line.strip_suffix("\x1b[0m"));
            code.push_str(bare.unwrap_or_else(|| panic!("{line:?}")));
            code.push('\n');
        }
        let decoded = Picture::of_half_blocks(&code, true).decode();
        assert_eq!(
            decoded,
            printed_uri(&ran.stdout.replace('\r', "")),
            "{user}"
        );
        // The code has its quiet zone in its own colours: four modules on each side.
        assert!(
            code.lines().take(2).all(|line| line.trim().is_empty()),
            "{code}"
        );
        assert!(code.lines().all(|line| line.starts_with("    ")), "{code}");
    }
}

#[test]
fn none_shows_the_key_alone() {
    let desk = Desk::new();
    let printed = desk.must(&["enroll", "alice", "--no-confirm", "--qr", "none"]);
    assert!(printed.starts_with("Type this key: "), "{printed}");
    assert!(!printed.contains(['█', '▀', '▄']), "{printed}");
}

#[test]
fn an_existing_file_stays_as_it_is_and_nothing_is_enrolled() {
    let desk = Desk::new();
    for name in ["old.png", "old.svg"] {
        let path = desk.path(name);
        fs::write(&path, "somebody's").unwrap();
        let ran = desk.run(&[
            "enroll",
            "alice",
            "--no-confirm",
            "--qr",
            path.to_str().unwrap(),
        ]);
        assert_eq!(ran.status, 2, "{ran:?}");
        let error = ran.error();
        assert!(
            error.contains(name) && error.contains("File exists"),
            "{error}"
        );
        assert!(
            error.ends_with("; remove it, or choose another name"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
        assert_eq!(ran.stdout, "", "no key is shown that is not enrolled");
        assert!(!desk.account_file("alice").exists());
    }
}

#[test]
fn the_picture_of_a_key_that_was_not_confirmed_is_taken_away() {
    let desk = Desk::new();
    let path = desk.path("new.png");
    let ran = desk.run_with(
        &["enroll", "alice", "--qr", path.to_str().unwrap()],
        "\n\n\n",
    );
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(!path.exists());
    assert!(!desk.account_file("alice").exists());
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let desk = Desk::new();
    let missing = desk.path("no/such/code.png");
    let ran = desk.run(&[
        "enroll",
        "alice",
        "--no-confirm",
        "--qr",
        missing.to_str().unwrap(),
    ]);
    assert_eq!(ran.status, 2);
    assert!(
        ran.error().contains("no/such/code.png: No such file"),
        "{ran:?}"
    );
    let ran = desk.run(&["enroll", "alice", "--no-confirm", "--qr", "code.jpg"]);
    assert_eq!(ran.status, 2);
    assert!(
        ran.stderr
            .contains("takes utf8, none, or the name of a .png or .svg file"),
        "{ran:?}"
    );
}
