//! Where an attempt comes from, as far as the throttle and the rules may believe it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The origin of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A network address, v4-mapped IPv6 already turned into IPv4.
    Address(IpAddr),
    /// A terminal of this host.
    Local,
    /// Nothing that can be trusted to name the same place twice: a host name, say.
    Opaque,
}

/// What the throttle counts by. IPv6 by /64, for a single host owns that many addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// One IPv4 address.
    V4(u32),
    /// The upper 64 bits of an IPv6 address.
    V6Net(u64),
    /// A terminal of this host.
    Local,
    /// Never known, never in grace, matched by no `from`.
    Opaque,
}

impl Origin {
    /// Reads PAM_RHOST, the SSH_CONNECTION variable of the PAM environment, and PAM_TTY.
    ///
    /// An address in PAM_RHOST counts first, then the first field of SSH_CONNECTION (sshd puts a
    /// host name into PAM_RHOST under `UseDNS yes`). A tty counts as local only when no remote host
    /// was named: sshd sets PAM_TTY to `ssh`, and a name that does not parse must not become "here".
    #[must_use]
    pub fn from_pam(
        rhost: Option<&[u8]>,
        ssh_connection: Option<&[u8]>,
        tty: Option<&[u8]>,
    ) -> Self {
        let rhost = rhost.filter(|bytes| !bytes.is_empty());
        let first_field = ssh_connection.and_then(|value| value.split(|byte| *byte == b' ').next());
        if let Some(address) = rhost
            .and_then(address)
            .or_else(|| first_field.and_then(address))
        {
            return Self::Address(address);
        }
        if rhost.is_none() && tty.is_some_and(is_terminal) {
            Self::Local
        } else {
            Self::Opaque
        }
    }

    /// What the throttle counts this origin under.
    #[must_use]
    pub fn source(self) -> Source {
        match self {
            Self::Address(IpAddr::V4(address)) => Source::V4(address.to_bits()),
            Self::Address(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                let upper = [a, b, c, d]
                    .iter()
                    .fold(0, |bits, part| bits << 16 | u64::from(*part));
                Source::V6Net(upper)
            }
            Self::Local => Source::Local,
            Self::Opaque => Source::Opaque,
        }
    }
}

fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    // A zone ("fe80::1%eth0") says which interface of ours, not who. IPv4 has none, so there a percent
    // sign is part of a name.
    let address = match text.split_once('%') {
        Some((bare, _)) => IpAddr::V6(bare.parse().ok()?),
        None => text.parse().ok()?,
    };
    Some(address.to_canonical())
}

/// Services name odd things as their tty: `ssh`, `ftp`, an X display. Only a terminal is here.
fn is_terminal(tty: &[u8]) -> bool {
    [&b"/dev/"[..], b"tty", b"pts/", b"hvc", b"console"]
        .iter()
        .any(|prefix| tty.starts_with(prefix))
}

/// The complete address, `local` or `opaque`: the `source=` of the log.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Local => f.write_str("local"),
            Self::Opaque => f.write_str("opaque"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(bits) => write!(f, "{}", Ipv4Addr::from_bits(bits)),
            Self::V6Net(upper) => {
                write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(upper) << 64))
            }
            Self::Local => f.write_str("local"),
            Self::Opaque => f.write_str("opaque"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_by_what_pam_says() {
        for (rhost, ssh_connection, tty, expected) in [
            (Some("192.0.2.7"), None, Some("ssh"), "192.0.2.7"),
            (Some("::ffff:192.0.2.7"), None, Some("ssh"), "192.0.2.7"),
            (Some("2001:db8::1"), None, None, "2001:db8::1"),
            (Some("fe80::1%eth0"), None, None, "fe80::1"),
            (
                Some("host.example.org"),
                Some("192.0.2.9 1 2 3"),
                Some("ssh"),
                "192.0.2.9",
            ),
            (Some("host.example.org"), None, Some("ssh"), "opaque"),
            (Some("host.example.org"), None, Some("/dev/pts/1"), "opaque"),
            (Some("0x7f.1"), None, Some("/dev/tty1"), "opaque"),
            (Some(""), None, Some("/dev/tty1"), "local"),
            (None, None, Some("/dev/pts/0"), "local"),
            (None, None, Some("tty1"), "local"),
            (None, None, Some("ssh"), "opaque"),
            (None, None, Some(":10"), "opaque"),
            (None, None, Some("dovecot"), "opaque"),
            (Some("192.0.2.1%anything.example"), None, None, "opaque"),
            (None, None, None, "opaque"),
        ] {
            let bytes = |text: Option<&'static str>| text.map(str::as_bytes);
            let origin = Origin::from_pam(bytes(rhost), bytes(ssh_connection), bytes(tty));
            assert_eq!(
                origin.to_string(),
                expected,
                "{rhost:?} {ssh_connection:?} {tty:?}"
            );
        }
    }

    #[test]
    fn ipv6_counts_by_64() {
        let origin = |text: &str| Origin::from_pam(Some(text.as_bytes()), None, None).source();
        assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::"));
        assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
        assert_eq!(origin("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_ne!(origin("192.0.2.7"), origin("192.0.2.8"));
    }
}
