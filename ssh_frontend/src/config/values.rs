//! Single values as they are written: what each may be, and how it is written back.
//!
//! Every reader answers an error in words that say what would be right.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::{HostPort, MaxStartups, Method, SessionKind};

/// Most connections that `max_startups` may let in without a login.
const MOST_STARTUPS: u32 = 10_000;
const MEBIBYTE: u64 = 1024 * 1024;

/// An address with a port.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("\"{text}\" is no address with a port, such as \"0.0.0.0:2222\" or \"[::]:2222\"")
    })
}

/// A path from the root, without `..`.
pub fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let up = path.components().any(|part| part == Component::ParentDir);
    if path.is_absolute() && !up && !text.contains('\0') {
        return Ok(path.to_owned());
    }
    Err(format!("\"{text}\" is no absolute path without \"..\""))
}

/// The name of a file in pam.d.
pub fn pam_service(text: &str) -> Result<String, String> {
    // libpam looks for the name in lower case, whatever it is given.
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if !text.is_empty() && !text.starts_with('.') && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{text}\" is no name of a file in pam.d: lower-case letters, digits, \"-\", \"_\", \".\""
    ))
}

/// One of `authentication_methods`: methods separated by commas.
pub fn methods(text: &str) -> Result<Vec<Method>, String> {
    match text {
        "keyboard-interactive" => Ok(vec![Method::KeyboardInteractive]),
        "publickey,keyboard-interactive" => {
            Ok(vec![Method::PublicKey, Method::KeyboardInteractive])
        }
        _ => Err(format!(
            "\"{text}\" has to be \"keyboard-interactive\" or \"publickey,keyboard-interactive\": every login \
             ends with PAM's questions, a key alone opens nothing"
        )),
    }
}

/// The way [`methods`] reads.
#[must_use]
pub fn write_methods(methods: &[Method]) -> String {
    let names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
    names.join(",")
}

/// `authorized_keys_file`: relative to the home or absolute, with `%u`, `%h` and `%%`.
pub fn authorized_keys_file(text: &str) -> Result<String, String> {
    let mut rest = text;
    while let Some((_, token)) = rest.split_once('%') {
        rest = token
            .strip_prefix(['u', 'h', '%'])
            .ok_or_else(|| format!("\"{text}\" may hold %u, %h and %% and no other token"))?;
    }
    let up = Path::new(text)
        .components()
        .any(|part| part == Component::ParentDir);
    if text.is_empty() || up || text.contains(['\0', ' ']) {
        return Err(format!(
            "\"{text}\" is not one file such as \".ssh/authorized_keys\", without \"..\" or blanks"
        ));
    }
    Ok(text.to_owned())
}

/// A name in which `*` and `?` stand for others.
pub fn pattern(text: &str) -> Result<String, String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    if text.is_empty() || text.contains(odd) || text.starts_with('!') {
        return Err(format!(
            "\"{text}\" is no name with \"*\" and \"?\"; several are items of the list, and \"!\" is not known"
        ));
    }
    Ok(text.to_owned())
}

/// The name of an environment variable, with `*` and `?`.
pub fn variable(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_*?".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{text}\" is no name of a variable, such as \"LANG\" or \"LC_*\""
    ))
}

/// Whole seconds, written `"30s"`, `"15m"`, `"1h 30m"`.
pub fn duration(text: &str, seconds: RangeInclusive<u64>) -> Result<Duration, String> {
    let read = humantime::parse_duration(text.trim()).ok();
    read.filter(|read| read.subsec_nanos() == 0 && seconds.contains(&read.as_secs()))
        .ok_or_else(|| {
            let show = |seconds| write_duration(Duration::from_secs(seconds));
            let (low, high) = (show(*seconds.start()), show(*seconds.end()));
            format!(
                "\"{text}\" is no duration from \"{low}\" to \"{high}\", such as \"30s\" or \"15m\""
            )
        })
}

/// The way [`duration`] reads.
#[must_use]
pub fn write_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A number within bounds.
pub fn number(number: i64, bounds: RangeInclusive<u32>) -> Result<u32, String> {
    let read = u32::try_from(number).ok();
    read.filter(|read| bounds.contains(read)).ok_or_else(|| {
        let (low, high) = bounds.into_inner();
        format!("{number} is no number from {low} to {high}")
    })
}

