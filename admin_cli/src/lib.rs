//! `otpgate`, the sysadmin's and the user's command.
//!
//! | question | module |
//! | --- | --- |
//! | what can be typed? | [`cli`] |
//! | what does it do? | [`commands`], one file each |
//! | how is a code sent? | [`delivery`] |
//! | how are ssh's questions answered for scripts? | [`askpass`] |
//! | who changed what? | [`audit`] |
//! | what is wrong with this host, and how is the module put in place? | [`host`] |
//! | how does it ask and print, and with which exit status does it end? | [`input`], [`output`], [`error`] |
//! | how does a key get onto a phone? | [`qr`] |

pub mod askpass;
pub mod audit;
pub mod cli;
pub mod commands;
pub mod delivery;
pub mod error;
pub mod host;
pub mod input;
pub mod output;
pub mod qr;
