//! Account files: what is read is written, and read again as the same.

use otp_core::account::stored::StoredAccount;
use otp_core::account::{Account, MAX_RECOVERY_CODES, MAX_TOKENS};
use otp_core::seal::Keyring;
use otp_core::state::State;

pub fn account(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let stored = StoredAccount::parse(text);
    let account = match Account::from_toml(text) {
        Ok(account) => account,
        Err(error) => return keeps_silent(text, &error.to_string()),
    };
    assert!(account.tokens.len() <= MAX_TOKENS);
    assert!(account.recovery_ids().count() <= MAX_RECOVERY_CODES);
    let written = account.to_toml().expect("what was read can be written");
    let again = Account::from_toml(&written).expect("what was written can be read");
    assert_eq!(again, account);
    sealed(&account, &stored.expect("clear is one way to store it"));
    let state = State::new(&account);
    let decoded = State::decode(&state.encode(), account.generation);
    assert_eq!(decoded, Ok(state));
}

/// Nothing was sealed; once it is, it is the same to who has the key, and nothing to who has not.
fn sealed(account: &Account, stored: &StoredAccount) {
    let nobody = Keyring::default();
    assert!(!stored.has_sealed());
    assert_eq!(stored.open(&nobody).as_ref(), Ok(account));
    let keys = Keyring::parse(&"a1".repeat(32)).expect("64 digits");
    let key = keys.newest().expect("the one key");
    let text = account.to_sealed_toml(key).expect("as it can be written");
    let stored = StoredAccount::parse(&text).expect("what was sealed can be read");
    assert_eq!(stored.open(&keys).as_ref(), Ok(account));
    let secrets = account.tokens.len() + usize::from(account.scratch.is_some());
    assert_eq!(stored.has_sealed(), secrets > 0);
    assert_eq!(stored.open(&nobody).is_err(), secrets > 0);
}

/// The seeds have a secret that stands nowhere else; an error that repeats text would show it.
fn keeps_silent(text: &str, error: &str) {
    const SECRET: &str = "SECRETSECRETSECRETSECRETSECRETAA";
    let as_secret = format!("\nsecret = \"{SECRET}");
    if text.matches(SECRET).count() == 1 && text.contains(&as_secret) {
        assert!(!error.contains(SECRET), "{error}");
    }
}