/// `"begin:rate:full"`, or one number for both ends.
pub fn max_startups(text: &str) -> Result<MaxStartups, String> {
    let wrong = || {
        format!(
            "\"{text}\" is neither a number of connections nor \"begin:rate:full\" such as \"10:30:100\", with \
             1 <= begin <= full <= {MOST_STARTUPS} and a rate from 1 to 100"
        )
    };
    let numbers: Result<Vec<u32>, _> = text.split(':').map(str::parse).collect();
    let read = match numbers.as_deref() {
        Ok(&[full]) => MaxStartups {
            begin: full,
            rate: 100,
            full,
        },
        Ok(&[begin, rate, full]) => MaxStartups { begin, rate, full },
        _ => return Err(wrong()),
    };
    let right = (1..=read.full).contains(&read.begin)
        && (1..=100).contains(&read.rate)
        && read.full <= MOST_STARTUPS;
    right.then_some(read).ok_or_else(wrong)
}

/// The way [`max_startups`] reads.
#[must_use]
pub fn write_max_startups(value: MaxStartups) -> String {
    format!("{}:{}:{}", value.begin, value.rate, value.full)
}

/// Bytes, written `"1G"` or `"512M"`: 1 MiB to 1 GiB.
pub fn rekey_limit(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['G', 'g']) {
        Some(digits) => (digits, 1024 * MEBIBYTE),
        None => (text.strip_suffix(['M', 'm']).unwrap_or(""), MEBIBYTE),
    };
    let bytes = digits.parse().ok().and_then(|n: u64| n.checked_mul(unit));
    bytes
        .filter(|bytes| (MEBIBYTE..=1024 * MEBIBYTE).contains(bytes))
        .ok_or_else(|| {
            format!("\"{text}\" is no size from \"1M\" to \"1G\", such as \"512M\"; the time is rekey_interval")
        })
}

/// The way [`rekey_limit`] reads.
#[must_use]
pub fn write_rekey_limit(bytes: u64) -> String {
    format!("{}M", bytes / MEBIBYTE)
}

/// `"host:port"`, either of them `*`.
pub fn host_port(text: &str) -> Result<HostPort, String> {
    let wrong =
        || format!("\"{text}\" is no \"host:port\", such as \"db:5432\", \"*:22\", \"[::1]:80\"");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    // Colons without brackets: an IPv6 address whose last part was taken for the port.
    let odd = |c: char| c.is_whitespace() || c.is_control() || "[]/".contains(c);
    let host = match bare {
        Some(address) if address.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) => address,
        None if !host.is_empty() && !host.contains(':') && !host.contains(odd) => host,
        _ => return Err(wrong()),
    };
    let port = match port {
        "*" => None,
        port => Some(
            port.parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(wrong)?,
        ),
    };
    Ok(HostPort {
        host: (host != "*").then(|| host.to_owned()),
        port,
    })
}

/// The way [`host_port`] reads.
#[must_use]
pub fn write_host_port(value: &HostPort) -> String {
    let host = value.host.as_deref().unwrap_or("*");
    let port = value.port.map_or("*".to_owned(), |port| port.to_string());
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// A network in CIDR notation, or one address.
pub fn network(text: &str) -> Result<IpNet, String> {
    let read = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let read = read.map_err(|_| {
        format!(
            "\"{text}\" is no network, such as \"10.0.0.0/8\", \"2001:db8::/32\" or \"192.0.2.7\""
        )
    })?;
    // Sources are compared in their IPv4 form, so this one would match nobody.
    if read.addr().to_canonical().is_ipv4() && read.addr().is_ipv6() {
        return Err(format!(
            "\"{text}\" is an IPv4 network in IPv6 form; write it as IPv4"
        ));
    }
    Ok(read)
}

/// What a session may be.
pub fn session_kind(text: &str) -> Result<SessionKind, String> {
    let kind = SessionKind::ALL
        .into_iter()
        .find(|kind| kind.name() == text);
    kind.ok_or_else(|| format!("\"{text}\" is none of \"shell\", \"exec\", \"sftp\""))
}

/// The name of a user of the system.
pub fn user_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if !text.is_empty() && text.len() <= 32 && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!("\"{text}\" is no name of a user of the system"))
}
