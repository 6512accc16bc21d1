//! What PAM says of somebody: user name, remote host, SSH_CONNECTION and terminal, a line each.

use std::path::Component;

use otp_core::source::{Origin, Source};
use otp_core::store::google_authenticator::location::locate;
use otp_core::user_name::UserName;

pub fn names(data: &[u8]) {
    let mut lines = data.splitn(5, |byte| *byte == b'\n');
    let user = lines.next().unwrap_or_default();
    stays_in_its_directory(user);
    let [rhost, connection, terminal] = [(); 3].map(|()| lines.next());
    origin(rhost, connection, terminal);
    if let Some(Ok(pattern)) = lines.next().map(std::str::from_utf8) {
        users_file(pattern, user);
    }
}

fn stays_in_its_directory(user: &[u8]) {
    let name = UserName::new(user);
    let file = name.file_name();
    assert!(!file.is_empty() && file.len() <= 200);
    assert!(!file.starts_with('.') && !file.contains(['/', '\0']));
    assert!(file.bytes().all(|byte| byte.is_ascii_graphic()));
    if !file.starts_with("%sha256-") {
        assert_eq!(UserName::from_file_name(file), Some(name.clone()));
    }
    if let Some(other) = std::str::from_utf8(user)
        .ok()
        .and_then(UserName::from_file_name)
    {
        assert_eq!(other.file_name().as_bytes(), user);
    }
}

fn origin(rhost: Option<&[u8]>, connection: Option<&[u8]>, terminal: Option<&[u8]>) {
    let origin = Origin::from_pam(rhost, connection, terminal);
    match origin {
        Origin::Address(address) => {
            assert_eq!(address, address.to_canonical(), "one address has one name");
        }
        // A host that says it is remote is never here.
        Origin::Local => assert!(rhost.is_none_or(<[u8]>::is_empty)),
        Origin::Opaque => assert_eq!(origin.source(), Source::Opaque),
    }
    assert!(!origin.to_string().contains(['\n', ' ', '"', '=']));
}

/// A user's name leads to no other directory than the pattern does.
fn users_file(pattern: &str, user: &[u8]) {
    let climbs = |path: &std::path::Path| {
        let parts = path.components();
        parts.filter(|part| *part == Component::ParentDir).count()
    };
    let home = Some(&b"/home/alice"[..]);
    if let Ok(path) = locate(pattern, user, home) {
        assert!(path.is_absolute());
        let plain = locate(pattern, b"alice", home).expect("a plain name leads somewhere too");
        assert_eq!(climbs(&path), climbs(&plain));
        assert_eq!(path.components().count(), plain.components().count());
    }
}
