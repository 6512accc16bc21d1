//! The peer: Debian's `pam_google_authenticator.so`, which asks the same prompts.

use crate::users::User;

/// Its auth line for pam.d.
pub const AUTH_LINE: &str = "auth required pam_google_authenticator.so";

/// Base32 of the 20 bytes that RFC 4226 appendix D uses.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Its emergency codes are eight digits.
pub const SCRATCH_CODES: [&str; 5] = ["12345678", "23456789", "34567890", "45678901", "56789012"];

/// Which codes the user's file is for.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Time-based.
    Totp,
    /// Counter-based, from counter 1: this module takes 0 for "no counter".
    Hotp,
}

/// Writes the user's `~/.google_authenticator` and returns the secret.
pub fn enrol(user: &User, kind: Kind) -> String {
    let kind = match kind {
        Kind::Totp => "\" DISALLOW_REUSE\n\" TOTP_AUTH",
        Kind::Hotp => "\" HOTP_COUNTER 1",
    };
    let codes = SCRATCH_CODES.join("\n");
    let content = format!("{SECRET}\n\" WINDOW_SIZE 17\n{kind}\n{codes}\n");
    user.write(".google_authenticator", content, 0o400);
    SECRET.to_owned()
}
