//! `otpgate-sshd.toml`, with sshd_config's names in snake_case.
//!
//! Anything that is not understood is an error that names the line, the key and the nearest right one.
//! How the file is written stands in `file`, what a single value may be in `values`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use otp_core::config::ConfigError;
use otp_core::store::safe_open::read_configuration;
use serde::{Deserialize, Serialize};

pub mod file;
pub mod values;

use file::File;

/// Where the configuration is looked for.
pub const DEFAULT_PATH: &str = "/etc/otpgate/otpgate-sshd.toml";
/// Largest configuration file, in bytes. With the host keys and the banner it has to fit one message to a
/// monitor ([`crate::ipc::LONGEST`]).
pub const LARGEST_FILE: u64 = 48 * 1024;

/// The configuration, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `listen`: addresses with ports. Default `["0.0.0.0:2222", "[::]:2222"]`.
    pub listen: Vec<SocketAddr>,
    /// `host_keys`: files in OpenSSH's format, ed25519 or ecdsa. Default `/etc/otpgate/ssh_host_ed25519_key`.
    pub host_keys: Vec<PathBuf>,
    /// `pam_service`: the file in pam.d. Default `otpgate-sshd`.
    pub pam_service: String,
    /// `pam_confdir`: a directory instead of /etc/pam.d.
    pub pam_confdir: Option<PathBuf>,
    /// `authentication_methods`: lists, each separated by commas, each ending in `keyboard-interactive`.
    /// Default `["keyboard-interactive"]`.
    pub authentication_methods: Vec<Vec<Method>>,
    /// `authorized_keys_file`: relative to the home directory, or absolute, with `%u` for the user and `%h`
    /// for the home. Default `.ssh/authorized_keys`.
    pub authorized_keys_file: String,
    /// `permit_root_login`: default false.
    pub permit_root_login: bool,
    /// `allow_users`, `deny_users`, `allow_groups`, `deny_groups`: names with `*` and `?`. Empty: no limit.
    pub allow_users: Vec<String>,
    /// See `allow_users`.
    pub deny_users: Vec<String>,
    /// See `allow_users`.
    pub allow_groups: Vec<String>,
    /// See `allow_users`.
    pub deny_groups: Vec<String>,
    /// `login_grace_time`: from the connection to the login. Default `"2m"`.
    pub login_grace_time: Duration,
    /// `max_auth_tries`: refused dialogues and keys of one connection, 1 to 20. Default 6.
    pub max_auth_tries: u32,
    /// `max_startups`: connections that are not logged in yet. Default `"10:30:100"`.
    pub max_startups: MaxStartups,
    /// `per_source_max_startups`: the same of one address (IPv6: /64). Default none.
    pub per_source_max_startups: Option<u32>,
    /// `max_sessions` of one connection. Default 10.
    pub max_sessions: u32,
    /// `banner`: a file whose text is shown before the login.
    pub banner: Option<PathBuf>,
    /// `accept_env`: names with `*` and `?`. Default `["LANG", "LC_*"]`.
    pub accept_env: Vec<String>,
    /// `permit_sessions`: default `["shell", "exec", "sftp"]`.
    pub permit_sessions: Vec<SessionKind>,
    /// `sftp_server`: default `/usr/lib/openssh/sftp-server`.
    pub sftp_server: PathBuf,
    /// `permit_open`: `"host:port"` for ProxyJump, `*` for any host or port. Default none.
    pub permit_open: Vec<HostPort>,
    /// `client_alive_interval`: default `"0s"`, which is never.
    pub client_alive_interval: Duration,
    /// `client_alive_count_max`: default 3.
    pub client_alive_count_max: u32,
    /// `rekey_limit`: bytes, 1 MiB to 1 GiB. Default 1 GiB.
    pub rekey_bytes: u64,
    /// `rekey_interval`: default `"1h"`.
    pub rekey_interval: Duration,
    /// `proxy_protocol_from`: networks whose connections begin with a PROXY header. Default none.
    pub proxy_protocol_from: Vec<IpNet>,
    /// `network_user`: whom the network processes run as when the server is root's. Default `_otpgate-sshd`.
    pub network_user: String,
    /// `chroot_directory`: their empty root. Default `/run/otpgate-sshd`.
    pub chroot_directory: PathBuf,
}

/// A method of RFC 4252, by its name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// `publickey`.
    #[serde(rename = "publickey")]
    PublicKey,
    /// `keyboard-interactive`.
    KeyboardInteractive,
}

/// What a session may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// The login shell.
    Shell,
    /// One command; scp and rsync too.
    Exec,
    /// The sftp subsystem.
    Sftp,
}

impl Method {
    /// Its name in RFC 4252 and RFC 4256.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PublicKey => "publickey",
            Self::KeyboardInteractive => "keyboard-interactive",
        }
    }
}

impl SessionKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Shell, Self::Exec, Self::Sftp];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Exec => "exec",
            Self::Sftp => "sftp",
        }
    }
}

/// From `begin` connections on, some are dropped: `rate` percent, rising to all of them at `full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxStartups {
    /// None is dropped before.
    pub begin: u32,
    /// Percent that are dropped there.
    pub rate: u32,
    /// All are dropped there.
    pub full: u32,
}

/// Where a forwarded connection may go; none is any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// The host, as the client writes it.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
}

impl Config {
    /// Reads the configuration file of this name, or the usual one. Only the usual one may be absent, which
    /// means the defaults.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]; [`ConfigError::File`] when it is not a regular file of root's (or the
    /// caller's) that nobody else may write; [`ConfigError::Text`] for its text.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        let text = read_configuration(path, LARGEST_FILE).map_err(ConfigError::File)?;
        if text.is_none() && named.is_some() {
            return Err(ConfigError::Missing(path.to_owned()));
        }
        Self::parse(&text.unwrap_or_default(), path)
    }

    /// Reads the text of a configuration file; `path` is for error messages.
    ///
    /// # Errors
    /// [`ConfigError::Text`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        File::parse(text).map_err(|(line, problem)| ConfigError::Text {
            path: path.to_owned(),
            line,
            problem,
        })
    }

    /// Whether connections from there begin with a PROXY header.
    #[must_use]
    pub fn is_proxy(&self, address: std::net::IpAddr) -> bool {
        let networks = &self.proxy_protocol_from;
        networks.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests;
