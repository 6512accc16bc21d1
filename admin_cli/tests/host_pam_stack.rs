//! What `otpgate check` says about pam.d files, on the files Debian 12, RHEL 9 and Arch ship.
// clippy.toml allows these in test functions, but not in what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod host_support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use admin_cli::host::finding::{self, Finding, Severity};
use host_support::{Host, codes};

const OURS: &str = "auth required pam_otpgate.so";

struct Case {
    name: &'static str,
    distribution: &'static str,
    service: &'static str,
    /// Behind the line that contains this.
    after: &'static str,
    line: &'static str,
    expected: &'static [&'static str],
}

const CASES: [Case; 23] = [
    Case {
        name: "the documented stack is clean",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: OURS,
        expected: &[],
    },
    Case {
        name: "by absolute path, module missing there",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth required /opt/x/pam_otpgate.so",
        expected: &["module-missing"],
    },
    Case {
        name: "nullok is a warning",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth required pam_otpgate.so nullok",
        expected: &["pam-nullok"],
    },
    Case {
        name: "nullok under a control that refuses PAM_IGNORE",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth [success=ok default=die] pam_otpgate.so nullok",
        expected: &["pam-nullok", "pam-nullok-refuses"],
    },
    Case {
        name: "behind the jump's target it is not gone round",
        distribution: "debian12",
        service: "login",
        after: "@include common-auth",
        line: OURS,
        expected: &[],
    },
    Case {
        name: "su lets root through by rule",
        distribution: "debian12",
        service: "su",
        after: "@include common-auth",
        line: OURS,
        expected: &["pam-bypass-rule"],
    },
    Case {
        name: "sufficient ignores a refusal",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth sufficient pam_otpgate.so",
        expected: &["pam-refusal-ignored"],
    },
    Case {
        name: "optional ignores a refusal",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth optional pam_otpgate.so",
        expected: &["pam-refusal-ignored"],
    },
    Case {
        name: "default=ignore ignores a refusal",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth [success=ok default=ignore] pam_otpgate.so",
        expected: &["pam-refusal-ignored"],
    },
    Case {
        name: "die on anything but success is no hole",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth [success=ok ignore=ignore default=die] pam_otpgate.so",
        expected: &[],
    },
    Case {
        name: "the first default counts",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth [success=ok default=die default=ignore] pam_otpgate.so",
        expected: &[],
    },
    Case {
        name: "before the password",
        distribution: "debian12",
        service: "sshd",
        after: "PAM configuration",
        line: OURS,
        expected: &["pam-code-before-password"],
    },
    Case {
        name: "users' own files",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth required pam_otpgate.so secret=/var/otp/${USER} user=root",
        expected: &["pam-own-files"],
    },
    Case {
        name: "before the password, asking for it",
        distribution: "debian12",
        service: "sshd",
        after: "PAM configuration",
        line: "auth required pam_otpgate.so ask_password",
        expected: &[],
    },
    Case {
        name: "behind the password, asking for it again",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth required pam_otpgate.so ask_password",
        expected: &["pam-password-twice"],
    },
    Case {
        name: "unknown option",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth required pam_otpgate.so nulok",
        expected: &["pam-bad-option"],
    },
    Case {
        name: "leading dash",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "-auth required pam_otpgate.so",
        expected: &["pam-silent-line"],
    },
    Case {
        name: "inside common-auth, at its end",
        distribution: "debian12",
        service: "common-auth",
        after: "pam_cap.so",
        line: OURS,
        expected: &["pam-bypass-rule", "pam-shared-file"],
    },
    Case {
        name: "inside common-auth, where the jump skips it",
        distribution: "debian12",
        service: "common-auth",
        after: "pam_unix.so",
        line: OURS,
        expected: &["pam-bypass-rule", "pam-never-accepts", "pam-shared-file"],
    },
    Case {
        name: "Red Hat: behind a substack, neither sufficient nor a wrong password ends more than the substack",
        distribution: "redhat9",
        service: "sshd",
        after: "password-auth",
        line: OURS,
        expected: &[],
    },
    Case {
        name: "Red Hat: behind an include, sufficient ends the login",
        distribution: "redhat9",
        service: "sudo",
        after: "auth ",
        line: OURS,
        expected: &["pam-bypass", "pam-never-accepts"],
    },
    Case {
        name: "Arch: includes without sufficient",
        distribution: "arch",
        service: "sshd",
        after: "auth ",
        line: OURS,
        expected: &[],
    },
    Case {
        name: "a continued line and an option in brackets",
        distribution: "debian12",
        service: "sshd",
        after: "@include common-auth",
        line: "auth required\tpam_otpgate.so \\\n    [authtok_prompt=Code \\] please: ]",
        expected: &[],
    },
];

