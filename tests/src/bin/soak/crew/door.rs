//! Ways in: a process per login, one process for many, a real sshd.

use crate::host::{self, Host};
use crate::journal::{Answer, Sight};
use crate::world::{HOME, World};
use std::sync::atomic::{AtomicU64, Ordering};
use tests::clients::openssh::{Way, ssh};
use tests::clients::{ClientRun, Login};
use tests::clock::Clock;
use tests::installation::SERVICE;
use tests::processes;

/// Logins that sshd has seen, for its sample.
static THROUGH_SSHD: AtomicU64 = AtomicU64::new(0);

/// Where somebody comes in.
pub enum Door {
    /// A process of their own.
    Application,
    /// One that serves them all.
    Host(Box<Host>),
    /// Debian's sshd.
    Sshd,
}

impl Door {
    /// A new process for many logins.
    pub fn host(world: &World) -> Self {
        Self::Host(Box::new(Host::start(
            &world.installation.path("pam.d"),
            SERVICE,
        )))
    }

    /// Tries this code.
    pub fn knock(&mut self, world: &World, user: &str, code: &str, clock: Clock) -> Answer {
        match self {
            Self::Application => {
                let login = world.installation.login(user).from(HOME).answer(code);
                answer(login.at(clock).run().code())
            }
            Self::Host(host) => answer(&host.login(user, HOME, code)),
            Self::Sshd => {
                let login = through_sshd(world, code);
                client_answer(&ssh(&login, Way::Askpass, &[], "id -un"))
            }
        }
    }

    /// What the long-lived process behind it holds, now that nobody is inside.
    pub fn sight(&self, world: &World) -> Option<Sight> {
        match self {
            Self::Application => None,
            Self::Host(host) => Some(host.sight()),
            Self::Sshd => {
                let pid = world.sshd.pid();
                let listener = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
                // The client is gone before its session is; one that stays shows in the sample.
                processes::wait_until("the end of all sessions", || {
                    processes::descendants(listener).is_empty()
                });
                let logins = THROUGH_SSHD.load(Ordering::Relaxed);
                Some(host::sight("sshd", pid, logins))
            }
        }
    }
}

/// The remote user at sshd with this code.
pub fn through_sshd<'a>(world: &'a World, code: &str) -> Login<'a> {
    THROUGH_SSHD.fetch_add(1, Ordering::Relaxed);
    Login::new(world.sandbox, &world.sshd, &world.remote, code)
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
