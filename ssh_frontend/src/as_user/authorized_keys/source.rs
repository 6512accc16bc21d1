//! `from="..."`: which addresses a key may be used from.
//!
//! Addresses, networks, and patterns with `*` and `?` over the address as text, each with `!` before it to
//! exclude. Host names never match: what a name service says about an address is its owner's word.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether a list allows the address: some pattern names it, and none excludes it.
///
/// # Errors
/// For what can only be a mistake, and would exclude nobody where it was meant to: an empty entry, a
/// network that is none or has bits behind its length, IPv4 written as IPv6.
pub fn holds(list: &str, source: IpAddr) -> Result<bool, String> {
    let source = source.to_canonical();
    let mut named = false;
    for entry in list.split(',') {
        let (excludes, pattern) = match entry.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, entry),
        };
        if matches(pattern, source)? {
            if excludes {
                return Ok(false);
            }
            named = true;
        }
    }
    Ok(named)
}

fn matches(pattern: &str, source: IpAddr) -> Result<bool, String> {
    if pattern.is_empty() {
        return Err("option from has an empty entry".to_owned());
    }
    if let Ok(address) = pattern.parse::<IpAddr>() {
        return Ok(address.to_canonical() == source);
    }
    if pattern.contains('/') {
        return network(pattern, source);
    }
    let pattern = pattern.to_ascii_lowercase();
    Ok(wildcard(pattern.as_bytes(), source.to_string().as_bytes()))
}

/// IPv4 inside of IPv6 is refused: the source is compared as IPv4.
fn network(pattern: &str, source: IpAddr) -> Result<bool, String> {
    pattern
        .parse::<IpNet>()
        .ok()
        .filter(|network| network.addr() == network.network())
        .filter(|network| network.addr().to_canonical() == network.addr())
        .map(|network| network.contains(&source))
        .ok_or_else(|| "option from has a network that is none".to_owned())
}

/// `*` is any text, `?` any one character. Goes back to the last star only, so the time is bounded by the
/// product of both lengths.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, text);
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (rest.split_first(), left.split_first()) {
            (Some((b'*', after)), _) => {
                star = Some((after, left));
                rest = after;
            }
            (Some((wanted, after)), Some((byte, behind))) if *wanted == b'?' || wanted == byte => {
                (rest, left) = (after, behind);
            }
            (None, None) => return true,
            _ => match star {
                Some((after, [_, behind @ ..])) => {
                    star = Some((after, behind));
                    (rest, left) = (after, behind);
                }
                _ => return false,
            },
        }
    }
}
