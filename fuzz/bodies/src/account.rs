//! Account files: what is read is written, and read again as the same.

use otp_core::account::{Account, MAX_RECOVERY_CODES, MAX_TOKENS};
use otp_core::state::State;

pub fn account(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let account = match Account::from_toml(text) {
        Ok(account) => account,
        Err(error) => return keeps_silent(text, &error.to_string()),
    };
    assert!(account.tokens.len() <= MAX_TOKENS);
    assert!(account.recovery_ids().count() <= MAX_RECOVERY_CODES);
    let written = account.to_toml().expect("what was read can be written");
    let again = Account::from_toml(&written).expect("what was written can be read");
    assert_eq!(again, account);
    let state = State::new(&account);
    let decoded = State::decode(&state.encode(), account.generation);
    assert_eq!(decoded, Ok(state));
}

/// The seeds have a secret that stands nowhere else; an error that repeats text would show it.
fn keeps_silent(text: &str, error: &str) {
    const SECRET: &str = "SECRETSECRETSECRETSECRETSECRETAA";
    let as_secret = format!("\nsecret = \"{SECRET}");
    if text.matches(SECRET).count() == 1 && text.contains(&as_secret) {
        assert!(!error.contains(SECRET), "{error}");
    }
}
