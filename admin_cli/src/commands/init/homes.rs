//! Whether anybody on this host has a `~/.google_authenticator`.
//!
//! Where that cannot be said for certain, somebody may: users of a directory service, homes that are not
//! mounted. With "nobody has" wrongly written down, they would be let in without a code under `nullok`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use otp_core::store::google_authenticator::base::is_person;

/// Sources of `passwd:` whose users all stand in `/etc/passwd`, or have no home of their own.
/// With [`RECORDS`], `systemd` has people beside those.
const LOCAL_SOURCES: [&str; 4] = ["files", "compat", "altfiles", "systemd"];

/// Where systemd keeps users who are not in `/etc/passwd`: those of systemd-homed, and others (nss-systemd(8)).
const RECORDS: [&str; 4] = [
    "/var/lib/systemd/home",
    "/etc/userdb",
    "/run/userdb",
    "/run/host/userdb",
];

/// Where users and their homes are written down.
pub(super) struct Homes {
    passwd: PathBuf,
    nsswitch: PathBuf,
    records: Vec<PathBuf>,
}

impl Homes {
    pub(super) fn of_this_host() -> Self {
        Self {
            passwd: "/etc/passwd".into(),
            nsswitch: "/etc/nsswitch.conf".into(),
            records: RECORDS.map(PathBuf::from).into(),
        }
    }

    /// Whether it is certain that no user has such a file.
    pub(super) fn have_no_file(&self) -> bool {
        let Ok(passwd) = fs::read(&self.passwd) else {
            return false;
        };
        let passwd = String::from_utf8_lossy(&passwd);
        self.are_local()
            && self.records.iter().all(|records| is_empty(records))
            && passwd.lines().all(has_no_file)
    }

    /// Without the file, or the line, glibc asks the files alone.
    fn are_local(&self) -> bool {
        let text = match fs::read_to_string(&self.nsswitch) {
            Ok(text) => text,
            Err(error) => return error.kind() == ErrorKind::NotFound,
        };
        let sources = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("passwd:"));
        sources
            .flat_map(|line| {
                line.split('#')
                    .next()
                    .unwrap_or_default()
                    .split_whitespace()
            })
            .all(|source| LOCAL_SOURCES.contains(&source))
    }
}

/// Whether a directory holds nothing, or is not there.
fn is_empty(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

fn has_no_file(line: &str) -> bool {
    let mut fields = line.split(':').skip(2);
    let (Some(uid), Some(home)) = (fields.next(), fields.nth(2)) else {
        return true;
    };
    let home = Path::new(home);
    let person = uid.parse().is_ok_and(is_person);
    if person && !home.is_dir() {
        return false;
    }
    let file = home.join(".google_authenticator").symlink_metadata();
    let absent = |error: std::io::Error| {
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
    };
    file.is_err_and(absent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn homes(passwd: &str, nsswitch: &str) -> (tempfile::TempDir, Homes) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("alice")).unwrap();
        let passwd = passwd.replace("HOME", root.to_str().unwrap());
        fs::write(root.join("passwd"), passwd).unwrap();
        fs::write(root.join("nsswitch"), nsswitch).unwrap();
        let homes = Homes {
            passwd: root.join("passwd"),
            nsswitch: root.join("nsswitch"),
            records: vec![root.join("records")],
        };
        (directory, homes)
    }

    const ALICE: &str = "daemon:x:1:1::/none:/bin/false\nalice:x:1000:1000::HOME/alice:/bin/sh\n";
    const FILES: &str = "passwd: files systemd # sss\ngroup: files sss\n";

    #[test]
    fn a_file_in_any_home_is_seen_whatever_it_is() {
        let (directory, homes) = homes(ALICE, FILES);
        assert!(homes.have_no_file());
        let file = directory.path().join("alice/.google_authenticator");
        std::os::unix::fs::symlink("/none", file).unwrap();
        assert!(!homes.have_no_file());
    }

    #[test]
    fn what_cannot_be_seen_is_no_no() {
        let unmounted = format!("{ALICE}bob:x:1001:1001::/none/bob:/bin/sh\n");
        assert!(!homes(&unmounted, FILES).1.have_no_file());
        assert!(!homes(ALICE, "passwd: files sss\n").1.have_no_file());
        let (directory, with_records) = homes(ALICE, FILES);
        let records = directory.path().join("records");
        fs::create_dir(&records).unwrap();
        assert!(with_records.have_no_file());
        fs::write(records.join("carol.identity"), "{}").unwrap();
        assert!(!with_records.have_no_file());
        let (directory, homes) = homes(ALICE, FILES);
        fs::remove_file(directory.path().join("passwd")).unwrap();
        assert!(!homes.have_no_file());
    }
}
