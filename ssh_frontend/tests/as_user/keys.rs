use super::*;

const LINE: &str = "no-pty ssh-ed25519 YSBrZXk= somebody\n";

fn verdict(outcome: Outcome) -> KeyVerdict {
    match outcome {
        Outcome::Key(verdict) => verdict,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_found_with_its_limits() {
    let user = User::new();
    user.file("keys", LINE, 0o600);
    let KeyVerdict::Found(limits) = verdict(user.asks(find_key("keys"))) else {
        panic!("not found");
    };
    assert!(limits.no_terminal);
}

#[test]
fn a_file_that_only_root_may_read_is_not_read_for_the_user() {
    if !has_root() {
        return;
    }
    let user = User::new();
    let file = user.file("keys", LINE, 0o600);
    chown(&file, Some(0), Some(0)).unwrap();
    let KeyVerdict::Refused(why) = verdict(user.asks(find_key("keys"))) else {
        panic!("not refused");
    };
    assert!(why.contains("Permission denied"), "{why}");
}

#[test]
fn an_account_that_owns_nothing_has_no_key() {
    let mut account = User::new().account;
    account.home = "/nonexistent".into();
    let verdict = verdict(ask(account, find_key(".ssh/authorized_keys")));
    assert_eq!(verdict, KeyVerdict::NotFound);
}

#[test]
fn a_fifo_does_not_hold_the_monitor_up() {
    let user = User::new();
    let fifo = user.home.path().join("keys");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    chown(&fifo, Some(user.account.uid), None).unwrap();
    let verdict = verdict(user.asks(find_key("keys")));
    assert!(matches!(verdict, KeyVerdict::Refused(_)), "{verdict:?}");
}
