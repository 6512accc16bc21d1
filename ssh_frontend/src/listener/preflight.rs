//! What `--test` looks at beyond the settings: things that only some logins need, or PAM alone.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::config::{Config, SessionKind};

/// Where libpam looks for a service.
const PAM_DIRECTORIES: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d"];
/// Where distributions put the program.
const SFTP_SERVERS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
];

/// What will not work, and what to do about it, a line each.
#[must_use]
pub fn problems(config: &Config) -> Vec<String> {
    [pam_service(config), sftp_server(config)]
        .into_iter()
        .flatten()
        .collect()
}

fn pam_service(config: &Config) -> Option<String> {
    let directories = match &config.pam_confdir {
        Some(directory) => vec![directory.clone()],
        None => PAM_DIRECTORIES.map(PathBuf::from).to_vec(),
    };
    let service = &config.pam_service;
    if directories
        .iter()
        .any(|directory| directory.join(service).is_file())
    {
        return None;
    }
    let path = directories.first().map(|first| first.join(service));
    Some(format!(
        "pam_service {service}: {} is not there, so PAM takes the service \"other\", which refuses everybody \
         on most systems; make it, with pam_otpgate.so in its auth stack",
        path.unwrap_or_default().display()
    ))
}

fn sftp_server(config: &Config) -> Option<String> {
    if !config.permit_sessions.contains(&SessionKind::Sftp) {
        return None;
    }
    let runs = |path: &Path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    if runs(&config.sftp_server) {
        return None;
    }
    let here = SFTP_SERVERS.into_iter().find(|path| runs(Path::new(path)));
    let cure = match here {
        Some(path) => format!("set sftp_server = \"{path}\""),
        None => "install it (Debian: openssh-sftp-server, Fedora: openssh-server), or take \"sftp\" out of \
                 permit_sessions"
            .to_owned(),
    };
    Some(format!(
        "sftp_server {}: is no program; {cure}",
        config.sftp_server.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("test.toml")).unwrap()
    }

    #[test]
    fn what_is_missing_is_named_with_its_cure() {
        let directory = tempfile::tempdir().unwrap();
        let confdir = format!("pam_confdir = {:?}\n", directory.path());
        let bare = config(&format!("{confdir}sftp_server = \"/etc/passwd\""));
        let found = problems(&bare);
        assert!(found[0].contains("otpgate-sshd is not there"), "{found:?}");
        assert!(
            found[1].starts_with("sftp_server /etc/passwd: is no program; "),
            "{found:?}"
        );
        std::fs::write(directory.path().join("otpgate-sshd"), "").unwrap();
        let whole = config(&format!("{confdir}sftp_server = \"/bin/sh\""));
        assert!(problems(&whole).is_empty());
        let without = config(&format!(
            "{confdir}permit_sessions = [\"exec\"]\nsftp_server = \"/nowhere\""
        ));
        assert!(problems(&without).is_empty());
    }
}
