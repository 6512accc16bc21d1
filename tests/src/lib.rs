//! End-to-end harness: Debian's sshd, real clients and real PAM, in a sandbox that leaves nothing
//! behind.
//!
//! A test reads from top to bottom: [`sandbox::run`] makes a private view of the machine, [`users`]
//! puts people into it, [`module`] puts the PAM module under test into [`pam`]'s stack, [`sshd`]
//! starts the server, and [`clients`] log in.

pub mod alice;
pub mod application;
pub mod built;
pub mod clients;
pub mod clock;
pub mod figures;
pub mod google_authenticator;
pub mod installation;
pub mod module;
pub mod oath;
pub mod otpgate;
pub mod pam;
pub mod processes;
pub mod sandbox;
pub mod sshd;
pub mod strace;
pub mod syslog;
pub mod users;
