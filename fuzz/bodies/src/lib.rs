//! What each fuzz target does with its bytes, so that a test can do it too, without a fuzzer.
//!
//! A target is a function that returns, or panics about a promise that does not hold. Most promises here
//! are of one of three kinds: nothing panics; what is written is read again as the same; and what an
//! independent, simpler reading says is what ours says.
//!
//! `fuzz/fuzz_targets/` has a line for each; `fuzz/seeds/` has what each begins with, and what it once found.

mod account;
mod answer;
mod authorized_keys;
mod configuration;
mod gate;
mod google_authenticator;
mod key_uri;
mod logins;
mod messages;
mod names;
mod pam_d;
mod proxy_protocol;
mod sshd_config;
mod state;
mod users_oath;

/// A target: panics when something is wrong.
pub type Target = fn(&[u8]);

/// All of them, each under the name of its file and of its seeds.
pub const TARGETS: [(&str, Target); 17] = [
    ("account", account::account),
    ("answer", answer::answer),
    ("authorized_keys", authorized_keys::authorized_keys),
    ("gate", gate::gate),
    (
        "google_authenticator",
        google_authenticator::google_authenticator,
    ),
    ("key_uri", key_uri::key_uri),
    ("logins", logins::logins),
    ("messages", messages::messages),
    ("names", names::names),
    ("otpgate_toml", configuration::otpgate_toml),
    ("pam_arguments", pam_d::pam_arguments),
    ("pam_d", pam_d::pam_d),
    ("proxy_protocol", proxy_protocol::proxy_protocol),
    ("sshd_config", sshd_config::sshd_config),
    ("sshd_toml", configuration::sshd_toml),
    ("state", state::state),
    ("users_oath", users_oath::users_oath),
];

/// Runs the target of this name.
///
/// # Panics
/// When there is none, and when the target finds something.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = target.unwrap_or_else(|| panic!("there is no target {name}"));
    target(data);
}

/// What stands before the first such byte, and behind it; all of it is before where there is none.
fn split_at_byte(data: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match data.iter().position(|other| *other == byte) {
        Some(at) => (&data[..at], Some(&data[at + 1..])),
        None => (data, None),
    }
}