#[test]
fn stacks_of_three_distributions() {
    for case in &CASES {
        let host = Host::new(case.distribution);
        host.insert_after(case.service, case.after, case.line);
        let findings = host.check_pam(false);
        assert_eq!(
            codes(&findings),
            case.expected,
            "{}: {findings:#?}",
            case.name
        );
    }
}

#[test]
fn programs_that_any_user_starts_judge_the_password_first() {
    let before: &[&str] = &["pam-code-before-password"];
    let cases: [(&str, bool, &str, &[&str], Severity); 9] = [
        ("su", true, OURS, before, Severity::Error),
        ("sudo", true, OURS, before, Severity::Error),
        ("doas", true, OURS, before, Severity::Error),
        (
            "su, asking for the password itself",
            true,
            "auth required pam_otpgate.so ask_password",
            before,
            Severity::Error,
        ),
        (
            "sudo, cutting the code off the password",
            true,
            "auth required pam_otpgate.so forward_pass",
            before,
            Severity::Error,
        ),
        (
            "sudo-i, behind a check that decides nothing",
            true,
            "auth optional pam_unix.so\nauth required pam_otpgate.so use_first_pass",
            before,
            Severity::Error,
        ),
        (
            "su-l, without any check",
            false,
            OURS,
            before,
            Severity::Error,
        ),
        (
            "runuser, for root alone",
            true,
            OURS,
            before,
            Severity::Warning,
        ),
        ("login", true, OURS, before, Severity::Warning),
    ];
    for (name, then_password, line, expected, severity) in cases {
        let host = Host::new("redhat9");
        let service = name.split([' ', ',']).next().unwrap();
        let password = match then_password {
            true => "auth required pam_unix.so\n",
            false => "",
        };
        host.write(service, format!("{line}\n{password}"));
        let findings = host.check_pam(false);
        assert_eq!(codes(&findings), expected, "{name}: {findings:#?}");
        assert_eq!(findings[0].severity, severity, "{name}");
        let stopped = findings[0].meaning.contains("any local user can stop");
        assert_eq!(stopped, severity == Severity::Error, "{name}");
    }
    let host = Host::new("redhat9");
    host.write("su", format!("auth requisite pam_unix.so\n{OURS}\n"));
    assert_eq!(codes(&host.check_pam(false)), [""; 0]);
}

#[test]
fn an_error_for_one_service_is_not_hidden_by_the_warning_of_another() {
    let host = Host::new("debian12");
    host.write(
        "common-auth",
        format!("{OURS}\nauth required pam_unix.so\n"),
    );
    let findings = host.check_pam(false);
    let findings = finding::sorted(findings);
    let found = findings
        .iter()
        .find(|finding| finding.code == "pam-code-before-password");
    assert_eq!(found.unwrap().severity, Severity::Error, "{findings:#?}");
}

