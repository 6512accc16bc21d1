mod files;
mod lines;
mod options;
mod sources;

use super::*;
use crate::as_user::KeyLimits;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KEY: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20................................";
const OTHER: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20-...............................";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn key() -> OfferedKey {
    OfferedKey::new("ssh-ed25519", KEY)
}

fn text_of(key: &[u8]) -> String {
    format!("ssh-ed25519 {}", Base64::encode_string(key))
}

/// The verdict about a file of one line with these options.
fn with_options(options: &str, source: IpAddr) -> KeyVerdict {
    let line = format!("{options} {} somebody@somewhere", text_of(KEY));
    judge(line.as_bytes(), &key(), source)
}

fn found() -> KeyVerdict {
    KeyVerdict::Found(KeyLimits::default())
}
