//! A short soak. `make soak` runs the same for an hour; `OTPGATE_SOAK_SEED` repeats a programme.

use std::process::Command;

#[test]
fn a_few_rounds_of_everything_at_once_break_no_promise() {
    let mut soak = Command::new(env!("CARGO_BIN_EXE_soak"));
    if std::env::var_os("OTPGATE_SOAK_ROUNDS").is_none() {
        soak.env("OTPGATE_SOAK_ROUNDS", "3");
    }
    let status = soak.status().unwrap();
    assert!(
        status.success(),
        "{status}; the lines above say what and where"
    );
}
