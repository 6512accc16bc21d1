//! Codes from oathtool: an implementation that shares nothing with the product.

use std::io::Write;
use std::process::{Command, Stdio};

/// The HOTP code of `secret` (base32) at `counter`.
pub fn hotp(secret: &str, counter: u64, digits: u32) -> String {
    oathtool(
        secret,
        digits,
        &["--hotp".into(), format!("--counter={counter}")],
    )
}

/// The HOTP codes of `secret` (base32) at `count` counters from `first` on. A TOTP code is the one at its step.
pub fn hotp_range(secret: &str, first: u64, count: u64) -> Vec<String> {
    let range = [
        "--hotp".into(),
        format!("--counter={first}"),
        format!("--window={}", count - 1),
    ];
    let codes = oathtool(secret, 6, &range);
    codes.lines().map(str::to_owned).collect()
}

/// The TOTP code of `secret` (base32) now, or at `at` in seconds since 1970. `algorithm` is `sha1`,
/// `sha256` or `sha512`.
pub fn totp(secret: &str, at: Option<u64>, algorithm: &str, digits: u32) -> String {
    let mut arguments = vec![format!("--totp={algorithm}")];
    arguments.extend(at.map(|seconds| format!("--now=@{seconds}")));
    oathtool(secret, digits, &arguments)
}

/// `code` with its last digit changed: refused, however far the look-ahead reaches, except that one
/// in a hundred thousand wrong codes is another counter's right one.
pub fn wrong(code: &str) -> String {
    let (head, last) = code.split_at(code.len() - 1);
    let digit: u32 = last.parse().unwrap();
    format!("{head}{}", (digit + 5) % 10)
}

fn oathtool(secret: &str, digits: u32, arguments: &[String]) -> String {
    let mut child = Command::new("oathtool")
        .args(["--base32", &format!("--digits={digits}")])
        .args(arguments)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("oathtool is not installed");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(secret.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "oathtool: {}", output.status);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
