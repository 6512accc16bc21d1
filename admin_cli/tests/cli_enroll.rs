//! `otpgate enroll`: what is stored is what was asked for, and only after a code has proved it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Desk, RFC_SECRET, feed, hotp, keys, now, tool, totp_at, wrong_code};

const PROFILES: &str = "
[profile.strong]
issuer = \"Vault\"
algorithm = \"sha256\"
digits = 8
period = \"60s\"
[profile.seven]
digits = 7
";

fn parameter<'a>(uri: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = uri.split_once('?').unwrap();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[test]
fn the_json_has_the_promised_keys_and_agrees_with_itself() {
    let desk = Desk::new();
    let printed = desk.json(&["enroll", "alice", "--no-confirm"]);
    let promised = ["device", "kind", "recovery_codes", "secret", "uri", "user"];
    assert_eq!(keys(&printed), promised);
    assert_eq!(printed["user"], "alice");
    assert_eq!(printed["device"], "phone");
    assert_eq!(printed["kind"], "totp");
    let (uri, secret) = (
        printed["uri"].as_str().unwrap(),
        printed["secret"].as_str().unwrap(),
    );
    assert_eq!(parameter(uri, "secret"), Some(secret));
    assert_eq!(secret.len(), 32, "160 bits");
    assert!(uri.starts_with("otpauth://totp/Example:alice@"), "{uri}");
    assert_eq!(printed["recovery_codes"].as_array().unwrap().len(), 10);
}