/// Lines in front of ours, and whether a wrong password gets past them.
const PASSWORDS: [(&str, &str, bool); 15] = [
    ("Debian", "@include common-auth", false),
    ("Arch", "auth include system-login", false),
    ("Red Hat", "auth substack password-auth", true),
    (
        "Debian's file as a substack",
        "auth substack common-auth",
        true,
    ),
    ("required", "auth required pam_unix.so", true),
    ("optional", "auth optional pam_unix.so", true),
    ("requisite", "auth requisite pam_unix.so", false),
    (
        "requisite within a substack",
        "auth substack requisite-auth",
        true,
    ),
    (
        "two, and a refusal that does not end",
        "auth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_sss.so use_first_pass\nauth required pam_deny.so",
        true,
    ),
    (
        "two, and one that does",
        "auth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_sss.so use_first_pass\nauth requisite pam_deny.so",
        false,
    ),
    (
        "the second refuses those whom the first does not know",
        "auth [user_unknown=ignore success=ok default=die] pam_unix.so\nauth required pam_sss.so",
        true,
    ),
    (
        "nobody knows them",
        "auth [user_unknown=ignore success=ok default=die] pam_unix.so",
        false,
    ),
    (
        "what decides nothing may be on a stranger's side",
        "auth required pam_env.so\nauth optional pam_faillock.so preauth\nauth requisite pam_unix.so",
        false,
    ),
    (
        "a key that strangers do not have",
        "auth [success=1 default=ignore] pam_u2f.so\nauth requisite pam_unix.so",
        false,
    ),
    (
        "a second check behind the substack ends it",
        "auth substack password-auth\nauth requisite pam_unix.so use_first_pass",
        false,
    ),
];

#[test]
fn a_wrong_password_that_does_not_end_the_login_is_seen() {
    let ends = |host: &Host, sends| {
        let findings = host.check_pam_where(false, sends);
        let mut found = findings.into_iter();
        found.find(|finding| finding.code == "pam-code-before-password")
    };
    for (name, before, expected) in PASSWORDS {
        let host = Host::new("arch");
        for (distribution, file) in [("debian12", "common-auth"), ("redhat9", "password-auth")] {
            fs::copy(
                host_support::fixture(distribution).join(file),
                host.service_path(file),
            )
            .unwrap();
        }
        host.write("requisite-auth", "auth requisite pam_unix.so\n");
        host.write("sshd", format!("{before}\n{OURS}\n"));
        let found = ends(&host, true).map(|finding| finding.severity);
        assert_eq!(found, expected.then_some(Severity::Error), "{name}");
        assert_eq!(ends(&host, false), None, "{name}, where nothing is sent");
        // No prompt, or none before which anything is sent.
        for option in ["forward_pass", "use_first_pass"] {
            host.write("sshd", format!("{before}\n{OURS} {option}\n"));
            let found = ends(&host, true).map(|finding| finding.severity);
            assert_eq!(found, None, "{name}, {option}");
        }
        // Who starts it may stop it.
        host.write("su", format!("{before}\n{OURS}\n"));
        host.write("sshd", "@include common-auth\n");
        let found = ends(&host, false).map(|finding| finding.severity);
        assert_eq!(found, expected.then_some(Severity::Error), "{name}, su");
    }
}

#[test]
fn a_substack_hides_no_other_finding() {
    let host = Host::new("redhat9");
    host.insert_after("sshd", "password-auth", &format!("{OURS} ask_password"));
    let expected = ["pam-code-before-password", "pam-password-twice"];
    assert_eq!(codes(&host.check_pam_where(false, true)), expected);
}

#[test]
fn codes_are_not_sent_before_a_password_was_checked() {
    for options in ["", " ask_password"] {
        let host = Host::new("debian12");
        host.write("sshd", format!("{OURS}{options}\n@include common-auth\n"));
        let findings = host.check_pam_where(false, true);
        assert_eq!(codes(&findings), ["pam-code-before-password"], "{options}");
        assert_eq!(findings[0].severity, Severity::Error, "{options}");
    }
}

