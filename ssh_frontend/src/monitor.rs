//! The monitor: one for each connection, with root's rights, deaf to everything but its network process.
//!
//! It runs PAM (whose modules change the process that calls them, and block for as long as somebody types),
//! counts the tries, and has programs started in the user's name. Single-threaded: see
//! [`pam_ffi::Transaction`].
//!
//! | room | what it answers |
//! | --- | --- |
//! | [`table`], [`wire`] | which request is let through |
//! | [`login`], [`methods`], [`person`], [`glob`], [`keys`] | who gets in, by which way |
//! | [`dialogue`], [`texts`] | PAM's questions |
//! | [`session`], [`pam_session`], [`plan`], [`environment`], [`program`], [`pty`] | what runs afterwards |
//! | [`connects`] | forwarded connections that are not made yet |
//! | [`helpers`] | what is done with the user's identity |
//! | [`place`] | where the client is, and the log lines about it |
//! | [`connection`] | the processes around it |

pub mod connection;
pub mod connects;
pub mod dialogue;
pub mod environment;
pub mod glob;
pub mod helpers;
pub mod keys;
pub mod login;
pub mod methods;
pub mod pam_session;
pub mod person;
pub mod place;
pub mod plan;
pub mod program;
pub mod pty;
pub mod session;
pub mod table;
pub mod texts;
pub mod wire;

use std::process::ExitCode;
use std::rc::Rc;

use crate::ipc::Socket;
use helpers::Helpers;
use login::Login;
use place::Place;
use session::Session;
use wire::{Lost, Wire};

/// The process's whole life.
pub fn main() -> ExitCode {
    connection::main()
}

/// Answers a network process until it goes away or has to go. `logged_in` is called once, as soon as
/// somebody is.
pub fn serve(
    place: &Place,
    socket: Socket,
    helpers: &dyn Helpers,
    logged_in: &mut dyn FnMut(),
) -> Lost {
    let wire = match Wire::new(socket) {
        Ok(wire) => Rc::new(wire),
        Err(lost) => return lost,
    };
    let mut login = Login::new(place, &wire, helpers);
    let somebody = match login.run() {
        Ok(somebody) => somebody,
        Err(lost) => return end(place, login.shown(), lost),
    };
    logged_in();
    match Session::open(place, &wire, helpers, somebody) {
        Ok(mut session) => {
            let lost = session.run();
            end(place, Some(session.user()), lost)
        }
        Err(lost) => end(place, login.shown(), lost),
    }
}

/// An end that an honest network process does not come to is worth a line.
fn end(place: &Place, user: Option<&str>, lost: Lost) -> Lost {
    if matches!(lost, Lost::Forbidden(_) | Lost::Broken(_)) {
        let what = lost.to_string();
        let details = [("reason", "protocol"), ("what", what.as_str())];
        place.log.warning(&place.line("refused", user, &details));
    }
    lost
}