/// Arguments, what `show` says of the device, and how oathtool makes its code.
type Shape<'a> = (&'a [&'a str], Value, &'a [&'a str]);

#[test]
fn every_shape_of_totp_device_is_stored_and_its_codes_are_oathtools() {
    let desk = Desk::with_settings(PROFILES);
    let shapes: [Shape<'_>; 10] = [
        (&[], json!(["totp", "sha1", 6, 30]), &["--totp"]),
        (&["--totp"], json!(["totp", "sha1", 6, 30]), &["--totp"]),
        (
            &["--algorithm", "sha1"],
            json!(["totp", "sha1", 6, 30]),
            &["--totp"],
        ),
        (
            &["--algorithm", "sha256"],
            json!(["totp", "sha256", 6, 30]),
            &["--totp=sha256"],
        ),
        (
            &["--algorithm", "sha512"],
            json!(["totp", "sha512", 6, 30]),
            &["--totp=sha512"],
        ),
        (
            &["--digits", "7"],
            json!(["totp", "sha1", 7, 30]),
            &["--totp", "-d7"],
        ),
        (
            &["--digits", "8"],
            json!(["totp", "sha1", 8, 30]),
            &["--totp", "-d8"],
        ),
        (
            &["--period", "60"],
            json!(["totp", "sha1", 6, 60]),
            &["--totp", "-s60"],
        ),
        (
            &["--profile", "strong"],
            json!(["totp", "sha256", 8, 60]),
            &["--totp=sha256", "-d8", "-s60"],
        ),
        (
            &[
                "--profile",
                "strong",
                "--digits",
                "6",
                "--algorithm",
                "sha512",
                "--period",
                "90",
            ],
            json!(["totp", "sha512", 6, 90]),
            &["--totp=sha512", "-s90"],
        ),
    ];
    for (number, (arguments, expected, oathtool)) in shapes.iter().enumerate() {
        let user = format!("user{number}");
        let enrolled = desk.enroll(&user, arguments);
        let device = &desk.show(&user)["devices"][0];
        let shape = ["kind", "algorithm", "digits", "period"].map(|key| device[key].clone());
        assert_eq!(json!(shape), *expected, "{arguments:?}");
        for (name, value) in [("digits", &device["digits"]), ("period", &device["period"])] {
            assert_eq!(
                parameter(&enrolled.uri, name),
                Some(value.to_string().as_str())
            );
        }
        let code = totp_at(now(), oathtool, &enrolled.secret);
        assert_eq!(desk.verify(&user, &code), "accepted", "{arguments:?}");
    }
}

#[test]
fn hotp_devices_start_where_they_are_told() {
    let desk = Desk::new();
    for (user, arguments, first) in [
        ("zero", &["--hotp"][..], 0),
        ("later", &["--hotp", "--counter", "77"], 77),
    ] {
        let enrolled = desk.enroll(user, arguments);
        assert!(
            enrolled.uri.starts_with("otpauth://hotp/"),
            "{}",
            enrolled.uri
        );
        assert_eq!(
            parameter(&enrolled.uri, "counter"),
            Some(first.to_string().as_str())
        );
        let device = &desk.show(user)["devices"][0];
        assert_eq!(
            (&device["kind"], &device["next"]),
            (&json!("hotp"), &json!(first))
        );
        assert_eq!(
            desk.verify(user, &hotp(first, &enrolled.secret)),
            "accepted"
        );
        if first > 0 {
            let old = hotp(first - 1, &enrolled.secret);
            assert_ne!(
                desk.verify(user, &old),
                "accepted",
                "a counter before the first"
            );
        }
    }
}

#[test]
fn issuer_and_label_are_what_the_phone_shows() {
    let desk = Desk::with_settings(PROFILES);
    for (arguments, start) in [
        (&["--label", "me"][..], "otpauth://totp/Example:me?"),
        (
            &["--issuer", "A & B", "--label", "ü"],
            "otpauth://totp/A%20%26%20B:%C3%BC?",
        ),
        (
            &["--profile", "strong", "--label", "me"],
            "otpauth://totp/Vault:me?",
        ),
        (
            &["--profile", "strong", "--issuer", "Mine", "--label", "me"],
            "otpauth://totp/Mine:me?",
        ),
    ] {
        let enrolled = desk.enroll("alice", &[arguments, &["--force"]].concat());
        assert!(enrolled.uri.starts_with(start), "{}", enrolled.uri);
    }
}

#[test]
fn a_device_for_one_service_serves_no_other() {
    let desk = Desk::new();
    let enrolled = desk.enroll("alice", &["--service", "sshd", "--service", "sudo"]);
    assert_eq!(
        desk.show("alice")["devices"][0]["services"],
        json!(["sshd", "sudo"])
    );
    let code = totp_at(now(), &[], &enrolled.secret);
    assert_eq!(desk.verify_as("sudo", "alice", &code), "accepted");
    assert_eq!(desk.verify_as("login", "alice", &code), "wrong");
}

#[test]
fn secrets_come_from_a_file_or_a_pipe_in_base32_or_hexadecimal() {
    let desk = Desk::new();
    let hexadecimal = "hex:3132333435363738393031323334353637383930";
    for (user, text) in [
        ("plain", RFC_SECRET),
        ("typed", "gezd gnbv gy3t qojq gezd gnbv gy3t qojq\n"),
        ("dashed", "GEZD-GNBV-GY3T-QOJQ-GEZD-GNBV-GY3T-QOJQ=\r\n"),
        ("hexadecimal", hexadecimal),
        ("newline", &format!("{hexadecimal}\n")),
    ] {
        let enrolled = desk.enroll(user, &["--secret-from", &desk.secret_file(text)]);
        assert_eq!(enrolled.secret, RFC_SECRET, "{user}");
        let arguments = [
            "enroll",
            user,
            "--no-confirm",
            "--json",
            "--force",
            "--secret-from",
            "-",
        ];
        let ran = desk.run_with(&arguments, text);
        assert_eq!(ran.status, 0, "{ran:?}");
        let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(printed["secret"], RFC_SECRET, "{user}");
    }
}

#[test]
fn bad_secrets_are_refused_without_repeating_them() {
    let desk = Desk::new();
    for (text, expected) in [
        ("", "the secret has 0 bytes"),
        ("SECRET!SECRET!", "the secret is not base32"),
        ("hex:SECRETSECRET", "the secret is not hexadecimal"),
        ("hex:123", "the secret is not hexadecimal"),
        (&"SECRET23".repeat(100), "the secret has 500 bytes"),
        (
            "SECRETSECRETSEC7",
            "has 80 bits, and RFC 4226 asks for at least 128",
        ),
    ] {
        let ran = desk.run_with(
            &["enroll", "alice", "--no-confirm", "--secret-from", "-"],
            text,
        );
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(ran.error().contains(expected), "{ran:?}");
        assert!(
            !ran.stderr.contains("SECRETSE") && !ran.stdout.contains("SECRETSE"),
            "{ran:?}"
        );
        assert!(!desk.account_file("alice").exists());
    }
    let ran = desk.run(&["enroll", "alice", "--secret-from", "/no/such/file"]);
    assert_eq!(
        ran.error(),
        "--secret-from /no/such/file: No such file or directory (os error 2)"
    );
}

#[test]
fn a_weak_secret_takes_a_word_more() {
    let desk = Desk::new();
    let file = desk.secret_file("GEZDGNBVGY3TQOJQ");
    let refused = desk.run(&["enroll", "alice", "--no-confirm", "--secret-from", &file]);
    assert_eq!(refused.status, 2);
    assert!(
        refused.error().ends_with("or take it with --allow-weak"),
        "{refused:?}"
    );
    let enrolled = desk.enroll("alice", &["--secret-from", &file, "--allow-weak"]);
    assert_eq!(
        desk.verify("alice", &totp_at(now(), &[], &enrolled.secret)),
        "accepted"
    );
}

#[test]
fn three_wrong_codes_enrol_nothing() {
    let desk = Desk::new();
    let file = desk.secret_file(RFC_SECRET);
    let wrong = wrong_code(RFC_SECRET);
    let ran = desk.run_with(
        &["enroll", "alice", "--secret-from", &file],
        &format!(
            "{wrong}\nhello\n{wrong}\n{}\n",
            totp_at(now(), &[], RFC_SECRET)
        ),
    );
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(
        ran.stderr
            .contains("That code does not belong to this key. Was the right entry scanned?")
    );
    assert!(
        ran.stderr
            .contains("That is no code of this device: they have 6 digits.")
    );
    assert!(
        ran.stderr
            .ends_with("otpgate: no right code was typed; nothing was enrolled or changed\n")
    );
    assert!(!desk.account_file("alice").exists() && !desk.state_file("alice").exists());
    assert_eq!(desk.must(&["list"]), "");
}

#[test]
fn the_end_of_the_input_enrols_nothing() {
    let desk = Desk::new();
    let ran = desk.run(&["enroll", "alice"]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.error().contains("(--no-confirm enrols without a code)"),
        "{ran:?}"
    );
    assert!(!desk.account_file("alice").exists() && !desk.state_file("alice").exists());
}

#[test]
fn the_right_code_enrols_and_is_used_up() {
    let desk = Desk::new();
    let file = desk.secret_file(RFC_SECRET);
    let code = totp_at(now(), &[], RFC_SECRET);
    let grouped = format!("{} {}", &code[..3], &code[3..]);
    let input = format!("{}\n{grouped}\n", wrong_code(RFC_SECRET));
    let ran = desk.run_with(&["enroll", "alice", "--secret-from", &file], &input);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.stdout
            .contains("alice is enrolled with the device phone."),
        "{ran:?}"
    );
    assert_eq!(desk.verify("alice", &code), "replayed");
    assert_eq!(
        desk.show("alice")["failures_since_last_success"],
        0,
        "a typing error is no attack"
    );

    let code = hotp(3, RFC_SECRET);
    let arguments = ["enroll", "bob", "--hotp", "--secret-from", &file];
    let ran = desk.run_with(&arguments, &format!("{code}\n"));
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(desk.show("bob")["devices"][0]["next"], 4);
    assert_eq!(desk.verify("bob", &code), "replayed");
    assert_eq!(desk.verify("bob", &hotp(4, RFC_SECRET)), "accepted");
}

#[test]
fn a_wrong_clock_is_explained() {
    let desk = Desk::new();
    let file = desk.secret_file(RFC_SECRET);
    for (offset, which, whose) in [
        (-300_i64, "behind this host's", "if it is ahead"),
        (300, "ahead of this host's", "if it is behind"),
    ] {
        let code = totp_at(now().checked_add_signed(offset).unwrap(), &[], RFC_SECRET);
        let ran = desk.run_with(
            &["enroll", "alice", "--secret-from", &file],
            &format!("{code}\n"),
        );
        assert_eq!(ran.status, 1, "{ran:?}");
        // A step may have begun since.
        let about = [270, 300, 330].map(|seconds| format!("clock is about {seconds} s {which}"));
        assert!(
            about.iter().any(|text| ran.stderr.contains(text)),
            "{ran:?}"
        );
        assert!(
            ran.stderr.contains("The key is right, but") && ran.stderr.contains(whose),
            "{ran:?}"
        );
    }
    let ran = desk.run_with(
        &["enroll", "alice", "--hotp", "--secret-from", &file],
        &format!("{}\n", hotp(15, RFC_SECRET)),
    );
    assert!(
        ran.stderr
            .contains("the device's counter stands at 15 already"),
        "{ran:?}"
    );
    assert!(!desk.account_file("alice").exists());
}

#[test]
fn on_a_terminal_the_key_is_shown_and_confirmed() {
    let desk = Desk::new();
    let mut expect = tool("expect", "expect");
    tool("oathtool", "oathtool");
    expect
        .arg("-c")
        .arg(
            "set timeout 20
             spawn {*}$env(OTPGATE) enroll alice
             expect -re {secret=([A-Z2-7]+)} {set secret $expect_out(1,string)}
             expect {Type the code that the device shows now: }
             send \"[exec oathtool --totp --base32 $secret]\\r\"
             expect {alice is enrolled with the device phone.}
             expect {not shown again}
             expect eof
             exit [lindex [wait] 3]",
        )
        .env(
            "OTPGATE",
            format!(
                "{} --config {}",
                env!("CARGO_BIN_EXE_otpgate"),
                desk.path("otpgate.toml").display()
            ),
        );
    let ran = feed(&mut expect, "");
    assert_eq!(ran.status, 0, "{ran:?}");
    let secret = ran.stdout.split("secret=").nth(1).unwrap();
    let secret = &secret[..32];
    let current = totp_at(now(), &[], secret);
    let previous = totp_at(now() - 30, &[], secret);
    let reasons = [current, previous].map(|code| desk.verify("alice", &code));
    assert!(reasons.contains(&"replayed".to_owned()), "{reasons:?}");
}

#[test]
fn json_and_confirmation_need_a_picture_or_a_known_key() {
    let desk = Desk::new();
    let ran = desk.run(&["enroll", "alice", "--json"]);
    assert_eq!(ran.status, 2);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert!(
        error["error"]
            .as_str()
            .unwrap()
            .contains("add --no-confirm, or --qr with a file")
    );
    let file = desk.secret_file(RFC_SECRET);
    let code = totp_at(now(), &[], RFC_SECRET);
    let ran = desk.run_with(
        &["enroll", "alice", "--json", "--secret-from", &file],
        &format!("{code}\n"),
    );
    assert_eq!(ran.status, 0, "{ran:?}");
    let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(printed["secret"], RFC_SECRET);
}

#[test]
fn a_second_device_stands_beside_the_first() {
    let desk = Desk::new();
    let first = desk.enroll("alice", &[]);
    let second = desk.enroll("alice", &["--device", "tablet"]);
    assert_eq!(
        second.recovery_codes, [""; 0],
        "recovery codes come with the first device alone"
    );
    for secret in [&first.secret, &second.secret] {
        assert_eq!(
            desk.verify("alice", &totp_at(now(), &[], secret)),
            "accepted"
        );
    }
    assert_eq!(
        desk.verify("alice", &first.recovery_codes[0]),
        "accepted",
        "the old ones still hold"
    );
    let text = desk.must(&[
        "enroll",
        "alice",
        "--device",
        "third",
        "--no-confirm",
        "--qr",
        "none",
    ]);
    assert!(!text.contains("Recovery codes"), "{text}");
    let end = "alice is enrolled with the device third.\n\
               The recovery codes stay as they were; `otpgate recovery alice` makes new ones.\n";
    assert!(text.contains(end), "{text}");
}

#[test]
fn force_replaces_a_device_and_ends_its_codes() {
    let desk = Desk::new();
    let old = desk.enroll("alice", &[]);
    let ran = desk.run(&["enroll", "alice", "--no-confirm"]);
    assert_eq!(ran.status, 2);
    assert_eq!(
        ran.error(),
        "alice has a device named phone already; give the new one another name with --device, or replace \
         the old one with --force"
    );
    assert_eq!(ran.stdout, "", "no key is shown that is not enrolled");
    let new = desk.enroll("alice", &["--force"]);
    assert_eq!(
        desk.verify("alice", &totp_at(now(), &[], &old.secret)),
        "wrong"
    );
    assert_eq!(
        desk.verify("alice", &totp_at(now(), &[], &new.secret)),
        "accepted"
    );
    assert_eq!(desk.show("alice")["devices"].as_array().unwrap().len(), 1);
}

#[test]
fn no_user_has_more_than_sixteen_devices() {
    let desk = Desk::new();
    for number in 0..16 {
        desk.enroll("alice", &["--device", &format!("d{number}")]);
    }
    let ran = desk.run(&["enroll", "alice", "--device", "d16", "--no-confirm"]);
    assert_eq!(ran.status, 2);
    assert!(
        ran.error()
            .contains("has 16 devices, which is the most; remove one first"),
        "{ran:?}"
    );
}

#[test]
fn impossible_wishes_are_refused_before_a_key_is_shown() {
    let desk = Desk::with_settings(PROFILES);
    let long = "a".repeat(300);
    for (arguments, expected) in [
        (&[""][..], "USER is empty, or too long"),
        (&[&long], "USER is empty, or too long"),
        (
            &["a:b"],
            "USER@HOST does not do as a label; add another with --label",
        ),
        (
            &["a", "--label", "x:y"],
            "--label: a label has at most 128 bytes, no colon",
        ),
        (
            &["a", "--issuer", "x\ny"],
            "--issuer: an issuer has at most 128 bytes",
        ),
        (&["a", "--device", ""], "a device name has 1 to 32 letters"),
        (
            &["a", "--device", "my phone"],
            "a device name has 1 to 32 letters",
        ),
        (
            &["a", "--device", &long],
            "a device name has 1 to 32 letters",
        ),
        (
            &["a", "--device", "../x"],
            "a device name has 1 to 32 letters",
        ),
        (
            &["a", "--digits", "5"],
            "a code has 6, 7 or 8 digits, not 5",
        ),
        (
            &["a", "--period", "0"],
            "a period lasts 1 to 86400 seconds, not 0",
        ),
        (
            &["a", "--service", "a/b"],
            "--service takes the name of a file in /etc/pam.d",
        ),
        (
            &["a", "--service", ""],
            "--service takes the name of a file in /etc/pam.d",
        ),
        (
            &["a", "--profile", "weak"],
            "there is no [profile.weak] in the configuration; there are: seven, strong",
        ),
    ] {
        let ran = desk.run(&[&["enroll", "--no-confirm"], arguments].concat());
        assert_eq!(ran.status, 2, "{arguments:?}: {ran:?}");
        assert!(ran.error().contains(expected), "{arguments:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    for arguments in [
        &["a", "--totp", "--hotp"][..],
        &["a", "--hotp", "--period", "30"],
        &["a", "--totp", "--counter", "1"],
        &["a", "--counter", "1"],
        &["a", "--allow-weak"],
        &["a", "--algorithm", "md5"],
        &["a", "--digits", "many"],
        &[],
    ] {
        let ran = desk.run(&[&["enroll", "--no-confirm"], arguments].concat());
        assert_eq!(ran.status, 2, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.starts_with("error: "), "{arguments:?}: {ran:?}");
    }
    assert_eq!(desk.must(&["list"]), "");
}

#[test]
fn unusual_user_names_work_like_any_other() {
    let desk = Desk::new();
    for user in [
        "a/b",
        "../../etc/shadow",
        "jürg",
        "with space",
        "%41",
        "o'neill",
        "DOM\\user",
        "-x",
    ] {
        let printed = desk.json(&["enroll", "--no-confirm", "--", user]);
        assert_eq!(printed["user"], user);
        let code = totp_at(now(), &[], printed["secret"].as_str().unwrap());
        let ran = desk.run_with(&["verify", "--", user], &code);
        assert_eq!(ran.status, 0, "{user}: {ran:?}");
        assert_eq!(desk.json(&["show", "--", user])["user"], user);
    }
    let inside = fs::read_dir(desk.state_dir().join("accounts"))
        .unwrap()
        .count();
    assert_eq!(inside, 8);
}

#[test]
fn unusual_shapes_come_with_a_warning() {
    let desk = Desk::new();
    for (arguments, warned) in [
        (&[][..], false),
        (&["--hotp"], false),
        (&["--digits", "8"], true),
        (&["--period", "60"], true),
        (&["--algorithm", "sha256"], true),
    ] {
        let ran = desk.run(&[&["enroll", "alice", "--force", "--no-confirm"], arguments].concat());
        let note = ran
            .stderr
            .contains("note: some phone apps ignore algorithm, digits and period");
        assert_eq!(note, warned, "{arguments:?}: {ran:?}");
        assert!(
            !ran.stderr.contains("that you are asked for now"),
            "nobody is asked: {ran:?}"
        );
    }
}

#[test]
fn a_key_that_nobody_could_read_is_said_to_be_enrolled() {
    let desk = Desk::new();
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let mut command = desk.command(&["enroll", "alice", "--no-confirm", "--json"]);
    let output = command.stdout(full()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        error.contains("alice is enrolled with the device phone, but cannot write"),
        "{error}"
    );
    assert!(error.contains("run `otpgate remove alice`"), "{error}");
}