#[test]
fn a_required_password_is_told_to_end_the_login() {
    let host = Host::new("redhat9");
    host.write("sshd", format!("auth required pam_unix.so\n{OURS}\n"));
    let findings = host.check_pam_where(false, true);
    assert_eq!(codes(&findings), ["pam-code-before-password"]);
    let cure = &findings[0].cure;
    assert!(
        cure.contains("\"requisite\" instead of \"required\""),
        "{cure}"
    );
    host.write("sshd", format!("auth requisite pam_unix.so\n{OURS}\n"));
    assert_eq!(codes(&host.check_pam_where(false, true)), [""; 0]);
}

#[test]
fn the_sample_where_a_wrong_password_ends_the_login_has_no_finding() {
    let host = Host::new("redhat9");
    let sample =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/pam.d/sshd-password-first");
    host.write("sshd", fs::read_to_string(sample).unwrap());
    assert_eq!(codes(&host.check_pam_where(false, true)), [""; 0]);
    let goes_on = host.service("sshd");
    let goes_on = goes_on.replace("requisite     pam_deny", "required      pam_deny");
    let goes_on = goes_on.replace("[default=die] pam_faillock", "required pam_faillock");
    host.write("sshd", goes_on);
    let found = codes(&host.check_pam_where(false, true));
    assert_eq!(found, ["pam-code-before-password"]);
}

#[test]
fn codes_are_not_sent_where_nothing_checks_a_password() {
    for before in [
        "",
        "auth required pam_vendor.so\n",
        "auth optional pam_ecryptfs.so unwrap\n",
    ] {
        let host = Host::new("debian12");
        host.write("sshd", format!("{before}{OURS}\n"));
        let findings = host.check_pam_where(false, true);
        assert_eq!(codes(&findings), ["pam-code-before-password"], "{before}");
        assert_eq!(findings[0].severity, Severity::Error, "{before}");
    }
}

fn sshd_is(name: &str, text: &str, has_deny_rules: bool, expected: &[&str]) {
    let host = Host::new("debian12");
    host.write("sshd", text);
    let findings = host.check_pam(has_deny_rules);
    assert_eq!(codes(&findings), expected, "{name}: {findings:#?}");
}

#[test]
fn holes_written_by_hand() {
    let cases: [(&str, &str, &[&str]); 10] = [
        (
            "a sufficient password check above ours",
            "auth sufficient pam_unix.so\nauth required pam_otpgate.so\n",
            &["pam-bypass"],
        ),
        (
            "a jump over ours",
            "auth [success=1 default=die] pam_unix.so\nauth required pam_otpgate.so\nauth required pam_permit.so\n",
            &["pam-bypass", "pam-never-accepts"],
        ),
        (
            "a group exempted by rule",
            "@include common-auth\nauth [success=1 default=ignore] pam_succeed_if.so user ingroup nocode\nauth required pam_otpgate.so\n",
            &["pam-bypass-rule"],
        ),
        (
            "a jump past the end is refused by libpam, not a hole",
            "auth requisite pam_unix.so\nauth [success=2 default=ignore] pam_localuser.so\nauth required pam_otpgate.so\n",
            &[],
        ),
        (
            "the same line twice",
            "@include common-auth\nauth required pam_otpgate.so\nauth required pam_otpgate.so\n",
            &["pam-asked-twice"],
        ),
        (
            "nothing but the code",
            "auth required pam_otpgate.so\n",
            &["pam-code-alone"],
        ),
        (
            "always refused behind us",
            "@include common-auth\nauth required pam_otpgate.so\nauth required pam_deny.so\n",
            &["pam-never-accepts"],
        ),
        (
            "an include that is missing",
            "@include common-auth\nauth required pam_otpgate.so\n@include nope\n",
            &["pam-include-missing", "pam-never-accepts"],
        ),
        (
            "a typing mistake in the control",
            "@include common-auth\nauth requierd pam_unix.so\nauth required pam_otpgate.so\n",
            &["pam-line-broken", "pam-never-accepts"],
        ),
        (
            "no service uses it",
            "@include common-auth\n",
            &["pam-unused"],
        ),
    ];
    for (name, text, expected) in cases {
        sshd_is(name, text, false, expected);
    }
}

