//! The PROXY protocol, versions 1 and 2: who is behind a load balancer.
//!
//! The header comes before the first byte of SSH, and exactly the header is taken from the socket. Only the
//! monitor reads it, and only from networks that `proxy_protocol_from` names: anybody can write one.
//! Specification: haproxy's `doc/proxy-protocol.txt`, sections 2.1 and 2.2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Instant;
use std::{error, fmt, io};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};

/// Longest line of version 1, with its CR LF.
const LONGEST_TEXT: usize = 107;
/// Longest header of version 2 that is taken, in bytes. Addresses need 52; the rest are a proxy's notes on
/// TLS and the like, which are passed over.
const LONGEST_BINARY: usize = 4096;
const TEXT_START: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED: usize = 16;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header, and all of it belongs to the header.
    NeedMore,
    /// A header.
    Header(Header),
}

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its bytes; what follows is SSH.
    pub length: usize,
    /// Who connected to the proxy. None for a connection of the proxy's own (a health check), or where the
    /// proxy does not know.
    pub source: Option<SocketAddr>,
}

/// Why there is no header.
#[derive(Debug)]
pub enum ProxyError {
    /// These bytes begin no header.
    NotAHeader,
    /// It is longer than any header that makes sense.
    TooLong,
    /// What the header says makes no sense.
    Malformed(&'static str),
    /// It did not come in time.
    TimedOut,
    /// The connection ended before it.
    Closed,
    /// The system refused.
    Io(io::Error),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAHeader => {
                f.write_str("no PROXY header, though proxy_protocol_from names the peer")
            }
            Self::TooLong => f.write_str("a PROXY header that is too long"),
            Self::Malformed(what) => write!(f, "a malformed PROXY header: {what}"),
            Self::TimedOut => f.write_str("the PROXY header did not come in time"),
            Self::Closed => f.write_str("the connection ended before its PROXY header"),
            Self::Io(error) => write!(f, "reading the PROXY header: {error}"),
        }
    }
}

impl error::Error for ProxyError {}

/// Takes the header from a connection, and not one byte of what follows.
///
/// # Errors
/// All of [`ProxyError`].
pub fn read(connection: impl AsFd, deadline: Instant) -> Result<Header, ProxyError> {
    let mut taken = Vec::new();
    loop {
        wait(&connection, deadline)?;
        let mut seen = [0; LONGEST_BINARY];
        let (ahead, _) = receive(&connection, &mut seen, RecvFlags::PEEK)?;
        let before = taken.len();
        taken.extend_from_slice(ahead);
        let length = match parse(&taken)? {
            Parsed::Header(header) => header.length,
            // The start of a header is all header, so it can be taken and does not wake us again.
            Parsed::NeedMore => taken.len(),
        };
        let mine = ahead.len().min(length.saturating_sub(before));
        let mut rest = vec![0; mine];
        let (_, count) = receive(&connection, &mut rest, RecvFlags::empty())?;
        if count != mine {
            return Err(ProxyError::Closed);
        }
        if let Parsed::Header(header) = parse(&taken)? {
            return Ok(header);
        }
    }
}

fn wait(connection: &impl AsFd, deadline: Instant) -> Result<(), ProxyError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ProxyError::TimedOut);
        }
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(connection, PollFlags::IN)], left.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(ProxyError::Io(error.into())),
        }
    }
}

/// What came, and how much.
fn receive<'b>(
    connection: &impl AsFd,
    buffer: &'b mut [u8],
    flags: RecvFlags,
) -> Result<(&'b [u8], usize), ProxyError> {
    let received = rustix::io::retry_on_intr(|| recv(connection, &mut *buffer, flags));
    match received {
        Ok((0, _)) => Err(ProxyError::Closed),
        Ok((count, _)) => Ok((buffer.get(..count).unwrap_or_default(), count)),
        Err(error) => Err(ProxyError::Io(error.into())),
    }
}

