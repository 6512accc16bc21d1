//! Where a connection comes from, and the log lines about it.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use otp_core::shown::Word;

use crate::config::Config;
use crate::log::Destination;

/// One connection, as the monitor sees it.
#[derive(Debug)]
pub struct Place {
    /// The configuration.
    pub config: Config,
    /// The client: the other end of the connection, or whom a trusted proxy named.
    pub source: SocketAddr,
    /// The address it was accepted on.
    pub local: SocketAddr,
    /// Where log lines go.
    pub log: Destination,
}

impl Place {
    /// With addresses as people write them: IPv4 inside IPv6 becomes IPv4.
    #[must_use]
    pub fn new(config: Config, source: SocketAddr, local: SocketAddr, log: Destination) -> Self {
        let plain = |address: SocketAddr| {
            // Also without the scope of a link, which is no part of an address for logs and rules.
            SocketAddr::new(address.ip().to_canonical(), address.port())
        };
        Self {
            config,
            source: plain(source),
            local: plain(local),
            log,
        }
    }

    /// The value of SSH_CONNECTION: client, its port, server, its port.
    #[must_use]
    pub fn connection(&self) -> String {
        let (source, local) = (self.source, self.local);
        format!(
            "{} {} {} {}",
            source.ip(),
            source.port(),
            local.ip(),
            local.port()
        )
    }

    /// `result=RESULT user=USER source=ADDRESS port=PORT`, and the details. `user` is a name that the system
    /// knows, or none: people type passwords where their names belong.
    #[must_use]
    pub fn line(&self, result: &str, user: Option<&str>, details: &[(&str, &str)]) -> String {
        let source = self.source;
        let user = Word(user.unwrap_or("unknown"));
        let mut line = format!(
            "result={result} user={user} source={} port={}",
            source.ip(),
            source.port()
        );
        for (key, value) in details {
            // Writing to a String cannot fail.
            let _ = match *key {
                "detail" => write!(line, " detail=\"{}\"", value.replace('"', "'")),
                _ => write!(line, " {key}={}", Word(value)),
            };
        }
        line
    }

    /// Somebody is refused.
    pub fn refused(&self, user: Option<&str>, reason: &str) {
        self.log
            .info(&self.line("refused", user, &[("reason", reason)]));
    }

    /// Something of the host's is wrong.
    pub fn failed(&self, user: Option<&str>, reason: &str, detail: &dyn fmt::Display) {
        let detail = detail.to_string();
        let details = [("reason", reason), ("detail", detail.as_str())];
        self.log.error(&self.line("error", user, &details));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Method, SessionKind};

    /// On a connection from a documentation address, with everything that tests want permitted.
    #[allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, but not in what they call.
    pub(in crate::monitor) fn place() -> Place {
        let config = Config {
            authentication_methods: vec![vec![Method::KeyboardInteractive]],
            permit_root_login: true,
            permit_sessions: vec![SessionKind::Shell, SessionKind::Exec, SessionKind::Sftp],
            ..Config::parse("", std::path::Path::new("test")).unwrap()
        };
        let source = "[::ffff:192.0.2.7]:40000".parse().unwrap();
        let local = "198.51.100.1:2222".parse().unwrap();
        Place::new(config, source, local, Destination::Stderr)
    }

    #[test]
    fn an_address_of_ipv4_inside_ipv6_is_written_as_ipv4() {
        assert_eq!(place().connection(), "192.0.2.7 40000 198.51.100.1 2222");
    }

    #[test]
    fn a_line_has_no_room_for_forged_fields() {
        let line = place().line(
            "refused",
            Some("a b=c\n\"d"),
            &[("reason", "x y"), ("detail", "say \"no\"")],
        );
        assert_eq!(
            line,
            "result=refused user=a_b_c__d source=192.0.2.7 port=40000 reason=x_y detail=\"say 'no'\""
        );
    }

    #[test]
    fn a_name_that_nobody_has_is_not_in_the_line() {
        let line = place().line("refused", None, &[]);
        assert_eq!(
            line,
            "result=refused user=unknown source=192.0.2.7 port=40000"
        );
    }
}