#[test]
fn deny_rules_need_an_account_line_that_is_reached() {
    let auth = "@include common-auth\nauth required pam_otpgate.so\n";
    let cases: [(&str, &str, &[&str]); 4] = [
        (
            "none",
            "@include common-account\n",
            &["pam-deny-not-enforced"],
        ),
        (
            "in front",
            "account required pam_otpgate.so\n@include common-account\n",
            &[],
        ),
        (
            "behind a sufficient one",
            "account sufficient pam_localuser.so\naccount required pam_otpgate.so\n",
            &["pam-deny-not-enforced"],
        ),
        (
            "optional",
            "account optional pam_otpgate.so\n@include common-account\n",
            &["pam-deny-not-enforced"],
        ),
    ];
    for (name, account, expected) in cases {
        sshd_is(name, &format!("{auth}{account}"), true, expected);
        let without = host_codes_without_rules(&format!("{auth}{account}"));
        assert!(without.is_empty(), "{name}: {without:?}");
    }
}

fn host_codes_without_rules(text: &str) -> Vec<&'static str> {
    let host = Host::new("debian12");
    host.write("sshd", text);
    codes(&host.check_pam(false))
}

#[test]
fn a_shared_file_names_who_is_hit() {
    let host = Host::new("debian12");
    host.insert_after("common-auth", "pam_cap.so", OURS);
    let findings = host.check_pam(false);
    let shared = findings
        .iter()
        .find(|f| f.code == "pam-shared-file")
        .unwrap();
    for service in ["sudo", "su", "login", "sshd"] {
        assert!(shared.meaning.contains(service), "{}", shared.meaning);
    }
    assert!(shared.place.contains("common-auth:"), "{}", shared.place);
}

#[test]
fn su_l_that_includes_su_is_no_shared_file() {
    let host = Host::new("debian12");
    host.insert_after("su", "@include common-auth", OURS);
    assert!(!codes(&host.check_pam(false)).contains(&"pam-shared-file"));
}

#[test]
fn the_module_file() {
    type Prepare = fn(&Host);
    let cases: [(&str, Prepare, &[&str]); 4] = [
        (
            "missing",
            |h| fs::remove_file(module(h)).unwrap(),
            &["module-missing"],
        ),
        (
            "writable by the group",
            |h| fs::set_permissions(module(h), fs::Permissions::from_mode(0o664)).unwrap(),
            &["module-writable"],
        ),
        (
            "somebody else's",
            |h| std::os::unix::fs::chown(module(h), Some(1000), None).unwrap(),
            &["module-owner"],
        ),
        (
            "a directory",
            |h| {
                fs::remove_file(module(h)).unwrap();
                fs::create_dir(module(h)).unwrap()
            },
            &["module-not-a-file"],
        ),
    ];
    for (name, prepare, expected) in cases {
        let host = Host::new("debian12");
        host.insert_after("sshd", "@include common-auth", OURS);
        prepare(&host);
        let findings = host.check_pam(false);
        assert_eq!(codes(&findings), expected, "{name}: {findings:#?}");
    }
}

fn module(host: &Host) -> std::path::PathBuf {
    host.paths.module_search_dirs[0].join("pam_otpgate.so")
}

