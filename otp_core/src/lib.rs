//! What a one-time password is, when it is right, and the one place where its state lives.
//!
//! The crate knows nothing of PAM, SSH or terminals. Read it in this order:
//!
//! | question | module |
//! | --- | --- |
//! | what is secret, and how is it kept from logs and core dumps? | [`secret`] |
//! | which code belongs to a counter or a moment? | [`hotp`] (RFC 4226), [`totp`] (RFC 6238) |
//! | how does a phone learn the secret? | [`key_uri`] |
//! | what was typed, and where does it come from? | [`answer`], [`recovery`], [`scratch`], [`source`] |
//! | what was enrolled, and what do logins change? | [`account`], [`state`] |
//! | which codes are sent, to whom, and how often? | [`delivered`] |
//! | how does somebody get in who has no device yet? | [`invite`], [`enrolment`] |
//! | is the code right? | [`policy`], over [`matching`] and [`throttle`] |
//! | which numbers and rules apply? | [`config`], [`rules`] |
//! | what does a stolen backup tell? | [`seal`] |
//! | where does it all live, and what survives a crash? | [`store`] |
//! | how is text shown that somebody else chose? | [`shown`] |
//! | what is wrong with a configuration, and where? | [`toml_mistake`] |
//! | who ties it together? | [`verifier`]: lock, load, decide, commit, only then answer |

pub mod account;
pub mod answer;
pub mod clock;
pub mod config;
pub mod day;
pub mod delivered;
pub mod enrolment;
pub mod hotp;
pub mod invite;
pub mod key_uri;
pub mod matching;
pub mod policy;
pub mod recovery;
pub mod rules;
pub mod scratch;
pub mod seal;
pub mod secret;
pub mod shown;
pub mod source;
pub mod state;
pub mod store;
pub mod throttle;
pub mod toml_mistake;
pub mod totp;
pub mod user_name;
pub mod verifier;
