//! Ways in: a process per login, one process for many, a real sshd.

use crate::host::Host;
use crate::journal::{Answer, Sight};
use crate::world::{Gateway, World};
use tests::clients::ClientRun;
use tests::clients::openssh::{Way, ssh};
use tests::clock::Clock;
use tests::installation::SERVICE;

/// Where somebody comes in.
pub enum Door {
    /// A process of their own.
    Application,
    /// One that serves them all.
    Host(Box<Host>),
    /// A server, as the user who goes through it.
    Server(Which),
}

/// Debian's server, or the product's.
#[derive(Clone, Copy)]
pub enum Which {
    Sshd,
    Frontend,
}

impl Which {
    /// It.
    pub fn of<'a>(self, world: &'a World) -> &'a Gateway {
        match self {
            Self::Sshd => &world.sshd,
            Self::Frontend => &world.frontend,
        }
    }
}

impl Door {
    /// A new process for many logins.
    pub fn host(world: &World) -> Self {
        Self::Host(Box::new(Host::start(
            &world.installation.path("pam.d"),
            SERVICE,
        )))
    }

    /// Tries this code from this address. To a server, everybody comes from here.
    pub fn knock(
        &mut self,
        world: &World,
        user: &str,
        (address, clock): (&str, Clock),
        code: &str,
    ) -> Answer {
        match self {
            Self::Application => {
                let login = world.installation.login(user).from(address).answer(code);
                answer(login.at(clock).run().code())
            }
            Self::Host(host) => answer(&host.login(user, address, code)),
            Self::Server(which) => {
                let login = which.of(world).login(world, code);
                client_answer(&ssh(&login, Way::Askpass, &[], "id -un"))
            }
        }
    }

    /// What the long-lived process behind it holds, now that nobody is inside.
    pub fn sight(&self, world: &World) -> Option<Sight> {
        match self {
            Self::Application => None,
            Self::Host(host) => Some(host.sight()),
            Self::Server(which) => Some(which.of(world).sight()),
        }
    }
}

/// What PAM said.
pub fn answer(code: &str) -> Answer {
    match code {
        "PAM_SUCCESS" => Answer::Accepted,
        "PAM_AUTH_ERR" => Answer::Refused,
        other => Answer::Failed(other.to_owned()),
    }
}

/// What a client makes of it.
pub fn client_answer(run: &ClientRun) -> Answer {
    if run.success {
        Answer::Accepted
    } else if run.stderr.contains("Permission denied") {
        Answer::Refused
    } else {
        Answer::Failed(run.stderr.trim().to_owned())
    }
}
