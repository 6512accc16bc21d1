//! A user's own file: a line with the time and what is typed, then the file.
//!
//! `@N` as what is typed is the code that is right N positions from where the file says the device is.

use std::fmt::Write as _;

use otp_core::hotp::{Algorithm, Digits, Generator};
use otp_core::store::google_authenticator::decide::{
    Attempt, Glance, InFront, Proof, Verdict, candidates, decide, glance,
};
use otp_core::store::google_authenticator::settings::{self, Kind};
use otp_core::store::google_authenticator::text::SecretFile;
use otp_core::totp::UnixTime;
use zeroize::Zeroizing;

const HOST: &[u8] = b"192.0.2.7";

pub fn google_authenticator(data: &[u8]) {
    let (head, text) = crate::split_at_byte(data, b'\n');
    let text = text.unwrap_or_default();
    let Some(file) = SecretFile::new(Zeroizing::new(text.to_vec())) else {
        assert!(text.is_empty() || text.contains(&0) || text.len() > 65_536);
        return;
    };
    let (now, typed) = crate::split_at_byte(head, b' ');
    let now = UnixTime(number(now).unwrap_or(1_700_000_000));
    let typed = what_is_typed(typed.unwrap_or_default(), &file, now);
    let candidates = candidates(&typed, InFront::Anything);
    let attempt = Attempt {
        candidates: &candidates,
        counted: false,
        known: false,
        remember: Some(HOST),
    };
    let (verdict, new) = decide(&file, &attempt, now);
    let Some(new) = new else {
        return harmless(verdict, &file, now);
    };
    // What is written is a file again.
    let again = SecretFile::new(Zeroizing::new(new.bytes().to_vec()));
    assert_eq!(again.as_ref(), Some(&new));
    if has_usual_line_ends(text) {
        keeps_its_meaning(&file, &new, verdict);
    }
    if let Verdict::Accepted { proof, .. } = verdict {
        let remembered = glance(&new, Some((HOST, 3600)), now);
        assert_ne!(remembered, Glance::Ask, "a grace that is not found again");
        used_up(proof, &file, &new, &attempt, now);
    }
}

/// The peer takes a lone CR for a line end in one place and not in another, and so does ours.
fn has_usual_line_ends(text: &[u8]) -> bool {
    let pairs = text.windows(2).filter(|pair| *pair == b"\r\n").count();
    text.iter().filter(|byte| **byte == b'\r').count() == pairs
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn what_is_typed(typed: &[u8], file: &SecretFile, now: UnixTime) -> Vec<u8> {
    let Some(offset) = typed.strip_prefix(b"@") else {
        return typed.to_vec();
    };
    let offset = i64::from(number::<i8>(offset).unwrap_or_default());
    let position = match settings::kind(file) {
        Kind::Counter(counter) => counter,
        Kind::Time | Kind::Neither => {
            let step = settings::step_size(file).unwrap_or(30).unsigned_abs();
            (now.0 / step).saturating_add_signed(settings::skew(file))
        }
    };
    let Some(secret) = file.secret() else {
        return Vec::new();
    };
    let generator = Generator::new(&secret, Algorithm::Sha1, Digits::SIX);
    let code = generator.code(position.saturating_add_signed(offset));
    code.expose().as_bytes().to_vec()
}

/// Nobody is let in without a trace, unless the file itself says that codes may be used again, and the login of this
/// very second from this host is on record already.
fn harmless(verdict: Verdict, file: &SecretFile, now: UnixTime) {
    let Verdict::Accepted { proof, .. } = verdict else {
        return;
    };
    let may_be_used_again = proof == Proof::Totp && file.option("DISALLOW_REUSE").is_none();
    let is_on_record = glance(file, Some((HOST, 1)), now) == Glance::Grace;
    let text = shown(file);
    assert!(
        may_be_used_again && is_on_record,
        "{proof:?} left no trace in {text}"
    );
}

fn keeps_its_meaning(old: &SecretFile, new: &SecretFile, verdict: Verdict) {
    assert_eq!(new.secret(), old.secret());
    // On a line of its own: within another option's value the words go when that is written.
    if old.option("TOTP_AUTH").is_some() {
        assert!(new.is_time_based());
    }
    for key in [
        "STEP_SIZE",
        "WINDOW_SIZE",
        "TIME_SKEW",
        "RESETTING_TIME_SKEW",
    ] {
        assert_eq!(new.option(key), old.option(key), "{key}");
    }
    let codes = |file: &SecretFile| file.single_use_codes().count();
    let used = matches!(
        verdict,
        Verdict::Accepted {
            proof: Proof::Scratch,
            ..
        }
    );
    assert_eq!(codes(new) + usize::from(used), codes(old));
    assert_eq!(settings::rate_limit(new), settings::rate_limit(old));
}

/// The same code, at once and again, lets nobody in.
fn used_up(proof: Proof, old: &SecretFile, new: &SecretFile, attempt: &Attempt<'_>, now: UnixTime) {
    let (again, _) = decide(new, attempt, now);
    let Verdict::Accepted { proof: second, .. } = again else {
        return;
    };
    match (proof, second) {
        // The file has no list of used steps: its user wants codes to be usable again.
        (Proof::Totp, Proof::Totp) => assert!(old.option("DISALLOW_REUSE").is_none()),
        // The same digits stand again further on.
        (Proof::Hotp, Proof::Hotp) => {
            let counter = |file| match settings::kind(file) {
                Kind::Counter(counter) => counter,
                other => panic!("{other:?} after a code by counter"),
            };
            assert!(counter(new) > counter(old));
            let secret = new.secret().unwrap();
            let generator = Generator::new(&secret, Algorithm::Sha1, Digits::SIX);
            let codes = (0..100).map(|ahead| generator.code(counter(new).saturating_add(ahead)));
            let typed = generator.code(counter(new) - 1);
            let mut same = codes.filter(|code| *code.expose() == *typed.expose());
            assert!(same.next().is_some(), "a code is accepted twice");
        }
        // It stands there twice.
        (Proof::Scratch, Proof::Scratch) => {
            assert!(
                old.single_use_codes().count() > 1,
                "a single-use code is used twice"
            );
        }
        // A code of six digits is a device's, one of eight is not.
        (first, second) => panic!("{first:?}, then {second:?}: {}", shown(new)),
    }
}

fn shown(file: &SecretFile) -> String {
    file.bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{}", byte.escape_ascii());
        text
    })
}
