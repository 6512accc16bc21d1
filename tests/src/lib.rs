//! End-to-end harness: Debian's sshd and the product's, real clients and real PAM, in a sandbox that
//! leaves nothing behind.
//!
//! A test reads from top to bottom: [`sandbox::run`] makes a private view of the machine, [`users`]
//! puts people into it, [`module`] puts the PAM module under test into [`pam`]'s stack, [`sshd`] or
//! [`frontend`] starts the server, and [`clients`] log in.

pub mod alice;
pub mod application;
pub mod built;
pub mod clients;
pub mod clock;
pub mod delivery;
pub mod disk;
pub mod enrolment;
pub mod figures;
pub mod files;
pub mod frontend;
pub mod google_authenticator;
pub mod host;
pub mod installation;
pub mod module;
pub mod oath;
pub mod otpgate;
pub mod pam;
pub mod parity;
pub mod picture;
pub mod port;
pub mod processes;
pub mod promises;
pub mod proxy;
pub mod rootless;
pub mod sandbox;
pub mod server;
pub mod sshd;
pub mod strace;
pub mod syslog;
pub mod unattended;
pub mod users;
pub mod wire;