/// Looks at the first bytes of a connection.
///
/// # Errors
/// [`ProxyError::NotAHeader`] at the first byte that no header has there, [`ProxyError::TooLong`],
/// [`ProxyError::Malformed`].
pub fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    if starts_alike(bytes, SIGNATURE) {
        return parse_binary(bytes);
    }
    if starts_alike(bytes, TEXT_START) {
        return parse_text(bytes);
    }
    Err(ProxyError::NotAHeader)
}

/// Whether one begins with the other, as far as there are bytes of both.
fn starts_alike(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

fn parse_text(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let line = bytes.get(..LONGEST_TEXT).unwrap_or(bytes);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        if bytes.len() >= LONGEST_TEXT {
            return Err(ProxyError::TooLong);
        }
        return Ok(Parsed::NeedMore);
    };
    let text = line.get(TEXT_START.len()..end).unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| ProxyError::Malformed("not text"))?;
    Ok(Parsed::Header(Header {
        length: end + 2,
        source: text_source(text)?,
    }))
}

fn text_source(text: &str) -> Result<Option<SocketAddr>, ProxyError> {
    let words: Vec<&str> = text.split(' ').collect();
    match *words.as_slice() {
        // Whatever follows is to be passed over.
        ["UNKNOWN", ..] => Ok(None),
        ["TCP4", source, target, source_port, target_port] => {
            let (_, source) = (ip::<Ipv4Addr>(target)?, ip::<Ipv4Addr>(source)?);
            port(target_port)?;
            Ok(Some(address(source.into(), port(source_port)?)))
        }
        ["TCP6", source, target, source_port, target_port] => {
            let (_, source) = (ip::<Ipv6Addr>(target)?, ip::<Ipv6Addr>(source)?);
            port(target_port)?;
            Ok(Some(address(source.into(), port(source_port)?)))
        }
        _ => Err(ProxyError::Malformed(
            "not TCP4, TCP6 or UNKNOWN with its parts",
        )),
    }
}

fn ip<T: std::str::FromStr>(text: &str) -> Result<T, ProxyError> {
    text.parse()
        .map_err(|_| ProxyError::Malformed("an address"))
}

fn port(text: &str) -> Result<u16, ProxyError> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let port = text.parse().ok().filter(|_| plain);
    port.ok_or(ProxyError::Malformed("a port"))
}

fn parse_binary(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return Ok(Parsed::NeedMore);
    };
    let [.., command, family, high, low] = *fixed;
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    let proxied = match command {
        0x20 => false,
        0x21 => true,
        _ => return Err(ProxyError::Malformed("an unknown version or command")),
    };
    if length > LONGEST_BINARY {
        return Err(ProxyError::TooLong);
    }
    let Some(addresses) = bytes.get(FIXED..length) else {
        return Ok(Parsed::NeedMore);
    };
    let source = match proxied {
        true => binary_source(family, addresses)?,
        false => None,
    };
    Ok(Parsed::Header(Header { length, source }))
}

fn binary_source(family: u8, addresses: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let short = || ProxyError::Malformed("too short for its addresses");
    match family {
        0x00 => Ok(None),
        // Source, target, source port, target port.
        0x11 => {
            let &[a, b, c, d, _, _, _, _, high, low, _, _] =
                addresses.first_chunk().ok_or_else(short)?;
            let source = Ipv4Addr::new(a, b, c, d);
            let port = u16::from_be_bytes([high, low]);
            Ok(Some(address(source.into(), port)))
        }
        0x21 => {
            let addresses = addresses.first_chunk::<36>().ok_or_else(short)?;
            let source = addresses.first_chunk::<16>().ok_or_else(short)?;
            let [high, low, _, _] = addresses.last_chunk().ok_or_else(short)?;
            let port = u16::from_be_bytes([*high, *low]);
            Ok(Some(address(Ipv6Addr::from(*source).into(), port)))
        }
        _ => Err(ProxyError::Malformed("neither TCP over IPv4 nor over IPv6")),
    }
}

/// IPv4 in IPv6 form is IPv4: limits and logs shall see one address, not two.
fn address(source: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(source.to_canonical(), port)
}

#[cfg(test)]
mod tests;
