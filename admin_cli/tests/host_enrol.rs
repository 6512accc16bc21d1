//! The three lines of enrolment at login: what `otpgate setup --enrol` writes, what `otpgate check` misses.
// clippy.toml allows these in test functions, but not in what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod host_support;

use std::fs;

use admin_cli::host::finding::Severity;
use admin_cli::host::setup::{Outcome, SetupRequest, setup};
use admin_cli::host::sshd;
use host_support::{Host, codes, snapshot};

/// Name, what is replaced by what, and the codes that are found.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

const AUTH: &str = "auth required pam_otpgate.so enrol";
const ACCOUNT: &str = "account required pam_otpgate.so enrol";
const PASSWORD: &str = "password [success=done ignore=ignore default=die] pam_otpgate.so enrol";

fn run(host: &Host, words: &str) -> Outcome {
    let request = SetupRequest {
        service: words.split(' ').next().unwrap().to_owned(),
        undo: words.contains("--undo"),
        require: words.contains("--require"),
        enrol: words.contains("--enrol"),
        config: words.split(" --config=").nth(1).map(Into::into),
        ..SetupRequest::default()
    };
    setup(&host.paths, &request).unwrap()
}

fn ours(host: &Host, service: &str) -> Vec<String> {
    let text = host.service(service);
    let lines = text.lines().filter(|line| line.contains("pam_otpgate.so"));
    lines.map(str::to_owned).collect()
}

/// Positions of lines that contain these, in order.
fn in_order(text: &str, parts: &[&str]) -> bool {
    let position = |part: &&str| text.lines().position(|line| line.contains(*part));
    let positions: Vec<_> = parts.iter().map(position).collect();
    positions.iter().all(Option::is_some) && positions.is_sorted()
}

#[test]
fn three_lines_in_and_out_byte_for_byte() {
    for distribution in ["debian12", "redhat9", "arch"] {
        for service in ["sshd", "login"] {
            let host = Host::with_sshd(distribution);
            if !host.service_path(service).exists() {
                continue;
            }
            let before = snapshot(&host.paths.pam_dirs[0]);
            run(&host, &format!("{service} --require --enrol"));
            assert_eq!(
                ours(&host, service),
                [AUTH, ACCOUNT, PASSWORD],
                "{distribution} {service}"
            );
            let findings = host.check_pam(true);
            assert_eq!(
                codes(&findings),
                [""; 0],
                "{distribution} {service}: {findings:#?}"
            );
            assert!(matches!(
                run(&host, &format!("{service} --enrol")),
                Outcome::AlreadyThere { .. }
            ));
            run(&host, &format!("{service} --undo"));
            assert_eq!(
                snapshot(&host.paths.pam_dirs[0]),
                before,
                "{distribution} {service}"
            );
        }
    }
}

#[test]
fn our_password_line_stands_before_those_that_ask_for_a_new_one() {
    let host = Host::with_sshd("debian12");
    run(&host, "sshd --enrol");
    let text = host.service("sshd");
    let order = [
        "common-auth",
        "auth required pam_otpgate.so nullok enrol",
        ACCOUNT,
        "common-account",
        PASSWORD,
        "common-password",
    ];
    assert!(in_order(&text, &order), "{text}");
    let host = Host::with_sshd("debian12");
    run(&host, "sshd --enrol --config=/etc/other.toml");
    for line in ours(&host, "sshd") {
        assert!(
            line.ends_with("pam_otpgate.so nullok enrol config=/etc/other.toml")
                || line.ends_with("pam_otpgate.so enrol config=/etc/other.toml"),
            "{line}"
        );
    }
}

#[test]
fn enrol_comes_to_lines_that_are_there_and_undo_goes_all_the_way_back() {
    let host = Host::with_sshd("debian12");
    let before = snapshot(&host.paths.pam_dirs[0]);
    run(&host, "sshd");
    run(&host, "sshd --enrol");
    let expected = [
        "auth required pam_otpgate.so nullok enrol",
        ACCOUNT,
        PASSWORD,
    ];
    assert_eq!(ours(&host, "sshd"), expected);
    run(&host, "sshd --require");
    assert_eq!(ours(&host, "sshd"), [AUTH, ACCOUNT, PASSWORD]);
    run(&host, "sshd --undo");
    assert_eq!(snapshot(&host.paths.pam_dirs[0]), before);

    // Edited since: only what is ours goes, an edited line of ours included.
    run(&host, "sshd --enrol");
    let edited = host
        .service("sshd")
        .replace(PASSWORD, &format!("{PASSWORD} debug"));
    fs::write(host.service_path("sshd"), format!("{edited}# a note\n")).unwrap();
    run(&host, "sshd --undo");
    assert_eq!(ours(&host, "sshd"), [""; 0]);
    assert!(host.service("sshd").ends_with("# a note\n"));
}

