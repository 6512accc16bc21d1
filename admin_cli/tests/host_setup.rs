//! `otpgate setup`: in, again, and back, on real pam.d files and with the real sshd.
// clippy.toml allows these in test functions, but not in what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod host_support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use admin_cli::host::pam_walk::is_ours;
use admin_cli::host::pamd::Kind;
use admin_cli::host::setup::{Outcome, SetupError, SetupRequest, setup};
use host_support::{Host, codes, snapshot, write_program};

fn run(host: &Host, words: &str) -> Result<Outcome, SetupError> {
    let request = SetupRequest {
        service: words.split(' ').next().unwrap().to_owned(),
        undo: words.contains("--undo"),
        dry_run: words.contains("--dry-run"),
        require: words.contains("--require"),
        enrol: words.contains("--enrol"),
        config: words.split(" --config=").nth(1).map(Into::into),
    };
    setup(&host.paths, &request)
}

fn etc(host: &Host) -> Vec<(std::path::PathBuf, Vec<u8>, u32)> {
    let mut files = snapshot(&host.paths.pam_dirs[0]);
    files.extend(snapshot(&host.paths.sshd_dropin_dir));
    files.push((
        host.paths.sshd_config.clone(),
        fs::read(&host.paths.sshd_config).unwrap_or_default(),
        0,
    ));
    files
}

fn dropin(host: &Host) -> std::path::PathBuf {
    host.paths.sshd_dropin_dir.join("00-otpgate.conf")
}

/// Our lines, as (line before, line) pairs, comments left out.
fn ours_in(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect();
    lines
        .windows(2)
        .filter(|pair| pair[1].contains("pam_otpgate.so"))
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()))
        .collect()
}

