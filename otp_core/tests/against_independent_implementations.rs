//! RFC 4226 and RFC 6238 held against implementations that share no line with ours: the crate totp-rs,
//! and oathtool of OATH Toolkit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use otp_core::hotp::{Algorithm, Digits, Generator};
use otp_core::secret::Secret;
use otp_core::totp::{Period, UnixTime};
use proptest::prelude::*;
use totp_rs::Builder;

fn algorithm() -> impl Strategy<Value = Algorithm> {
    proptest::sample::select(Algorithm::ALL.to_vec())
}

fn digits() -> impl Strategy<Value = Digits> {
    proptest::sample::select(Digits::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn totp_rs_computes_the_same_totp(
        key in proptest::collection::vec(any::<u8>(), 16..=128),
        algorithm in algorithm(),
        digits in digits(),
        period in 1..=300_u32,
        time in 0..=20_000_000_000_u64,
    ) {
        let theirs = Builder::new()
            .with_algorithm(match algorithm {
                Algorithm::Sha1 => totp_rs::Algorithm::SHA1,
                Algorithm::Sha256 => totp_rs::Algorithm::SHA256,
                Algorithm::Sha512 => totp_rs::Algorithm::SHA512,
            })
            .with_digits(u8::from(digits))
            .with_step_duration(u64::from(period))
            .with_secret(key.clone())
            .build_noncompliant();
        let generator = Generator::new(&Secret::new(key).unwrap(), algorithm, digits);
        let ours = generator.code(Period::try_from(period).unwrap().step(UnixTime(time)));
        prop_assert_eq!(ours.expose().to_string(), theirs.generate(time).to_string());
    }
}

/// oathtool, with the secret on standard input.
fn oathtool(secret: &Secret, arguments: &[String]) -> Vec<String> {
    let mut child = Command::new("oathtool")
        .args(arguments)
        .args(["--base32", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("oathtool is missing: apt-get install oathtool");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(secret.to_base32().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

proptest! {
    // Each case compares fifty codes in a row.
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn oathtool_computes_the_same_hotp(
        key in proptest::collection::vec(any::<u8>(), 16..=64),
        digits in digits(),
        counter in 0..=u64::MAX - 100,
    ) {
        let secret = Secret::new(key).unwrap();
        let arguments =
            ["--hotp".into(), format!("--counter={counter}"), "--window=49".into(), format!("--digits={}", digits.count())];
        let generator = Generator::new(&secret, Algorithm::Sha1, digits);
        let ours: Vec<String> =
            (counter..counter + 50).map(|counter| generator.code(counter).expose().to_string()).collect();
        prop_assert_eq!(ours, oathtool(&secret, &arguments));
    }

    #[test]
    fn oathtool_computes_the_same_totp(
        key in proptest::collection::vec(any::<u8>(), 16..=64),
        algorithm in algorithm(),
        digits in digits(),
        period in 1..=120_u32,
        time in 0..=4_000_000_000_u64,
    ) {
        let secret = Secret::new(key).unwrap();
        let arguments = [
            format!("--totp={}", algorithm.name()),
            format!("--now=@{time}"),
            format!("--time-step-size={period}s"),
            "--window=49".into(),
            format!("--digits={}", digits.count()),
        ];
        let generator = Generator::new(&secret, algorithm, digits);
        let first = Period::try_from(period).unwrap().step(UnixTime(time));
        let ours: Vec<String> =
            (first..first + 50).map(|step| generator.code(step).expose().to_string()).collect();
        prop_assert_eq!(ours, oathtool(&secret, &arguments));
    }
}
