//! libpam, both sides, made safe; the only crate of the workspace where `unsafe` may stand.
//!
//! No published crate gives wiped answers, a conversation that survives panics, and sessions
//! together, and none takes PAM's return codes as what they are: any integer. So the few calls that
//! otpgate needs are declared here once, and everything above them is safe Rust.
//!
//! | room | what it answers |
//! | --- | --- |
//! | [`module`] | what a PAM module may ask of libpam, through the handle it was called with |
//! | [`app`] | what a PAM application does: one [`Transaction`] from `pam_start` to `pam_end` |
//! | [`conversation`] | how libpam's questions reach a [`Conversation`], and what may go wrong between |
//! | [`codes`] | return codes, message styles, items, flags and log priorities, by name |
//! | [`nss`] | does this user exist, and in which groups |
//! | [`identity`] | touching a user's files as that user |
//! | [`signals`] | none ignored in a program that is about to be started |
//! | [`start`] | a program from inside a process that must not notice |
//! | [`memory`] | what is free goes back to the system |
//! | [`syslog`] | log lines of an application |
//! | [`clock`] | is the system clock synchronised, which codes by time depend on |

pub mod app;
pub mod clock;
pub mod codes;
pub mod conversation;
pub mod identity;
pub mod memory;
pub mod module;
pub mod nss;
pub mod signals;
pub mod start;
pub mod syslog;

mod libpam;
mod reply;

pub use app::{PamError, Transaction};
pub use codes::{Item, MessageStyle, Priority, ReturnCode, flags};
pub use conversation::{Conversation, ConversationFailed};
pub use module::Module;