#[test]
fn debian_sshd_in_again_and_back() {
    let host = Host::with_sshd("debian12");
    fs::set_permissions(host.service_path("sshd"), fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(host.service_path("sshd"), None, Some(42)).unwrap();
    let before = etc(&host);

    let done = run(&host, "sshd").unwrap();
    assert!(matches!(done, Outcome::Done { .. }), "{done:?}");
    let text = host.service("sshd");
    assert_eq!(
        ours_in(&text),
        [
            (
                "@include common-auth".to_owned(),
                "auth required pam_otpgate.so nullok".to_owned()
            ),
            (
                "account    required     pam_nologin.so".to_owned(),
                "account required pam_otpgate.so".to_owned()
            ),
        ]
    );
    let status = fs::metadata(host.service_path("sshd")).unwrap();
    assert_eq!(
        (status.mode() & 0o7777, status.gid()),
        (0o640, 42),
        "mode and owner stay"
    );
    assert_eq!(codes(&host.check_pam(true)), ["pam-nullok"]);
    let settings = host.paths.sshd().settings(None).unwrap();
    for (keyword, value) in [
        ("usepam", "yes"),
        ("kbdinteractiveauthentication", "yes"),
        ("passwordauthentication", "no"),
    ] {
        assert!(settings.is(keyword, value), "{keyword}");
    }

    let after = etc(&host);
    assert_eq!(
        run(&host, "sshd").unwrap(),
        Outcome::AlreadyThere {
            service: "sshd".into()
        }
    );
    assert_eq!(etc(&host), after, "a second run changes nothing");

    let undone = run(&host, "sshd --undo").unwrap();
    assert!(
        matches!(&undone, Outcome::Undone { left, .. } if left.is_empty()),
        "{undone:?}"
    );
    assert_eq!(etc(&host), before, "byte for byte, mode for mode");
    assert_eq!(fs::metadata(host.service_path("sshd")).unwrap().gid(), 42);
    assert!(!host.paths.state_dir.join("setup/sshd").exists());
    assert!(matches!(
        run(&host, "sshd --undo"),
        Err(SetupError::NothingToUndo { .. })
    ));
}

#[test]
fn undo_keeps_what_the_admin_wrote_since() {
    let host = Host::with_sshd("debian12");
    run(&host, "sshd").unwrap();
    host.insert_after(
        "sshd",
        "pam_otpgate.so nullok",
        "auth optional pam_echo.so hello",
    );
    let text = host
        .service("sshd")
        .replace("pam_otpgate.so nullok", "pam_otpgate.so nullok debug");
    host.write("sshd", &text);
    let own = fs::read_to_string(dropin(&host)).unwrap();
    fs::write(dropin(&host), format!("{own}\nMaxAuthTries 4\n")).unwrap();

    run(&host, "sshd --undo").unwrap();
    let text = host.service("sshd");
    assert!(text.contains("auth optional pam_echo.so hello"), "{text}");
    assert!(!text.contains("otpgate"), "{text}");
    let expected = fs::read_to_string(host_support::fixture("debian12/sshd")).unwrap();
    assert_eq!(
        text.replace("auth optional pam_echo.so hello\n", ""),
        expected
    );
    let left = fs::read_to_string(dropin(&host)).unwrap();
    assert_eq!(left.trim(), "MaxAuthTries 4");
}

#[test]
fn undo_leaves_and_names_lines_that_setup_did_not_write() {
    let host = Host::with_sshd("debian12");
    run(&host, "sshd").unwrap();
    host.insert_after(
        "sshd",
        "@include common-password",
        "password optional pam_otpgate.so enrol",
    );
    let Outcome::Undone { left, .. } = run(&host, "sshd --undo").unwrap() else {
        panic!()
    };
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(
        host.service("sshd")
            .contains("password optional pam_otpgate.so enrol")
    );
}

#[test]
fn require_rewrites_the_line_in_place_and_undo_still_goes_all_the_way_back() {
    let host = Host::with_sshd("debian12");
    let before = etc(&host);
    run(&host, "sshd").unwrap();
    let with_nullok = host.service("sshd");
    run(&host, "sshd --require").unwrap();
    assert_eq!(
        host.service("sshd"),
        with_nullok.replace("pam_otpgate.so nullok", "pam_otpgate.so")
    );
    assert_eq!(
        run(&host, "sshd --require").unwrap(),
        Outcome::AlreadyThere {
            service: "sshd".into()
        }
    );
    assert_eq!(
        run(&host, "sshd").unwrap(),
        Outcome::AlreadyThere {
            service: "sshd".into()
        },
        "never puts nullok back"
    );
    assert_eq!(codes(&host.check_pam(true)), [""; 0]);
    run(&host, "sshd --undo").unwrap();
    assert_eq!(etc(&host), before);
}

#[test]
fn an_edit_between_two_setups_survives_undo() {
    let host = Host::with_sshd("debian12");
    run(&host, "sshd").unwrap();
    host.insert_after(
        "sshd",
        "pam_otpgate.so nullok",
        "auth optional pam_echo.so hello",
    );
    run(&host, "sshd --require").unwrap();
    run(&host, "sshd --undo").unwrap();
    let text = host.service("sshd");
    assert!(
        text.contains("pam_echo.so hello") && !text.contains("otpgate"),
        "{text}"
    );
}

#[test]
fn dry_run_shows_a_diff_and_changes_nothing() {
    let host = Host::with_sshd("debian12");
    let before = snapshot(host.root.path());
    let Outcome::Preview { diff } = run(&host, "sshd --dry-run").unwrap() else {
        panic!()
    };
    for line in [
        "+auth required pam_otpgate.so nullok",
        "+account required pam_otpgate.so",
        "+KbdInteractiveAuthentication yes",
        "--- /dev/null",
        " @include common-auth",
    ] {
        assert!(diff.contains(&format!("{line}\n")), "{line}: {diff}");
    }
    assert_eq!(snapshot(host.root.path()), before);
    run(&host, "sshd").unwrap();
    let Outcome::Preview { diff } = run(&host, "sshd --undo --dry-run").unwrap() else {
        panic!()
    };
    assert!(
        diff.contains("-auth required pam_otpgate.so nullok\n"),
        "{diff}"
    );
    assert!(host.service("sshd").contains("pam_otpgate.so"));
}

#[test]
fn where_the_line_goes() {
    let cases = [
        (
            "Debian's login",
            "debian12",
            "login",
            "@include common-auth",
        ),
        ("Debian's sudo", "debian12", "sudo", "@include common-auth"),
        (
            "Debian's su keeps root's way",
            "debian12",
            "su",
            "@include common-auth",
        ),
        (
            "Red Hat's sshd, behind the substack",
            "redhat9",
            "sshd",
            "auth       substack     password-auth",
        ),
        (
            "Arch's sshd",
            "arch",
            "sshd",
            "auth      include   system-remote-login",
        ),
    ];
    for (name, distribution, service, behind) in cases {
        let host = match service {
            "sshd" => Host::with_sshd(distribution),
            _ => Host::new(distribution),
        };
        let before = host.service(service);
        run(&host, service).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(ours_in(&host.service(service))[0].0, behind, "{name}");
        let found = codes(&host.check_pam(true));
        let expected: &[&str] = match (distribution, service) {
            (_, "su") => &["pam-bypass-rule", "pam-nullok"],
            _ => &["pam-nullok"],
        };
        assert_eq!(found, expected, "{name}");
        run(&host, &format!("{service} --undo")).unwrap();
        assert_eq!(host.service(service), before, "{name}");
    }
}

#[test]
fn written_out_stacks() {
    let cases = [
        (
            "Debian's pattern: behind pam_deny, so that the jump still lands on pam_permit",
            "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
            "auth requisite pam_deny.so",
        ),
        (
            "behind a line that a jump counts, so that the jump lands where it did",
            "auth [success=2 default=ignore] pam_localuser.so\nauth required pam_unix.so\nauth required pam_echo.so\nauth optional pam_cap.so\n",
            "auth required pam_echo.so",
        ),
        (
            "a single line, no newline",
            "auth required pam_unix.so",
            "auth required pam_unix.so",
        ),
        (
            "a continued line",
            "auth required \\\n  pam_unix.so\nauth optional pam_group.so\n",
            "  pam_unix.so",
        ),
        (
            "two password checks",
            "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_sss.so use_first_pass\nauth optional pam_cap.so\n",
            "auth requisite pam_sss.so use_first_pass",
        ),
    ];
    for (name, text, behind) in cases {
        let host = Host::new("debian12");
        host.write("ftp", text);
        run(&host, "ftp").unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(ours_in(&host.service("ftp"))[0].0, behind, "{name}");
        assert!(
            !host.service("ftp").contains("account"),
            "{name}: without account lines libpam takes those of other"
        );
        run(&host, "ftp --undo").unwrap();
        assert_eq!(host.service("ftp"), text, "{name}");
    }
}

#[test]
fn refusals_name_a_reason_and_change_nothing() {
    type Prepare = fn(&Host);
    let cases: [(&str, &str, &str, Prepare, &str); 15] = [
        (
            "shared by name",
            "debian12",
            "common-auth",
            |_| (),
            "is shared",
        ),
        (
            "shared by name, Red Hat",
            "redhat9",
            "system-auth",
            |_| (),
            "is shared",
        ),
        ("other", "debian12", "other", |_| (), "is shared"),
        (
            "shared by use",
            "debian12",
            "local-auth",
            |h| {
                h.write("local-auth", "auth required pam_unix.so\n");
                h.write("ftp", "@include local-auth\n");
            },
            "(ftp)",
        ),
        ("a path", "debian12", "../sshd", |_| (), "not the name"),
        ("empty", "debian12", "", |_| (), "not the name"),
        ("a dot", "debian12", ".sshd", |_| (), "not the name"),
        (
            "no such service",
            "debian12",
            "shd",
            |_| (),
            "there is no PAM service",
        ),
        (
            "no password check",
            "debian12",
            "ftp",
            |h| h.write("ftp", "auth required pam_permit.so\n"),
            "nothing here checks a password",
        ),
        (
            "sufficient in an include",
            "redhat9",
            "sudo",
            |_| (),
            "auth substack",
        ),
        (
            "a symbolic link",
            "debian12",
            "ftp",
            |h| symlink("su", h.service_path("ftp")).unwrap(),
            "symbolic link",
        ),
        (
            "a FIFO",
            "debian12",
            "ftp",
            |h| {
                std::process::Command::new("mkfifo")
                    .arg(h.service_path("ftp"))
                    .status()
                    .unwrap();
            },
            "not a regular file",
        ),
        (
            "huge",
            "debian12",
            "ftp",
            |h| h.write("ftp", vec![b'\n'; 1 << 20]),
            "larger than",
        ),
        (
            "in common-auth already",
            "debian12",
            "su",
            |h| h.insert_after("common-auth", "pam_cap", "auth required pam_otpgate.so"),
            "has our line already",
        ),
        (
            "a line libpam cannot read",
            "debian12",
            "ftp",
            |h| h.write("ftp", "auth requird pam_x.so\n@include common-auth\n"),
            "cannot read",
        ),
    ];
    for (name, distribution, service, prepare, expected) in cases {
        let host = Host::new(distribution);
        prepare(&host);
        let before = fs::read_dir(&host.paths.pam_dirs[0]).unwrap().count();
        let why = run(&host, service)
            .map(|done| panic!("{name}: {done}"))
            .unwrap_err()
            .to_string();
        assert!(why.contains(expected), "{name}: {why}");
        assert!(why.contains("Type: "), "{name} has no cure: {why}");
        assert_eq!(
            fs::read_dir(&host.paths.pam_dirs[0]).unwrap().count(),
            before,
            "{name}"
        );
        let records = fs::read_dir(host.paths.state_dir.join("setup"));
        assert!(
            records
                .into_iter()
                .flatten()
                .all(|entry| entry.unwrap().file_name() == ".lock"),
            "{name}"
        );
    }
}

#[test]
fn sshd_configurations_in_which_a_drop_in_would_not_win() {
    let cases = [
        ("no Include", "{key}", "no Include line"),
        (
            "Include inside a Match block",
            "{key}\nMatch User x\n{include}",
            "no Include line",
        ),
        (
            "an earlier line",
            "KbdInteractiveAuthentication no\n{include}\n{key}",
            "sshd_config:1 says",
        ),
        (
            "an earlier line under its old name",
            "ChallengeResponseAuthentication=no\n{include}\n{key}",
            "sshd_config:1 says",
        ),
        (
            "broken before we came",
            "{include}\n{key}\nNonsense",
            "does not accept its configuration",
        ),
    ];
    for (name, template, expected) in cases {
        let host = Host::with_sshd("debian12");
        let include = format!("Include {}/*.conf", host.paths.sshd_dropin_dir.display());
        let key = format!("HostKey {}", host.root.path().join("host_key").display());
        host.sshd_config(
            &(template
                .replace("{include}", &include)
                .replace("{key}", &key)
                + "\n"),
        );
        let before = etc(&host);
        let why = run(&host, "sshd")
            .map(|done| panic!("{name}: {done}"))
            .unwrap_err()
            .to_string();
        assert!(
            why.contains(expected) && why.contains("Type: "),
            "{name}: {why}"
        );
        assert_eq!(etc(&host), before, "{name}");
    }
}

#[test]
fn an_earlier_drop_in_that_disagrees_is_named() {
    let host = Host::with_sshd("debian12");
    fs::write(
        host.paths.sshd_dropin_dir.join("00-first.conf"),
        "PasswordAuthentication yes\n",
    )
    .unwrap();
    let why = run(&host, "sshd").unwrap_err().to_string();
    assert!(why.contains("00-first.conf:1"), "{why}");
    fs::rename(
        host.paths.sshd_dropin_dir.join("00-first.conf"),
        host.paths.sshd_dropin_dir.join("50-cloud-init.conf"),
    )
    .unwrap();
    run(&host, "sshd").unwrap();
}

#[test]
fn a_drop_in_that_does_not_work_is_not_taken_for_one_that_does() {
    let ours = String::from_utf8(admin_cli::host::setup_sshd::content()).unwrap();
    let cases = [
        ("empty", "", "", "is not what setup writes", "mv "),
        (
            "edited",
            "UsePAM yes\nKbdInteractiveAuthentication no\n",
            "",
            "KbdInteractiveAuthentication no instead of yes",
            "00-otpgate.conf.old && otpgate setup sshd",
        ),
        (
            "ours, behind a line that wins",
            &ours,
            "PasswordAuthentication yes\n",
            "sshd_config:1 says passwordauthentication yes before the drop-in",
            "sudoedit +1 ",
        ),
    ];
    for (name, text, first, expected, cure) in cases {
        let host = Host::with_sshd("debian12");
        fs::write(dropin(&host), text).unwrap();
        host.sshd_config(&format!("{first}{}", host.sshd_config_text()));
        let before = etc(&host);
        for dry_run in ["", " --dry-run"] {
            let why = run(&host, &format!("sshd{dry_run}"))
                .map(|done| panic!("{name}: {done}"))
                .unwrap_err()
                .to_string();
            assert!(why.contains(expected), "{name}: {why}");
            assert!(why.contains(cure), "{name}: {why}");
        }
        assert_eq!(etc(&host), before, "{name}");
    }
}

#[test]
fn a_drop_in_that_is_ours_and_still_loses_names_the_line_that_wins() {
    let host = Host::with_sshd("debian12");
    run(&host, "sshd").unwrap();
    run(&host, "sshd --undo").unwrap();
    // What sshd says and what is written differ, as with a Match block that the asking does not show.
    let wrapper = host.root.path().join("sshd");
    let script =
        "/usr/sbin/sshd \"$@\" | sed 's/^passwordauthentication no/passwordauthentication yes/'";
    write_program(&wrapper, script);
    let text = host.sshd_config_text() + "\nMatch User bob\n  PasswordAuthentication yes\n";
    host.sshd_config(&text);
    fs::write(dropin(&host), admin_cli::host::setup_sshd::content()).unwrap();
    let mut paths = host.paths.clone();
    paths.sshd_binary = wrapper;
    let request = SetupRequest {
        service: "sshd".into(),
        ..SetupRequest::default()
    };
    let why = setup(&paths, &request).unwrap_err().to_string();
    let line = text.lines().count();
    let expected = format!("sshd_config:{line} wins (for \"Match User bob\")");
    assert!(why.contains(&expected), "{why}");
    assert!(why.contains(&format!("Type: sudoedit +{line} ")), "{why}");
}

#[test]
fn a_drop_in_that_works_is_left_alone() {
    let host = Host::with_sshd("debian12");
    let text = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n";
    fs::write(dropin(&host), text).unwrap();
    run(&host, "sshd").unwrap();
    assert!(host.service("sshd").contains("pam_otpgate.so"));
    run(&host, "sshd --undo").unwrap();
    assert_eq!(fs::read_to_string(dropin(&host)).unwrap(), text);
}

#[test]
fn a_module_that_libpam_would_not_load_is_refused_before_any_change() {
    type Prepare = fn(&Path);
    let cases: [(&str, Prepare, &str); 4] = [
        (
            "missing",
            |file| fs::remove_file(file).unwrap(),
            "is not there",
        ),
        (
            "a directory",
            |file| {
                fs::remove_file(file).unwrap();
                fs::create_dir(file).unwrap();
            },
            "not a regular file",
        ),
        (
            "somebody else's",
            |file| std::os::unix::fs::chown(file, Some(12345), None).unwrap(),
            "belongs to uid 12345",
        ),
        (
            "writable",
            |file| fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap(),
            "0666",
        ),
    ];
    for (name, prepare, expected) in cases {
        let host = Host::with_sshd("debian12");
        prepare(&host.paths.module_search_dirs[0].join("pam_otpgate.so"));
        let before = etc(&host);
        for words in ["sshd", "sshd --dry-run", "login", "login --dry-run"] {
            let why = run(&host, words).unwrap_err();
            assert!(matches!(why, SetupError::Module(_)), "{name}: {why}");
            let why = why.to_string();
            assert!(
                why.contains(expected) && why.contains("Type: "),
                "{name}: {why}"
            );
        }
        assert_eq!(etc(&host), before, "{name}");
        assert!(!host.paths.state_dir.join("setup/sshd").exists(), "{name}");
    }
}

#[test]
fn a_module_that_is_gone_does_not_keep_anybody_from_going_back() {
    let host = Host::with_sshd("debian12");
    let before = etc(&host);
    run(&host, "sshd").unwrap();
    fs::remove_file(host.paths.module_search_dirs[0].join("pam_otpgate.so")).unwrap();
    run(&host, "sshd --undo").unwrap();
    assert_eq!(etc(&host), before);
}

fn own_options(host: &Host, kind: Kind) -> Vec<Vec<String>> {
    let stack = host.paths.library().stack("login", kind);
    let ours = stack.steps.iter().filter(|step| is_ours(step));
    ours.map(|step| step.module().unwrap().options.clone())
        .collect()
}

#[test]
fn the_lines_name_the_configuration_and_a_second_run_renames_it() {
    let paths = [
        ("/srv/otpgate.toml", "config=/srv/otpgate.toml"),
        ("/srv/two words.toml", "[config=/srv/two words.toml]"),
        ("/srv/[x].toml", "[config=/srv/[x\\].toml]"),
    ];
    for (path, word) in paths {
        let host = Host::new("debian12");
        let before = etc(&host);
        let named = format!("login --config={path}");
        let said = run(&host, &named).unwrap().to_string();
        let undo = format!("otpgate --config {path:?} setup login --undo");
        assert!(said.contains(&undo), "{said}");
        let text = host.service("login");
        for line in [
            format!("auth required pam_otpgate.so nullok {word}\n"),
            format!("account required pam_otpgate.so {word}\n"),
        ] {
            assert!(text.contains(&line), "{line}: {text}");
        }
        let option = format!("config={path}");
        assert_eq!(
            own_options(&host, Kind::Auth),
            [["nullok", option.as_str()]]
        );
        assert_eq!(own_options(&host, Kind::Account), [[option.as_str()]]);
        let there = Outcome::AlreadyThere {
            service: "login".into(),
        };
        assert_eq!(run(&host, &named).unwrap(), there);

        run(&host, "login --require --config=/srv/other.toml").unwrap();
        for kind in [Kind::Auth, Kind::Account] {
            assert_eq!(own_options(&host, kind), [["config=/srv/other.toml"]]);
        }
        run(&host, "login").unwrap();
        for kind in [Kind::Auth, Kind::Account] {
            assert_eq!(own_options(&host, kind), [[""; 0]; 1], "the usual one");
        }
        run(&host, &named).unwrap();
        run(&host, "login --undo").unwrap();
        assert_eq!(etc(&host), before, "{path}");
    }
}

#[test]
fn a_configuration_is_renamed_on_an_edited_line_and_undo_still_takes_it_out() {
    let host = Host::new("debian12");
    let original = host.service("login");
    run(&host, "login --config=/srv/a.toml").unwrap();
    let text = host.service("login").replace(
        "so nullok config=/srv/a.toml",
        "so [authtok_prompt=a config=b] \\\n  config=/srv/a.toml # ours\n# next",
    );
    host.write("login", &text);
    run(&host, "login --config=/srv/b.toml").unwrap();
    let line = "auth required pam_otpgate.so [authtok_prompt=a config=b] config=/srv/b.toml # ours\n# next\n";
    assert!(
        host.service("login").contains(line),
        "{}",
        host.service("login")
    );
    run(&host, "login --undo").unwrap();
    assert_eq!(host.service("login").replace("# next\n", ""), original);
}

#[test]
fn a_configuration_that_cannot_be_named_or_is_not_the_lines_own_is_refused() {
    let host = Host::new("debian12");
    for path in ["otpgate.toml", "/srv/#1.toml", "/srv/a\\b", "/srv/a\nb"] {
        let why = run(&host, &format!("login --config={path}")).unwrap_err();
        assert!(matches!(why, SetupError::ConfigName(_)), "{path}: {why}");
        assert!(why.to_string().contains("Type: "), "{path}: {why}");
    }
    let by_hand = "auth required pam_otpgate.so config=/srv/hand.toml";
    host.insert_after("login", "@include common-auth", by_hand);
    let before = etc(&host);
    for words in ["login --require", "login --config=/srv/b.toml"] {
        let why = run(&host, words).unwrap_err().to_string();
        let cure = "Type: otpgate --config \"/srv/hand.toml\" setup login";
        assert!(why.contains(cure), "{why}");
    }
    assert_eq!(etc(&host), before);
    run(&host, "login --require --config=/srv/hand.toml").unwrap();
    assert!(host.service("login").contains(by_hand));
}

#[test]
fn originals_of_a_file_that_is_stuck_are_kept_and_named() {
    let host = Host::with_sshd("debian12");
    let login = host.service("sshd");
    // An sshd that puts a directory in the place of the drop-in, so that nothing can take it back.
    let wrapper = host.root.path().join("sshd");
    let file = dropin(&host);
    write_program(
        &wrapper,
        &format!(
            "[ -f {0} ] && {{ rm {0}; mkdir {0}; echo 'line 6: no' >&2; exit 255; }}\nexec /usr/sbin/sshd \"$@\"",
            file.display()
        ),
    );
    let mut paths = host.paths.clone();
    paths.sshd_binary = wrapper;
    let request = SetupRequest {
        service: "sshd".into(),
        ..SetupRequest::default()
    };
    let why = setup(&paths, &request).unwrap_err();
    assert!(why.leaves_changes(), "{why}");
    let kept = host.paths.state_dir.join("setup/sshd");
    let why = why.to_string();
    for words in [
        "line 6: no",
        &format!("could NOT be put back: {}", file.display()),
        &format!("originals are kept in {}", kept.display()),
        "Type: otpgate setup sshd --undo",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }
    let record = admin_cli::host::setup_record::Record::load(&kept)
        .unwrap()
        .unwrap();
    let entry = record.of(&host.service_path("sshd")).unwrap();
    assert_eq!(entry.original.as_ref().unwrap().bytes, login.as_bytes());
    assert_eq!(host.service("sshd"), login);

    fs::remove_dir(&file).unwrap();
    run(&host, "sshd --undo").unwrap();
    assert!(!kept.exists());
}

#[test]
fn when_sshd_rejects_the_result_everything_is_rolled_back() {
    let host = Host::with_sshd("debian12");
    let before = etc(&host);
    // An sshd that accepts the host as it is, and nothing that contains our drop-in.
    let wrapper = host.root.path().join("sshd");
    write_program(
        &wrapper,
        &format!(
            "[ -e {} ] && {{ echo 'drop-in line 6: no' >&2; exit 255; }}\nexec /usr/sbin/sshd \"$@\"",
            dropin(&host).display()
        ),
    );
    let mut paths = host.paths.clone();
    paths.sshd_binary = wrapper;
    let request = SetupRequest {
        service: "sshd".into(),
        ..SetupRequest::default()
    };
    let why = setup(&paths, &request).unwrap_err();
    assert!(
        matches!(&why, SetupError::RolledBack { stuck, .. } if stuck.is_empty()),
        "{why}"
    );
    assert!(why.to_string().contains("drop-in line 6"), "{why}");
    assert_eq!(etc(&host), before);
    assert!(!host.paths.state_dir.join("setup/sshd").exists());
}

#[test]
fn a_broken_sshd_config_does_not_keep_anybody_from_going_back() {
    let host = Host::with_sshd("debian12");
    run(&host, "sshd").unwrap();
    host.sshd_config(&format!("Nonsense\n{}", host.sshd_config_text()));
    run(&host, "sshd --undo").unwrap();
    assert!(!host.service("sshd").contains("otpgate") && !dropin(&host).exists());
}

#[test]
fn a_service_that_only_the_vendor_has_gets_a_copy_and_loses_it_again() {
    let host = Host::new("debian12");
    fs::create_dir(&host.paths.pam_dirs[1]).unwrap();
    let vendor = host.paths.pam_dirs[1].join("ftp");
    fs::write(&vendor, "@include common-auth\n@include common-account\n").unwrap();
    run(&host, "ftp").unwrap();
    assert!(host.service("ftp").contains("pam_otpgate.so"));
    assert!(!fs::read_to_string(&vendor).unwrap().contains("otpgate"));
    run(&host, "ftp --undo").unwrap();
    assert!(!host.service_path("ftp").exists());
}

#[test]
fn originals_are_private_and_no_temporary_file_stays() {
    let host = Host::with_sshd("debian12");
    run(&host, "sshd").unwrap();
    let mut directory = host.paths.state_dir.join("setup/sshd");
    while directory != *host.root.path() {
        let mode = fs::metadata(&directory).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", directory.display());
        directory.pop();
    }
    for (path, _, mode) in snapshot(host.root.path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!name.contains("otpgate-new"), "{}", path.display());
        if path.starts_with(host.paths.state_dir.join("setup/sshd")) {
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }
}

#[test]
fn a_leftover_of_a_killed_run_is_in_nobodys_way() {
    let host = Host::with_sshd("debian12");
    host.write(".sshd.otpgate-new", "half a fi");
    run(&host, "sshd").unwrap();
    assert!(!host.service_path(".sshd.otpgate-new").exists());
}

#[test]
fn two_setups_at_once_do_not_mix() {
    let host = Host::with_sshd("debian12");
    let setup_dir = host.paths.state_dir.join("setup");
    let held = admin_cli::host::setup_record::lock(&setup_dir).unwrap();
    let why = run(&host, "sshd").unwrap_err().to_string();
    assert!(why.contains("Another setup is running"), "{why}");
    drop(held);
    run(&host, "sshd").unwrap();
}

#[test]
fn the_report_says_what_to_do_next() {
    let host = Host::with_sshd("debian12");
    let text = run(&host, "sshd").unwrap().to_string();
    for words in [
        "Keep this session open",
        "systemctl reload ssh",
        "otpgate test-login sshd USER",
        "otpgate check",
        "otpgate setup sshd --undo",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(Path::new(&dropin(&host)).exists());
}
