//! Accounts as files, and accounts for the tests of others.

use super::*;
use crate::hotp::Code;
use crate::recovery::RecoveryCode;
use crate::totp::Period;

pub(crate) fn totp_token(id: &str) -> Token {
    Token {
        id: id.into(),
        serial: Serial(id.bytes().fold(1, |sum: u64, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        })),
        kind: Kind::Totp {
            period: Period::default(),
        },
        secret: Secret::new(format!("12345678901234567890{id}").into_bytes()).unwrap(),
        algorithm: Algorithm::Sha1,
        digits: Digits::SIX,
        label: "alice".into(),
        issuer: "Example".into(),
        created: UnixTime(1_700_000_000),
        services: None,
        enabled: true,
    }
}

pub(crate) fn hotp_token(id: &str) -> Token {
    Token {
        kind: Kind::Hotp { counter: 0 },
        ..totp_token(id)
    }
}

fn sample() -> Account {
    let mut account = Account::new(&UserName::from("alice"), UnixTime(1_700_000_000));
    account.generation = 3;
    let limited = Token {
        services: Some(vec!["sshd".into()]),
        enabled: false,
        ..hotp_token("key")
    };
    account.tokens = vec![totp_token("phone"), limited];
    let code = RecoveryCode::generate().unwrap();
    account.recovery = vec![StoredRecoveryCode::new(&code).unwrap()];
    let code = Code::parse(b"12345678").unwrap();
    account.scratch = Some(ScratchCodes::new(&[code]).unwrap());
    account
}

#[test]
fn what_is_written_is_read_back() {
    let text = sample().to_toml().unwrap();
    assert_eq!(
        Account::from_toml(&text).unwrap(),
        sample_with_recovery_of(&text)
    );
}

fn sample_with_recovery_of(text: &str) -> Account {
    Account {
        recovery: Account::from_toml(text).unwrap().recovery,
        scratch: Account::from_toml(text).unwrap().scratch,
        ..sample()
    }
}

#[test]
fn a_device_whose_codes_are_sent_has_a_channel_and_an_address() {
    let mut account = sample();
    account.tokens.push(Token {
        kind: Kind::Delivered {
            channel: "mail".into(),
            address: "alice@example.org".into(),
        },
        ..totp_token("mail")
    });
    let text = account.to_toml().unwrap();
    let read = Account::from_toml(&text).unwrap();
    assert_eq!(read.tokens, account.tokens);
    let destination = read.token("mail").unwrap().destination();
    assert_eq!(destination, Some(("mail", "alice@example.org")));
    for (name, right, wrong) in [
        ("no address", "address = \"alice@example.org\"\n", ""),
        ("an option", "alice@example.org", "-alice"),
        ("a second line", "alice@example.org", "alice\\nBcc: bob"),
        ("no channel", "channel = \"mail\"", "channel = \"123456\""),
    ] {
        assert!(text.contains(right), "{name}: {}", *text);
        assert!(
            Account::from_toml(&text.replace(right, wrong)).is_err(),
            "{name}"
        );
    }
}

#[test]
fn a_full_account_fits_its_file() {
    let mut account = sample();
    account.tokens = (0..MAX_TOKENS)
        .map(|number| Token {
            secret: Secret::new(vec![7; 128]).unwrap(),
            label: "\u{1f511}".repeat(32),
            issuer: "\u{1f511}".repeat(32),
            ..totp_token(&format!("{number:032}"))
        })
        .collect();
    account.recovery = vec![account.recovery[0].clone(); MAX_RECOVERY_CODES - 1];
    let text = account.to_toml().unwrap();
    assert!(
        (text.len() as u64) < LARGEST_FILE / 2,
        "{} bytes",
        text.len()
    );
}

#[test]
fn scratch_codes_and_recovery_codes_have_one_maximum() {
    let mut account = sample();
    account.recovery = vec![account.recovery[0].clone(); MAX_RECOVERY_CODES];
    assert!(
        account.to_toml().is_err(),
        "a state could not name all that are used"
    );
    account.scratch = None;
    assert!(account.to_toml().is_ok());
}

#[test]
fn damage_is_named_by_line_and_never_quoted() {
    let text = sample().to_toml().unwrap();
    let secret = sample().tokens[0].secret.to_base32().to_string();
    for (name, damaged) in [
        ("truncated", text[..text.len() / 2].to_owned()),
        ("bad secret", text.replace(&secret, "01890189secret")),
        ("unknown key", text.replace("generation", "degeneration")),
        ("other version", text.replace("version = 1", "version = 2")),
        (
            "twice the same device",
            text.replace("\"key\"", "\"phone\""),
        ),
        ("device name", text.replace("\"key\"", "\"../key\"")),
        ("empty", String::new()),
    ] {
        let error = Account::from_toml(&damaged).expect_err(name).to_string();
        assert!(
            !error.contains("0189") && !error.contains(&secret),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_token_serves_what_it_lists_when_enabled() {
    let mut token = totp_token("phone");
    assert!(token.serves("sshd"));
    token.services = Some(vec!["sudo".into()]);
    assert!(token.serves("sudo") && !token.serves("sshd"));
    token.enabled = false;
    assert!(!token.serves("sudo"));
}
