//! `otpgate code`: the vectors of the RFCs, and the same answers as oathtool.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use serde_json::json;
use support::{Desk, RFC_SECRET, feed, now, oathtool, totp_at};

/// RFC 6238 appendix B: ASCII digits, as long as the hash.
const SHA1_KEY: &str = "hex:3132333435363738393031323334353637383930";
const SHA256_KEY: &str = "hex:3132333435363738393031323334353637383930313233343536373839303132";
const SHA512_KEY: &str = "hex:31323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334";

fn code(desk: &Desk, secret: &str, arguments: &[&str]) -> String {
    let file = desk.secret_file(secret);
    let printed = desk.must(&[&["code", "--secret-from", &file], arguments].concat());
    let code = printed.strip_suffix('\n').unwrap();
    assert!(
        code.bytes().all(|byte| byte.is_ascii_digit()),
        "the code alone: {printed:?}"
    );
    code.to_owned()
}

#[test]
fn rfc_4226_appendix_d() {
    let desk = Desk::new();
    let expected = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];
    for (counter, expected) in expected.iter().enumerate() {
        let counter = counter.to_string();
        for secret in [RFC_SECRET, SHA1_KEY] {
            let arguments = ["--hotp", "--counter", &counter];
            assert_eq!(
                code(&desk, secret, &arguments),
                *expected,
                "counter {counter}"
            );
        }
    }
}

#[test]
fn rfc_6238_appendix_b() {
    let desk = Desk::new();
    for (time, sha1, sha256, sha512) in [
        ("59", "94287082", "46119246", "90693936"),
        ("1111111109", "07081804", "68084774", "25091201"),
        ("1111111111", "14050471", "67062674", "99943326"),
        ("1234567890", "89005924", "91819424", "93441116"),
        ("2000000000", "69279037", "90698825", "38618901"),
        ("20000000000", "65353130", "77737706", "47863826"),
    ] {
        for (algorithm, secret, expected) in [
            ("sha1", SHA1_KEY, sha1),
            ("sha256", SHA256_KEY, sha256),
            ("sha512", SHA512_KEY, sha512),
        ] {
            let arguments = ["--at", time, "--digits", "8", "--algorithm", algorithm];
            assert_eq!(
                code(&desk, secret, &arguments),
                expected,
                "{algorithm} at {time}"
            );
        }
    }
}

#[test]
fn oathtool_agrees() {
    let desk = Desk::new();
    let secrets = ["GE", RFC_SECRET, &"ABCDEFGH".repeat(16)];
    for secret in secrets {
        for algorithm in ["sha1", "sha256", "sha512"] {
            for (digits, period) in [("6", "30"), ("7", "60"), ("8", "1"), ("6", "86400")] {
                for time in [1, 1_700_000_000, 4_102_444_800] {
                    let options = [
                        format!("--totp={algorithm}"),
                        format!("-d{digits}"),
                        format!("-s{period}"),
                    ];
                    let options: Vec<&str> = options.iter().map(String::as_str).collect();
                    let at = time.to_string();
                    let arguments = [
                        "--at",
                        &at,
                        "--algorithm",
                        algorithm,
                        "--digits",
                        digits,
                        "--period",
                        period,
                    ];
                    assert_eq!(
                        code(&desk, secret, &arguments),
                        totp_at(time, &options, secret),
                        "{secret} {arguments:?}"
                    );
                }
            }
        }
        for counter in ["0", "4294967296", "9223372036854775807"] {
            let expected = oathtool(&["--hotp", "--base32", "--counter", counter], secret);
            assert_eq!(
                code(&desk, secret, &["--hotp", "--counter", counter]),
                expected
            );
        }
    }
}

#[test]
fn now_is_the_default() {
    let desk = Desk::new();
    let before = now();
    let printed = code(&desk, RFC_SECRET, &[]);
    let possible = [before, now()].map(|time| totp_at(time, &[], RFC_SECRET));
    assert!(possible.contains(&printed), "{printed} {possible:?}");
}

#[test]
fn it_needs_no_store_no_configuration_and_no_file() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_otpgate"));
    command.args([
        "--config",
        "/no/such/file",
        "code",
        "--secret-from",
        "-",
        "--hotp",
        "--counter",
        "1",
    ]);
    let ran = feed(&mut command, &format!("{RFC_SECRET}\n"));
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (0, "287082\n"),
        "{ran:?}"
    );
}

#[test]
fn json_has_one_key() {
    let desk = Desk::new();
    let file = desk.secret_file(RFC_SECRET);
    let printed = desk.json(&["code", "--secret-from", &file, "--hotp", "--counter", "1"]);
    assert_eq!(printed, json!({ "code": "287082" }));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let desk = Desk::new();
    let file = desk.secret_file(RFC_SECRET);
    for arguments in [
        &["--hotp"][..],
        &["--counter", "1"],
        &["--hotp", "--counter", "1", "--at", "59"],
        &["--hotp", "--counter", "1", "--period", "30"],
        &["--hotp", "--counter", "-1"],
        &["--digits", "5"],
        &["--digits", "9"],
        &["--period", "0"],
        &["--algorithm", "md5"],
    ] {
        let ran = desk.run(&[&["code", "--secret-from", &file], arguments].concat());
        assert_eq!(ran.status, 2, "{arguments:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    let ran = desk.run(&["code"]);
    assert!(ran.stderr.contains("--secret-from <FILE|->"), "{ran:?}");
    let ran = desk.run_with(&["code", "--secret-from", "-"], "SECRET!!");
    assert!(
        ran.error()
            .starts_with("--secret-from -: the secret is not base32"),
        "{ran:?}"
    );
    assert!(!ran.stderr.contains("SECRET!!"), "{ran:?}");
}
