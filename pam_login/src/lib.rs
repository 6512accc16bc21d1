//! What `pam_otpgate.so` does at a login.
//!
//! The host process is somebody else's: sshd, sudo, login. So nothing here starts a thread, installs a
//! signal handler, reads the environment or changes the working directory, and no panic gets out.
//!
//! | question | module |
//! | --- | --- |
//! | what happens at a login? | [`authenticate`], one function |
//! | what may stand behind the module's name in pam.d? | [`options`] |
//! | when is a code sent? | `delivery` |
//! | what happens to users with a `~/.google_authenticator`? | `google_authenticator` |
//! | what awaits somebody who is not enrolled? | [`unenrolled`] |
//! | how does somebody enrol at a login? | [`enrol`], and [`qr`] for the picture |
//! | which PAM code does an outcome become? | [`outcome`], one table |
//! | what does the log say? | [`log`] |
//! | what may the module ask of libpam? | [`host`] |
//! | what if something panics? | [`guard`] |
//!
//! The module itself, `pam_module`, is the six entries over this crate.

pub mod account;
pub mod authenticate;
mod delivery;
pub mod enrol;
mod google_authenticator;
pub mod guard;
pub mod host;
pub mod log;
pub mod options;
pub mod outcome;
pub mod qr;
pub mod unenrolled;
