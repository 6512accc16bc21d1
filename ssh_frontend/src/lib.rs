//! `otpgate-sshd`: an SSH server whose every login goes through PAM, in processes that trust each other
//! as little as they can.
//!
//! | process | identity | what it does | rooms |
//! | --- | --- | --- | --- |
//! | listener | root | accepts connections, parses nothing | [`cli`], [`config`], [`host_keys`], [`listener`] |
//! | monitor, one per connection | root | PAM, the limits, starting programs | [`monitor`] |
//! | network process, one per connection | its own, in an empty chroot | all of SSH | [`network`] |
//! | as-user process, short-lived | the user's | keys in homes, programs, signals | [`as_user`] |
//!
//! What they say to each other: [`protocol`], [`ipc`]. Without root they are all the one user.

pub mod as_user;
pub mod cli;
pub mod config;
mod descriptors;
pub mod host_keys;
pub mod ipc;
pub mod listener;
pub mod log;
pub mod monitor;
pub mod network;
pub mod protocol;
pub mod proxy_protocol;
pub mod role;
