//! `" LAST0 host unix` to `" LAST9`: from where the user logged in lately, for `grace_period`.

use super::number::unsigned;
use super::text::SecretFile;
use crate::totp::UnixTime;

const KEYS: [&str; 10] = [
    "LAST0", "LAST1", "LAST2", "LAST3", "LAST4", "LAST5", "LAST6", "LAST7", "LAST8", "LAST9",
];

/// Whether a login from this host, at most `seconds` ago, is recorded. One in the future is not believed:
/// the clock was wrong, and would go on letting in until it is right again.
pub(super) fn holds(file: &SecretFile, host: &[u8], seconds: u64, now: UnixTime) -> bool {
    let entries = KEYS.iter().filter_map(|key| entry(file, key));
    let mut ours = entries.filter(|(there, _)| *there == host);
    // The first one counts, as a write replaces the first one.
    ours.next()
        .is_some_and(|(_, at)| at <= now && now.since(at) < seconds)
}

/// Records a login: in the host's own entry, a free one, or the one used longest ago.
pub(super) fn remember(file: &mut SecretFile, host: &[u8], now: UnixTime) {
    let own = |key: &&&str| entry(file, key).is_some_and(|(there, _)| there == host);
    let free = |key: &&&str| file.option(key).is_none();
    let age = |key: &&&str| entry(file, key).map_or(UnixTime(0), |(_, at)| at);
    let key = KEYS
        .iter()
        .find(own)
        .or_else(|| KEYS.iter().find(free))
        .or_else(|| KEYS.iter().min_by_key(age));
    if let Some(key) = key.copied() {
        let mut value = host.to_vec();
        value.extend_from_slice(format!(" {}", now.0).as_bytes());
        file.set_option(key, &value);
    }
}

/// Whether a host can be written down: one with white space would read back as another.
pub(super) fn is_plain(host: &[u8]) -> bool {
    !host.is_empty() && host.len() <= 255 && host.iter().all(u8::is_ascii_graphic)
}

fn entry<'a>(file: &'a SecretFile, key: &str) -> Option<(&'a [u8], UnixTime)> {
    let mut words = file.option(key)?.split(|byte| b" \t".contains(byte));
    let host = words.next()?;
    let time = words.find(|word| !word.is_empty())?;
    let (time, length) = unsigned(time)?;
    (length > 0).then_some((host, UnixTime(time)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn file(options: &str) -> SecretFile {
        SecretFile::new(Zeroizing::new(format!("S\n{options}").into())).unwrap()
    }

    #[test]
    fn grace_is_for_the_whole_host_and_ends() {
        let file = file("\" LAST3 192.0.2.7 1000\n");
        let holds = |host: &str, now| holds(&file, host.as_bytes(), 60, UnixTime(now));
        assert!(holds("192.0.2.7", 1000));
        assert!(holds("192.0.2.7", 1059));
        assert!(!holds("192.0.2.7", 1060));
        assert!(!holds("192.0.2.7", 999), "the future is not believed");
        assert!(!holds("192.0.2.70", 1000));
        assert!(!holds("192.0.2.", 1000));
        assert!(!holds("%s", 1000));
    }

    #[test]
    fn grace_holds_up_to_the_end_of_time() {
        let last = UnixTime(u64::MAX);
        let mut file = file("");
        remember(&mut file, b"192.0.2.7", last);
        assert!(holds(&file, b"192.0.2.7", 60, last));
        assert!(!holds(&file, b"192.0.2.7", 0, last));
    }

    #[test]
    fn the_oldest_entry_makes_room() {
        let mut file = file("");
        for number in 0..10 {
            remember(
                &mut file,
                format!("host{number}").as_bytes(),
                UnixTime(1000 + number),
            );
        }
        remember(&mut file, b"host0", UnixTime(2000));
        remember(&mut file, b"new", UnixTime(2001));
        assert_eq!(file.option("LAST0"), Some(&b"host0 2000"[..]));
        assert_eq!(file.option("LAST1"), Some(&b"new 2001"[..]));
        assert_eq!(file.option("LAST2"), Some(&b"host2 1002"[..]));
    }
}
