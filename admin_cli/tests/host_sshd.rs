//! What `otpgate check` says about sshd, asked of the real /usr/sbin/sshd on private configurations.
// clippy.toml allows these in test functions, but not in what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod host_support;

use std::fs;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use admin_cli::host::finding::{Finding, Severity};
use admin_cli::host::sshd::{self, Context};
use admin_cli::host::sshd_run::{Connection, Settings, Silence};
use admin_cli::host::{CheckRequest, check_host, clock};
use host_support::{Host, codes, write_program};
use pam_ffi::clock::{ClockState, Leap};

/// What makes sshd ask for the code of everybody; sshd takes the first value, so cases go in front.
const SOUND: &str = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\nAuthenticationMethods publickey,keyboard-interactive keyboard-interactive\nPermitRootLogin no\n";

fn check(host: &Host, first: &str, context: &Context) -> Vec<Finding> {
    let key = host.root.path().join("host_key");
    host.sshd_config(&format!("{first}\n{SOUND}HostKey {}\n", key.display()));
    let sshd = host.paths.sshd();
    sshd::check(&sshd, &sshd.settings(context.connection.as_ref()), context)
}

#[test]
fn settings_that_matter() {
    let host = Host::with_sshd("debian12");
    let cases: [(&str, &str, &[&str]); 18] = [
        ("sound", "", &[]),
        ("no PAM", "UsePAM no", &["sshd-no-pam"]),
        (
            "no keyboard-interactive",
            "KbdInteractiveAuthentication no\nAuthenticationMethods any\nPubkeyAuthentication no",
            &["sshd-no-keyboard-interactive"],
        ),
        (
            "the old name of the setting",
            "ChallengeResponseAuthentication no\nAuthenticationMethods any\nPubkeyAuthentication no",
            &["sshd-no-keyboard-interactive"],
        ),
        (
            "password method",
            "PasswordAuthentication yes",
            &["sshd-password-method"],
        ),
        (
            "any method, keys on",
            "AuthenticationMethods any",
            &["sshd-key-alone"],
        ),
        (
            "any method, keys off",
            "AuthenticationMethods any\nPubkeyAuthentication no",
            &[],
        ),
        (
            "a list with a key alone",
            "AuthenticationMethods publickey keyboard-interactive",
            &["sshd-key-alone"],
        ),
        (
            "a device after the method",
            "AuthenticationMethods publickey,keyboard-interactive:pam",
            &[],
        ),
        (
            "two keys and no code",
            "AuthenticationMethods publickey,publickey",
            &["sshd-key-alone"],
        ),
        (
            "hostbased alone",
            "AuthenticationMethods any\nPubkeyAuthentication no\nHostbasedAuthentication yes",
            &["sshd-key-alone"],
        ),
        (
            "gssapi alone",
            "AuthenticationMethods any\nPubkeyAuthentication no\nGSSAPIAuthentication yes",
            &["sshd-key-alone"],
        ),
        (
            "root cannot finish any list",
            "PermitRootLogin prohibit-password",
            &["sshd-root-locked-out"],
        ),
        ("UseDNS", "UseDNS yes", &["sshd-use-dns"]),
        (
            "too short a time",
            "LoginGraceTime 20",
            &["sshd-grace-time"],
        ),
        ("no limit on the time", "LoginGraceTime 0", &[]),
        ("a single try", "MaxAuthTries 1", &["sshd-max-tries"]),
        ("not accepted", "NoSuchThing yes", &["sshd-refuses"]),
    ];
    for (name, first, expected) in cases {
        let findings = check(&host, first, &Context::default());
        assert_eq!(codes(&findings), expected, "{name}: {findings:#?}");
    }
}

#[test]
fn the_password_method_is_fine_where_the_code_stands_behind_the_password() {
    let host = Host::with_sshd("debian12");
    let context = Context {
        first_pass: true,
        enrols: false,
        connection: None,
    };
    assert_eq!(
        codes(&check(&host, "PasswordAuthentication yes", &context)),
        [""; 0]
    );
}

#[test]
fn a_finding_names_the_line_that_wins() {
    let host = Host::with_sshd("debian12");
    let dropin = host.paths.sshd_dropin_dir.join("50-cloud-init.conf");
    fs::write(&dropin, "# from the cloud\nPasswordAuthentication yes\n").unwrap();
    let include = format!("Include {}/*.conf", host.paths.sshd_dropin_dir.display());
    let findings = check(&host, &include, &Context::default());
    assert_eq!(codes(&findings), ["sshd-password-method"]);
    assert!(
        findings[0]
            .place
            .starts_with(&format!("{}:2", dropin.display())),
        "{}",
        findings[0].place
    );
}

#[test]
fn key_alone_explains_root() {
    let host = Host::with_sshd("debian12");
    let findings = check(
        &host,
        "AuthenticationMethods any\nPermitRootLogin prohibit-password",
        &Context::default(),
    );
    assert_eq!(codes(&findings), ["sshd-key-alone"]);
    assert!(
        findings[0].meaning.contains("root is never asked"),
        "{}",
        findings[0].meaning
    );
}

