//! `otpgate import otpauth` and `otpgate export`: keys in, keys out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::os::unix::process::CommandExt as _;

use otp_core::secret::Secret;
use support::{Desk, RFC_SECRET, Ran, hotp, totp_at};

fn import(desk: &Desk, text: &str, arguments: &[&str]) -> Ran {
    desk.run_with(&[&["import", "otpauth", "-"], arguments].concat(), text)
}

#[test]
fn users_come_from_the_labels_and_several_lines_are_several_devices() {
    let desk = Desk::new();
    let text = format!(
        "# from the old host\n\notpauth://totp/Example:alice@host.example?secret={RFC_SECRET}&issuer=Example\n\
         otpauth://hotp/bob?secret={RFC_SECRET}&counter=7\r\n\
         otpauth://totp/alice?secret=MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U&algorithm=SHA256&digits=8&period=60\n"
    );
    let ran = import(&desk, &text, &[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.stdout
            .contains("alice: imported: phone (totp), phone-2 (totp)"),
        "{ran:?}"
    );
    let code = totp_at(support::now(), &[], RFC_SECRET);
    assert_eq!(desk.verify("alice", &code), "accepted");
    assert_eq!(desk.verify("bob", &hotp(7, RFC_SECRET)), "accepted");
    assert_eq!(desk.verify("bob", &hotp(6, RFC_SECRET)), "replayed");
    let second = desk.show("alice")["devices"][1].clone();
    assert_eq!(
        (
            second["algorithm"].as_str(),
            second["digits"].as_u64(),
            second["period"].as_u64()
        ),
        (Some("sha256"), Some(8), Some(60))
    );
}

#[test]
fn a_named_user_gets_all_the_keys() {
    let desk = Desk::new();
    let text = format!("otpauth://totp/whoever?secret={RFC_SECRET}\n");
    assert_eq!(import(&desk, &text, &["--user", "carol"]).status, 0);
    assert!(desk.account_file("carol").exists() && !desk.account_file("whoever").exists());
}

#[test]
fn lines_that_are_no_key_are_skipped_with_the_reason() {
    let desk = Desk::new();
    for (line, expected) in [
        (
            "https://example.org/",
            "-:1: SKIPPED: a key URI starts with",
        ),
        (
            &format!("otpauth://totp/a?secret={RFC_SECRET}&digits=9"),
            "the parameter digits",
        ),
        (
            &format!("otpauth://totp/a?secret={RFC_SECRET}&algorithm=MD5"),
            "the parameter algorithm",
        ),
        (
            &format!("otpauth://hotp/a?secret={RFC_SECRET}"),
            "the parameter counter is missing",
        ),
        (
            &format!("otpauth://steam/a?secret={RFC_SECRET}"),
            "a key URI starts with",
        ),
        ("otpauth://totp/a?secret=MFRGGZDFMZTWQ2LK", "--allow-weak"),
    ] {
        let ran = import(&desk, &format!("{line}\n"), &[]);
        assert_eq!(ran.status, 1, "{line}: {ran:?}");
        assert!(ran.stdout.contains(expected), "{line}: {ran:?}");
        assert!(!ran.stdout.contains("GEZDGNBV"), "{line}: {ran:?}");
        assert!(!desk.account_file("a").exists());
    }
    let weak = "otpauth://totp/a?secret=MFRGGZDFMZTWQ2LK\n";
    assert_eq!(import(&desk, weak, &["--allow-weak"]).status, 0);
}

#[test]
fn what_is_exported_is_imported_on_another_host() {
    let (old, new) = (Desk::new(), Desk::new());
    let enrolled = old.enroll("alice", &[]);
    old.enroll("alice", &["--device", "key", "--hotp"]);
    let devices = old.show("alice")["devices"].clone();
    assert_eq!(devices[1]["kind"], "hotp");
    let ran = old.run(&["export", "alice"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("whoever reads") && ran.stderr.contains("10 recovery codes"),
        "{ran:?}"
    );
    assert_eq!(ran.stdout.lines().next().unwrap(), enrolled.uri);
    let imported = import(&new, &ran.stdout, &["--user", "alice"]);
    assert_eq!(imported.status, 0, "{imported:?}");
    let again = new.run(&["export", "alice"]);
    assert_eq!(again.stdout, ran.stdout);
    let json = old.json(&["export", "alice"]);
    assert_eq!(json["uris"].as_array().unwrap().len(), 2);
    assert_eq!(old.run(&["export", "nobody"]).status, 2);
}

#[test]
fn an_exported_counter_is_the_next_one() {
    let desk = Desk::new();
    let text = format!("otpauth://hotp/alice?secret={RFC_SECRET}&counter=0\n");
    import(&desk, &text, &[]);
    let _ = desk.log_in("alice", &hotp(4, RFC_SECRET), &support::at(support::now()));
    assert!(desk.must(&["export", "alice"]).contains("&counter=5"));
}

#[test]
fn nobody_else_can_export() {
    let desk = Desk::new();
    desk.enroll("alice", &[]);
    let mut command = desk.command(&["export", "alice"]);
    let ran: Ran = command.uid(65_534).output().unwrap().into();
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{ran:?}");
}

#[test]
fn a_user_with_more_keys_than_fit_is_refused_at_once_however_many_there_are() {
    let desk = Desk::new();
    let line = |number: u32| {
        let secret = Secret::new(format!("{number:020}").into_bytes()).unwrap();
        format!("otpauth://totp/alice?secret={}\n", *secret.to_base32())
    };
    for (count, status) in [(16, 0), (17, 1), (20_000, 1)] {
        let text: String = (0..count).map(line).collect();
        let ran = import(&desk, &text, &["--dry-run"]);
        assert_eq!(ran.status, status, "{count}: {ran:?}");
        assert_eq!(
            ran.stdout
                .contains("alice: REFUSED: -:1: there are more keys than 16"),
            status == 1,
            "{count}: {ran:?}"
        );
    }
}