#[test]
fn hostile_files_are_findings_within_seconds() {
    type Prepare = fn(&Host);
    let cases: [(&str, Prepare, &str); 8] = [
        ("FIFO", |h| fifo(h, "trap"), "pam-unreadable"),
        (
            "device",
            |h| symlink("/dev/zero", h.service_path("trap")).unwrap(),
            "pam-unreadable",
        ),
        (
            "directory",
            |h| fs::create_dir(h.service_path("trap")).unwrap(),
            "pam-unreadable",
        ),
        (
            "huge",
            |h| h.write("trap", vec![b'#'; 9 << 20]),
            "pam-unreadable",
        ),
        (
            "dangling link",
            |h| symlink("/nonexistent", h.service_path("trap")).unwrap(),
            "pam-unreadable",
        ),
        (
            "circle",
            |h| h.write("trap", "@include trap\n"),
            "pam-include-loop",
        ),
        (
            "two files that double each other",
            |h| {
                h.write("trap", "@include t2\n@include t2\n");
                for n in 2..30 {
                    h.write(
                        &format!("t{n}"),
                        format!("@include t{}\n@include t{0}\n", n + 1),
                    );
                }
                h.write("t30", "auth optional pam_permit.so\n");
            },
            "pam-include-loop",
        ),
        (
            "NUL bytes",
            |h| h.write("trap", "auth required\0 pam_permit.so\n"),
            "pam-line-broken",
        ),
    ];
    for (name, prepare, expected) in cases {
        let host = Host::new("debian12");
        prepare(&host);
        host.write(
            "sshd",
            format!("@include common-auth\n{OURS}\n@include trap\n"),
        );
        let begun = Instant::now();
        let found = codes(&host.check_pam(false));
        assert!(found.contains(&expected), "{name}: {found:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{name}: {:?}",
            begun.elapsed()
        );
    }
}

fn fifo(host: &Host, name: &str) {
    let made = std::process::Command::new("mkfifo")
        .arg(host.service_path(name))
        .status()
        .unwrap();
    assert!(made.success());
}

#[test]
fn odd_texts_never_panic_and_keep_their_meaning() {
    let cases: [(&str, &[u8], &[&str]); 7] = [
        (
            "no newline at the end",
            b"@include common-auth\nauth required pam_otpgate.so",
            &[],
        ),
        (
            "latin-1 in a comment",
            b"# f\xfcr alle\n@include common-auth\nauth required pam_otpgate.so\n",
            &[],
        ),
        (
            "a backslash at the very end",
            b"@include common-auth\nauth required pam_otpgate.so\nauth required \\",
            &["pam-line-broken", "pam-never-accepts"],
        ),
        (
            "a backslash inside a comment continues nothing",
            b"@include common-auth\n# nothing \\\nauth required pam_otpgate.so\n",
            &[],
        ),
        (
            "a bracket that never closes",
            b"@include common-auth\nauth required pam_otpgate.so [authtok_prompt=x\n",
            &[],
        ),
        ("only white space", b" \t\n\n", &["pam-unused"]),
        ("empty", b"", &["pam-unused"]),
    ];
    for (name, text, expected) in cases {
        let host = Host::new("debian12");
        host.write("sshd", text);
        let findings = host.check_pam(false);
        assert_eq!(codes(&findings), expected, "{name}: {findings:#?}");
    }
}

#[test]
fn rendering_and_exit_status() {
    let warning = Finding::warning(
        "pam-nullok",
        "/etc/pam.d/sshd:5",
        "One.\nTwo.",
        "otpgate setup sshd --require",
    );
    let error = Finding::error(
        "pam-bypass",
        "/etc/pam.d/sshd:4",
        "Hole.",
        "sudoedit +4 /etc/pam.d/sshd",
    );
    assert_eq!(
        finding::render(std::slice::from_ref(&warning)),
        "WARNING /etc/pam.d/sshd:5 [pam-nullok]\n    One.\n    Two.\n    -> type: otpgate setup sshd --require\n"
    );
    assert_eq!(finding::exit_status(&[]), 0);
    assert_eq!(finding::exit_status(std::slice::from_ref(&warning)), 1);
    assert_eq!(finding::exit_status(&[warning.clone(), error.clone()]), 2);
    let sorted = finding::sorted(vec![warning.clone(), error.clone(), warning]);
    assert_eq!(sorted.len(), 2);
    assert_eq!(sorted[0].severity, Severity::Error);
}
