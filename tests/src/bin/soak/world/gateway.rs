//! A server, the user who goes through it, and what it holds when everybody is gone.

use super::World;
use crate::host;
use crate::journal::Sight;
use rustix::process::Pid;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use tests::clients::Login;
use tests::frontend::Frontend;
use tests::processes::{descendants, wait_until};
use tests::server::Endpoint;
use tests::sshd::Sshd;
use tests::users::User;

/// Which one.
pub enum Server {
    Sshd(Sshd),
    Frontend(Frontend),
}

/// A way in by ssh.
pub struct Gateway {
    name: &'static str,
    user: User,
    server: Server,
    logins: AtomicU64,
    /// The descriptors of the listener before the first client.
    descriptors: u64,
}

impl Gateway {
    pub fn new(name: &'static str, user: User, server: Server) -> Self {
        let mut gateway = Self {
            name,
            user,
            server,
            logins: AtomicU64::new(0),
            descriptors: 0,
        };
        gateway.descriptors = gateway.open_descriptors();
        gateway
    }

    /// Its user with this code.
    pub fn login<'a>(&'a self, world: &'a World, code: &str) -> Login<'a> {
        self.logins.fetch_add(1, Ordering::Relaxed);
        Login::new(world.sandbox, self.endpoint(), &self.user, code)
    }

    /// The process that outlives all connections.
    pub fn listener(&self) -> Pid {
        Pid::from_raw(self.pid().cast_signed()).unwrap()
    }

    /// What the listener holds. A client is gone before its session is, and the session before the listener
    /// has cleared up behind it; what is still there then shows.
    pub fn sight(&self) -> Sight {
        wait_until("the end of all sessions", || {
            descendants(self.listener()).is_empty()
        });
        let cleared = || self.open_descriptors() <= self.descriptors;
        for _ in 0..100 {
            if cleared() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        host::sight(self.name, self.pid(), self.logins.load(Ordering::Relaxed))
    }

    fn open_descriptors(&self) -> u64 {
        let open = fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        open.count() as u64
    }

    fn endpoint(&self) -> &Endpoint {
        match &self.server {
            Server::Sshd(sshd) => sshd,
            Server::Frontend(frontend) => frontend,
        }
    }

    fn pid(&self) -> u32 {
        match &self.server {
            Server::Sshd(sshd) => sshd.pid(),
            Server::Frontend(frontend) => frontend.pid(),
        }
    }
}
