//! The configuration as it is written: key by key, each with its default.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use otp_core::toml_mistake::{explain, line_of, line_of_key};
use serde::{Deserialize, Serialize};

use super::{Config, values};

/// Seconds from a connection to its login.
const LOGIN_GRACE_TIME: RangeInclusive<u64> = 1..=3600;
/// Seconds between signs of life.
const CLIENT_ALIVE: RangeInclusive<u64> = 0..=86_400;
/// Seconds between changes of keys.
const REKEY_INTERVAL: RangeInclusive<u64> = 1..=86_400;
/// Most sockets to listen on.
const MOST_LISTEN: usize = 64;
/// Most host keys: one of a type is of use.
pub const MOST_HOST_KEYS: usize = 4;

/// A key of the file, and what is wrong with its value.
type Wrong = (&'static str, String);

/// The file's keys, in sshd_config's words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    listen: Vec<String>,
    host_keys: Vec<String>,
    pam_service: String,
    pam_confdir: Option<String>,
    authentication_methods: Vec<String>,
    authorized_keys_file: String,
    permit_root_login: bool,
    allow_users: Vec<String>,
    deny_users: Vec<String>,
    allow_groups: Vec<String>,
    deny_groups: Vec<String>,
    login_grace_time: String,
    max_auth_tries: i64,
    max_startups: NumberOrText,
    per_source_max_startups: Option<i64>,
    max_sessions: i64,
    banner: Option<String>,
    accept_env: Vec<String>,
    permit_sessions: Vec<String>,
    sftp_server: String,
    permit_open: Vec<String>,
    client_alive_interval: String,
    client_alive_count_max: i64,
    rekey_limit: String,
    rekey_interval: String,
    proxy_protocol_from: Vec<String>,
    network_user: String,
    chroot_directory: String,
}

/// What is a number or a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "takes a number or a text such as \"10:30:100\"")]
enum NumberOrText {
    Number(u32),
    Text(String),
}

impl Default for File {
    fn default() -> Self {
        let list = |items: &[&str]| items.iter().map(ToString::to_string).collect();
        Self {
            listen: list(&["0.0.0.0:2222", "[::]:2222"]),
            host_keys: list(&["/etc/otpgate/ssh_host_ed25519_key"]),
            pam_service: "otpgate-sshd".into(),
            pam_confdir: None,
            authentication_methods: list(&["keyboard-interactive"]),
            authorized_keys_file: ".ssh/authorized_keys".into(),
            permit_root_login: false,
            allow_users: Vec::new(),
            deny_users: Vec::new(),
            allow_groups: Vec::new(),
            deny_groups: Vec::new(),
            login_grace_time: "2m".into(),
            max_auth_tries: 6,
            max_startups: NumberOrText::Text("10:30:100".into()),
            per_source_max_startups: None,
            max_sessions: 10,
            banner: None,
            accept_env: list(&["LANG", "LC_*"]),
            permit_sessions: list(&["shell", "exec", "sftp"]),
            sftp_server: "/usr/lib/openssh/sftp-server".into(),
            permit_open: Vec::new(),
            client_alive_interval: "0s".into(),
            client_alive_count_max: 3,
            rekey_limit: "1G".into(),
            rekey_interval: "1h".into(),
            proxy_protocol_from: Vec::new(),
            network_user: "_otpgate-sshd".into(),
            chroot_directory: "/run/otpgate-sshd".into(),
        }
    }
}

