//! authorized_keys: a line with the client's address, then the file.

use std::net::{IpAddr, Ipv4Addr};

use ssh_frontend::as_user::authorized_keys::{OfferedKey, judge};
use ssh_frontend::as_user::{KeyLimits, KeyVerdict};

const ALGORITHM: &str = "ssh-ed25519";
const KEY: &[u8] = b"key!";
const BASE64: &str = "a2V5IQ==";

pub fn authorized_keys(data: &[u8]) {
    let (address, file) = crate::split_at_byte(data, b'\n');
    let address = std::str::from_utf8(address).ok();
    let source = address.and_then(|text| text.parse().ok());
    let source: IpAddr = source.unwrap_or(Ipv4Addr::new(192, 0, 2, 1).into());
    let file = file.unwrap_or_default();
    let key = OfferedKey::new(ALGORITHM, KEY);
    let verdict = judge(file, &key, source);
    let text = String::from_utf8_lossy(file);
    if verdict != KeyVerdict::NotFound {
        assert!(text.contains(ALGORITHM) && text.contains(BASE64));
    }
    if !text.contains('"') && std::str::from_utf8(file).is_ok() {
        assert_eq!(simplified(&verdict), without_quotes(&text));
    } else if !text.contains('\n') {
        one_line_with_quotes(&text, &verdict, source);
    }
    let unlike_any = judge(file, &OfferedKey::new(ALGORITHM, b"another key"), source);
    if !text.contains("YW5vdGhlciBrZXk") {
        assert_eq!(unlike_any, KeyVerdict::NotFound);
    }
}

fn simplified(verdict: &KeyVerdict) -> Option<Result<KeyLimits, ()>> {
    match verdict {
        KeyVerdict::NotFound => None,
        KeyVerdict::Found(limits) => Some(Ok(limits.clone())),
        KeyVerdict::Refused(_) => Some(Err(())),
    }
}

/// The same file, read by somebody who does not know of quotes.
fn without_quotes(text: &str) -> Option<Result<KeyLimits, ()>> {
    let mut refused = None;
    for line in text.split('\n') {
        let line = line.trim_matches(|letter: char| letter.is_ascii_whitespace());
        let words: Vec<&str> = line
            .split([' ', '\t'])
            .filter(|word| !word.is_empty())
            .collect();
        let options = match words[..] {
            [first, ..] if first.starts_with('#') => continue,
            [ALGORITHM, BASE64, ..] => "",
            [options, ALGORITHM, BASE64, ..] => options,
            _ => continue,
        };
        match flags(options) {
            Ok(limits) => return Some(Ok(limits)),
            Err(()) => refused = Some(Err(())),
        }
    }
    refused
}

fn flags(options: &str) -> Result<KeyLimits, ()> {
    let mut limits = KeyLimits::default();
    let options = options.to_ascii_lowercase();
    for option in options.split(',').filter(|_| !options.is_empty()) {
        match option {
            "restrict" => (limits.no_terminal, limits.no_forwarding) = (true, true),
            "pty" => limits.no_terminal = false,
            "no-pty" => limits.no_terminal = true,
            "port-forwarding" => limits.no_forwarding = false,
            "no-port-forwarding" => limits.no_forwarding = true,
            "agent-forwarding"
            | "no-agent-forwarding"
            | "x11-forwarding"
            | "no-x11-forwarding"
            | "user-rc"
            | "no-user-rc" => {}
            _ => return Err(()),
        }
    }
    Ok(limits)
}

/// What one option at the beginning takes away is taken away, whatever stands behind it.
fn one_line_with_quotes(line: &str, verdict: &KeyVerdict, source: IpAddr) {
    let KeyVerdict::Found(limits) = verdict else {
        return;
    };
    let line = line.trim_ascii().to_ascii_lowercase();
    assert!(!line.starts_with("cert-authority") && !line.starts_with("environment="));
    assert!(!line.starts_with("command=") || limits.command.is_some());
    assert!(!line.starts_with("permitopen=") || !limits.permit_open.is_empty());
    if let Some(rest) = line.strip_prefix("from=\"")
        && let Some((only, _)) = rest.split_once('"')
        && let Ok(address) = only.parse::<IpAddr>()
    {
        assert_eq!(address.to_canonical(), source.to_canonical());
    }
}