#[test]
fn the_cure_for_keys_alone_asks_others_and_keeps_roots_way_in() {
    let host = Host::with_sshd("debian12");
    let roots = "PermitRootLogin prohibit-password";
    let open = format!("AuthenticationMethods any\n{roots}");
    let findings = check(&host, &open, &Context::default());
    assert_eq!(codes(&findings), ["sshd-key-alone"]);
    let printf = findings[0].cure.split('\'').nth(1).unwrap();
    let cure = printf.replace("\\n", "\n");
    let key = host.root.path().join("host_key");
    host.sshd_config(&format!(
        "UsePAM yes\nHostKey {}\n{roots}\n{cure}",
        key.display()
    ));
    for (user, methods) in [
        ("root", "publickey"),
        (
            "alice",
            "publickey,keyboard-interactive keyboard-interactive",
        ),
    ] {
        let from: IpAddr = "192.0.2.7".parse().unwrap();
        let connection = Connection {
            user: user.into(),
            from,
        };
        let settings = host.paths.sshd().settings(Some(&connection)).unwrap();
        assert_eq!(
            settings.value("authenticationmethods"),
            Some(methods),
            "{user}"
        );
        assert_eq!(
            settings.value("permitrootlogin"),
            Some("without-password"),
            "{user}"
        );
    }
}

#[test]
fn match_blocks_are_named_and_then_judged_for_a_connection() {
    let host = Host::with_sshd("debian12");
    let key = host.root.path().join("host_key");
    host.sshd_config(&format!(
        "{SOUND}HostKey {}\nMatch User backup\n  AuthenticationMethods publickey\n  X11Forwarding no\n",
        key.display()
    ));
    let ask = |connection: Option<Connection>| {
        let sshd = host.paths.sshd();
        let context = Context {
            first_pass: false,
            enrols: false,
            connection,
        };
        sshd::check(&sshd, &sshd.settings(context.connection.as_ref()), &context)
    };
    let everybody = ask(None);
    assert_eq!(codes(&everybody), ["sshd-match"]);
    assert!(
        everybody[0].meaning.contains("User backup"),
        "{}",
        everybody[0].meaning
    );
    let from: IpAddr = "192.0.2.7".parse().unwrap();
    assert_eq!(
        codes(&ask(Some(Connection {
            user: "backup".into(),
            from
        }))),
        ["sshd-key-alone"]
    );
    assert_eq!(
        codes(&ask(Some(Connection {
            user: "alice".into(),
            from
        }))),
        [""; 0]
    );
}

#[test]
fn what_a_match_block_includes_is_conditional_too() {
    let host = Host::with_sshd("debian12");
    let included = host.root.path().join("for_backup");
    fs::write(&included, "AuthenticationMethods publickey\n").unwrap();
    let key = host.root.path().join("host_key");
    host.sshd_config(&format!(
        "{SOUND}HostKey {}\nMatch User backup\n  Include {}\n",
        key.display(),
        included.display()
    ));
    let sshd = host.paths.sshd();
    let findings = sshd::check(&sshd, &sshd.settings(None), &Context::default());
    assert_eq!(codes(&findings), ["sshd-match"], "{findings:#?}");
    assert_eq!(findings[0].place, format!("{}:1", included.display()));
}

#[test]
fn key_and_code_counts_as_another_factor() {
    let cases = [
        ("any", false),
        ("publickey,keyboard-interactive", true),
        ("publickey,keyboard-interactive keyboard-interactive", false),
        ("keyboard-interactive", false),
    ];
    for (methods, expected) in cases {
        let settings = Settings::parse(&format!("authenticationmethods {methods}\n"));
        assert_eq!(sshd::has_other_factor(&settings), expected, "{methods}");
    }
}

#[test]
fn an_sshd_that_hangs_is_killed_and_one_that_is_missing_is_said_so() {
    let host = Host::with_sshd("debian12");
    let mut sshd = host.paths.sshd();
    sshd.binary = host.root.path().join("missing");
    assert!(matches!(sshd.settings(None), Err(Silence::NotInstalled(_))));
    sshd.binary = host.root.path().join("hangs");
    write_program(&sshd.binary, "exec sleep 60");
    sshd.patience = Duration::from_millis(200);
    let begun = Instant::now();
    assert!(matches!(sshd.settings(None), Err(Silence::TooSlow(..))));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_clock() {
    let state = |synchronised| ClockState {
        synchronised,
        estimated_error: Duration::ZERO,
        maximum_error: Duration::from_secs(16),
        leap: Leap::None,
    };
    assert_eq!(codes(&clock::check(&Ok(state(true)))), [""; 0]);
    assert_eq!(
        codes(&clock::check(&Ok(state(false)))),
        ["clock-unsynchronised"]
    );
    let refused = Err(io::Error::from(io::ErrorKind::PermissionDenied));
    assert_eq!(codes(&clock::check(&refused)), ["clock-unknown"]);
}

#[test]
fn the_whole_host() {
    let host = Host::with_sshd("debian12");
    let request = CheckRequest {
        user: None,
        from: None,
        has_deny_rules: &|_| false,
        sends_codes: &|_| false,
        judge_options: &|_| Ok(()),
    };
    let without_clock = |findings: Vec<Finding>| -> Vec<&'static str> {
        codes(&findings)
            .into_iter()
            .filter(|code| !code.starts_with("clock"))
            .collect()
    };
    assert_eq!(
        without_clock(check_host(&host.paths, &request)),
        ["pam-unused"]
    );
    host.insert_after(
        "sshd",
        "@include common-auth",
        "auth required pam_otpgate.so",
    );
    let findings = check_host(&host.paths, &request);
    assert_eq!(findings[0].severity, Severity::Error, "errors first");
    assert_eq!(
        without_clock(findings),
        [
            "sshd-key-alone",
            "sshd-no-keyboard-interactive",
            "sshd-password-method"
        ]
    );
}