#[test]
fn check_misses_a_line_and_sees_the_wrong_order() {
    let cases: [Case<'_>; 9] = [
        ("all three", &[], &[]),
        (
            "no account line",
            &[(ACCOUNT, "")],
            &["pam-enrol-incomplete"],
        ),
        (
            "no password line",
            &[(PASSWORD, "")],
            &["pam-enrol-incomplete"],
        ),
        (
            "auth line without",
            &[(AUTH, "auth required pam_otpgate.so")],
            &["pam-enrol-incomplete"],
        ),
        (
            "account line without",
            &[(ACCOUNT, "account required pam_otpgate.so")],
            &["pam-enrol-incomplete"],
        ),
        (
            "password line behind common-password",
            &[
                (PASSWORD, ""),
                (
                    "@include common-password",
                    &format!("@include common-password\n{PASSWORD}"),
                ),
            ],
            &["pam-enrol-order"],
        ),
        (
            "password line that does not end the stack",
            &[(PASSWORD, "password required pam_otpgate.so enrol")],
            &["pam-enrol-order"],
        ),
        (
            "password line whose failure is passed over",
            &[(PASSWORD, "password sufficient pam_otpgate.so enrol")],
            &["pam-enrol-order"],
        ),
        (
            "account line behind one that ends the stack",
            &[(
                ACCOUNT,
                &format!("account sufficient pam_permit.so\n{ACCOUNT}"),
            )],
            &["pam-enrol-order"],
        ),
    ];
    for (name, changes, expected) in cases {
        let host = Host::with_sshd("debian12");
        run(&host, "sshd --require --enrol");
        let mut text = host.service("sshd");
        for (from, to) in changes {
            assert!(text.contains(from), "{name}");
            text = text.replace(from, to);
        }
        host.write("sshd", text);
        let findings = host.check_pam(false);
        assert_eq!(codes(&findings), expected, "{name}: {findings:#?}");
    }
}

#[test]
fn check_warns_of_a_grace_time_in_which_nobody_can_enrol() {
    let host = Host::with_sshd("debian12");
    let text = host.sshd_config_text();
    for (seconds, enrols, expected) in [
        (120, true, true),
        (120, false, false),
        (600, true, false),
        (0, true, false),
    ] {
        host.sshd_config(&format!("LoginGraceTime {seconds}\n{text}"));
        let server = host.paths.sshd();
        let context = sshd::Context {
            enrols,
            ..sshd::Context::default()
        };
        let found = codes(&sshd::check(&server, &server.settings(None), &context));
        assert_eq!(
            found.contains(&"sshd-enrolment-time"),
            expected,
            "{seconds} {enrols}: {found:?}"
        );
    }
}

#[test]
fn nobody_enrols_in_a_program_that_its_caller_can_stop() {
    for service in ["su", "sudo", "chsh"] {
        let host = Host::new("debian12");
        let before = snapshot(&host.paths.pam_dirs[0]);
        let request = SetupRequest {
            service: service.into(),
            enrol: true,
            ..SetupRequest::default()
        };
        let why = setup(&host.paths, &request).unwrap_err().to_string();
        let said = ["any local user", "administration", "otpgate setup sshd"];
        assert!(said.iter().all(|part| why.contains(part)), "{why}");
        assert_eq!(snapshot(&host.paths.pam_dirs[0]), before, "{service}");

        // Written by hand; any of the lines is enough.
        for line in [AUTH, ACCOUNT, PASSWORD] {
            host.write(service, format!("@include common-auth\n{line}\n"));
            let findings = host.check_pam(false);
            let code = "pam-enrol-stoppable";
            let found = findings.iter().find(|finding| finding.code == code);
            let found = found.unwrap_or_else(|| panic!("{service} {line}: {findings:#?}"));
            assert_eq!(found.severity, Severity::Error);
        }
    }
}
