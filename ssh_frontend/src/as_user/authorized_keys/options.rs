//! The options before a key: what they take away, and whether they hold.

use std::net::IpAddr;

use super::source;
use crate::as_user::KeyLimits;

/// Longest part of an unknown option that a refusal quotes, in characters.
const LONGEST_QUOTE: usize = 40;

/// What the options leave of a login from `source`.
///
/// # Errors
/// The option that is not understood, is not honoured here, or does not hold.
pub fn limits(options: &[u8], source: IpAddr) -> Result<KeyLimits, String> {
    let text = std::str::from_utf8(options)
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or("options that are not UTF-8 text")?;
    let mut limits = KeyLimits::default();
    let mut from = None;
    for option in split(text)? {
        apply(&mut limits, &mut from, &option)?;
    }
    match from {
        Some(patterns) if !source::holds(&patterns, source)? => {
            Err("option from does not name the client's address".to_owned())
        }
        _ => Ok(limits),
    }
}

/// Later options win over earlier ones, as `restrict,pty` wants it.
fn apply(limits: &mut KeyLimits, from: &mut Option<String>, option: &Opt) -> Result<(), String> {
    match (option.name.as_str(), &option.value) {
        ("restrict", None) => {
            limits.no_terminal = true;
            limits.no_forwarding = true;
        }
        ("pty", None) => limits.no_terminal = false,
        ("no-pty", None) => limits.no_terminal = true,
        ("port-forwarding", None) => limits.no_forwarding = false,
        ("no-port-forwarding", None) => limits.no_forwarding = true,
        // There is neither agent nor X11 forwarding, nor an rc file: nothing to allow or to take away.
        ("agent-forwarding" | "no-agent-forwarding", None)
        | ("x11-forwarding" | "no-x11-forwarding", None)
        | ("user-rc" | "no-user-rc", None) => {}
        ("command", Some(value)) => set_once(&mut limits.command, value, option)?,
        ("from", Some(value)) => set_once(from, value, option)?,
        ("permitopen", Some(value)) if is_host_and_port(value) => {
            limits.permit_open.push(value.clone());
        }
        ("permitopen", Some(_)) => return Err("option permitopen is not host:port".to_owned()),
        (name, _) => {
            let name: String = name.chars().take(LONGEST_QUOTE).collect();
            return Err(format!("option {name} is not supported"));
        }
    }
    Ok(())
}

fn set_once(place: &mut Option<String>, value: &str, option: &Opt) -> Result<(), String> {
    if place.replace(value.to_owned()).is_some() {
        return Err(format!("option {} is given twice", option.name));
    }
    Ok(())
}

/// `host:port`, `[address]:port`; `*` is any port.
fn is_host_and_port(value: &str) -> bool {
    let Some((host, port)) = value.rsplit_once(':') else {
        return false;
    };
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']').unwrap_or_default(),
        None if host.contains(':') => return false,
        None => host,
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = port == "*" || digits && port.parse::<u16>().is_ok_and(|port| port > 0);
    is_port && !host.is_empty() && !host.contains(['[', ']'])
}

/// One option, with what was between its quotes.
#[derive(Debug, PartialEq, Eq)]
struct Opt {
    /// In lower case: sshd does not tell them apart.
    name: String,
    value: Option<String>,
}

/// Takes the options apart. Every comma has one behind it.
fn split(mut text: &str) -> Result<Vec<Opt>, String> {
    let mut options = Vec::new();
    while !text.is_empty() {
        let (option, rest) = first(text)?;
        options.push(option);
        text = match rest.strip_prefix(',') {
            Some("") => return Err("options that end in a comma".to_owned()),
            Some(more) => more,
            None if rest.is_empty() => rest,
            None => return Err("something behind an option that is no comma".to_owned()),
        };
    }
    Ok(options)
}

fn first(text: &str) -> Result<(Opt, &str), String> {
    let end = text.find(['=', ',', '"']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let name = name.to_ascii_lowercase();
    if name.is_empty() {
        return Err("an option without a name".to_owned());
    }
    let Some(value) = rest.strip_prefix('=') else {
        return Ok((Opt { name, value: None }, rest));
    };
    let quoted = value
        .strip_prefix('"')
        .ok_or("an option whose value is not in quotes")?;
    let (value, rest) = unquote(quoted)?;
    let value = Some(value);
    Ok((Opt { name, value }, rest))
}

/// Up to the closing quote, and what is behind it. `\"` is a quote; any other backslash is itself.
fn unquote(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Ok((value, characters.as_str())),
            '\\' if characters.as_str().starts_with('"') => {
                value.push('"');
                characters.next();
            }
            other => value.push(other),
        }
    }
    Err("a quote that does not end".to_owned())
}