impl File {
    /// Reads a file's text; an error is a line, from 1, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Config, (usize, String)> {
        let file: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            (line_of(text, start), explain(text, start, error.message()))
        })?;
        file.check()
            .map_err(|(key, problem)| (line_of_key(text, key), format!("{key}: {problem}")))
    }

    fn check(&self) -> Result<Config, Wrong> {
        let path = |key, text: &String| values::absolute(text).map_err(|problem| (key, problem));
        let several_paths =
            |key, texts: &Option<String>| texts.as_ref().map(|text| path(key, text)).transpose();
        let bounded = |key, number, low, high| {
            values::number(number, low..=high).map_err(|problem| (key, problem))
        };
        let seconds = |key, text: &String, range| {
            values::duration(text, range).map_err(|problem| (key, problem))
        };
        let startups = match &self.max_startups {
            NumberOrText::Number(number) => number.to_string(),
            NumberOrText::Text(text) => text.clone(),
        };
        Ok(Config {
            listen: self.listen()?,
            host_keys: self.host_keys()?,
            pam_service: one("pam_service", &self.pam_service, values::pam_service)?,
            pam_confdir: several_paths("pam_confdir", &self.pam_confdir)?,
            authentication_methods: filled(
                "authentication_methods",
                each(
                    "authentication_methods",
                    &self.authentication_methods,
                    values::methods,
                )?,
            )?,
            authorized_keys_file: one(
                "authorized_keys_file",
                &self.authorized_keys_file,
                values::authorized_keys_file,
            )?,
            permit_root_login: self.permit_root_login,
            allow_users: each("allow_users", &self.allow_users, values::pattern)?,
            deny_users: each("deny_users", &self.deny_users, values::pattern)?,
            allow_groups: each("allow_groups", &self.allow_groups, values::pattern)?,
            deny_groups: each("deny_groups", &self.deny_groups, values::pattern)?,
            login_grace_time: seconds(
                "login_grace_time",
                &self.login_grace_time,
                LOGIN_GRACE_TIME,
            )?,
            max_auth_tries: bounded("max_auth_tries", self.max_auth_tries, 1, 20)?,
            max_startups: one("max_startups", &startups, values::max_startups)?,
            per_source_max_startups: self
                .per_source_max_startups
                .map(|number| bounded("per_source_max_startups", number, 1, 10_000))
                .transpose()?,
            max_sessions: bounded("max_sessions", self.max_sessions, 1, 1000)?,
            banner: several_paths("banner", &self.banner)?,
            accept_env: each("accept_env", &self.accept_env, values::variable)?,
            permit_sessions: each(
                "permit_sessions",
                &self.permit_sessions,
                values::session_kind,
            )?,
            sftp_server: path("sftp_server", &self.sftp_server)?,
            permit_open: each("permit_open", &self.permit_open, values::host_port)?,
            client_alive_interval: seconds(
                "client_alive_interval",
                &self.client_alive_interval,
                CLIENT_ALIVE,
            )?,
            client_alive_count_max: bounded(
                "client_alive_count_max",
                self.client_alive_count_max,
                1,
                1000,
            )?,
            rekey_bytes: one("rekey_limit", &self.rekey_limit, values::rekey_limit)?,
            rekey_interval: seconds("rekey_interval", &self.rekey_interval, REKEY_INTERVAL)?,
            proxy_protocol_from: each(
                "proxy_protocol_from",
                &self.proxy_protocol_from,
                values::network,
            )?,
            network_user: one("network_user", &self.network_user, values::user_name)?,
            chroot_directory: path("chroot_directory", &self.chroot_directory)?,
        })
    }

    fn listen(&self) -> Result<Vec<SocketAddr>, Wrong> {
        let addresses = each("listen", &self.listen, values::listen)?;
        few("listen", &addresses, MOST_LISTEN)?;
        unrepeated("listen", filled("listen", addresses)?)
    }

    fn host_keys(&self) -> Result<Vec<PathBuf>, Wrong> {
        let paths = each("host_keys", &self.host_keys, values::absolute)?;
        few("host_keys", &paths, MOST_HOST_KEYS)?;
        unrepeated("host_keys", filled("host_keys", paths)?)
    }
}

impl From<&Config> for File {
    fn from(config: &Config) -> Self {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let texts = |items: &mut dyn Iterator<Item = String>| items.collect();
        Self {
            listen: texts(&mut config.listen.iter().map(ToString::to_string)),
            host_keys: texts(&mut config.host_keys.iter().map(|key| path(key))),
            pam_service: config.pam_service.clone(),
            pam_confdir: config.pam_confdir.as_deref().map(path),
            authentication_methods: texts(
                &mut config
                    .authentication_methods
                    .iter()
                    .map(|list| values::write_methods(list)),
            ),
            authorized_keys_file: config.authorized_keys_file.clone(),
            permit_root_login: config.permit_root_login,
            allow_users: config.allow_users.clone(),
            deny_users: config.deny_users.clone(),
            allow_groups: config.allow_groups.clone(),
            deny_groups: config.deny_groups.clone(),
            login_grace_time: values::write_duration(config.login_grace_time),
            max_auth_tries: config.max_auth_tries.into(),
            max_startups: NumberOrText::Text(values::write_max_startups(config.max_startups)),
            per_source_max_startups: config.per_source_max_startups.map(Into::into),
            max_sessions: config.max_sessions.into(),
            banner: config.banner.as_deref().map(path),
            accept_env: config.accept_env.clone(),
            permit_sessions: texts(
                &mut config
                    .permit_sessions
                    .iter()
                    .map(|kind| kind.name().to_owned()),
            ),
            sftp_server: path(&config.sftp_server),
            permit_open: texts(&mut config.permit_open.iter().map(values::write_host_port)),
            client_alive_interval: values::write_duration(config.client_alive_interval),
            client_alive_count_max: config.client_alive_count_max.into(),
            rekey_limit: values::write_rekey_limit(config.rekey_bytes),
            rekey_interval: values::write_duration(config.rekey_interval),
            proxy_protocol_from: texts(
                &mut config.proxy_protocol_from.iter().map(ToString::to_string),
            ),
            network_user: config.network_user.clone(),
            chroot_directory: path(&config.chroot_directory),
        }
    }
}

fn one<T>(
    key: &'static str,
    text: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Wrong> {
    read(text).map_err(|problem| (key, problem))
}

fn each<T>(
    key: &'static str,
    texts: &[String],
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Wrong> {
    texts.iter().map(|text| one(key, text, &read)).collect()
}

fn filled<T>(key: &'static str, list: Vec<T>) -> Result<Vec<T>, Wrong> {
    if list.is_empty() {
        return Err((
            key,
            "an empty list; leave the key out for the default".to_owned(),
        ));
    }
    Ok(list)
}

fn few<T>(key: &'static str, list: &[T], most: usize) -> Result<(), Wrong> {
    if list.len() > most {
        return Err((key, format!("{} items, {most} are the most", list.len())));
    }
    Ok(())
}

fn unrepeated<T: PartialEq + std::fmt::Debug>(
    key: &'static str,
    list: Vec<T>,
) -> Result<Vec<T>, Wrong> {
    for (index, item) in list.iter().enumerate() {
        if list.iter().skip(index + 1).any(|other| other == item) {
            return Err((key, format!("{item:?} is there twice")));
        }
    }
    Ok(list)
}
