//! Files to be carried about.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

/// Writes so many bytes that compress badly.
pub fn write_random(path: &Path, bytes: u64) {
    let mut random = io::Read::take(File::open("/dev/urandom").unwrap(), bytes);
    io::copy(&mut random, &mut File::create(path).unwrap()).unwrap();
}

/// The SHA-256 sum of a file, in hexadecimal digits.
///
/// # Panics
/// When there is no such file.
pub fn sha256(path: &Path) -> String {
    let sum = Command::new("sha256sum").arg(path).output().unwrap();
    assert!(sum.status.success(), "{}: {sum:?}", path.display());
    let text = String::from_utf8(sum.stdout).unwrap();
    text.split(' ')
        .next()
        .unwrap()
        .trim_start_matches('\\')
        .to_owned()
}

/// Whether all files hold the same; those that do not exist hold nothing.
pub fn are_equal(files: &[&Path]) -> bool {
    let sums: Vec<_> = files
        .iter()
        .map(|path| fs::exists(path).unwrap().then(|| sha256(path)))
        .collect();
    sums.iter().all(|sum| sum.is_some() && *sum == sums[0])
}
