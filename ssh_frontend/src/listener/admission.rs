//! Who is served: by the number of connections that nobody is logged in on, in all and of one source.

use std::time::Instant;

use rustix::process::Pid;

use super::Listener;
use super::connection::{Connection, canonical};
use super::sockets::Accepted;
use super::sources::Source;
use super::startups::{self, Admission};
use crate::protocol::MonitorSetup;

impl Listener {
    /// Serves a connection, or drops it without a word.
    pub(super) fn admit(&mut self, accepted: Accepted) {
        let config = &self.settings.config;
        let address = canonical(accepted.peer).ip();
        let source = (!config.is_proxy(address)).then(|| Source::from(address));
        // Without random bytes the lowest number: the strictest.
        let random = getrandom::u32().unwrap_or_default();
        let waiting = self.waiting();
        if startups::admit(waiting, config.max_startups, random) == Admission::Drop {
            let line =
                format!("result=refused reason=max_startups source={address} waiting={waiting}");
            return self.refuse(line);
        }
        if let Some(source) = source
            && self.is_over_limit(source, 1)
        {
            return self.refuse(format!(
                "result=refused reason=per_source_max_startups source={address}"
            ));
        }
        self.start(accepted, source);
    }

    fn start(&mut self, accepted: Accepted, source: Option<Source>) {
        let setup = MonitorSetup {
            config: self.settings.config.clone(),
            host_keys: self.settings.host_keys.clone(),
            banner: self.settings.banner.clone(),
            peer: canonical(accepted.peer),
            local: canonical(accepted.local),
            log: self.log,
        };
        let deadline = Instant::now().checked_add(setup.config.login_grace_time);
        match Connection::start(accepted.fd, &setup, source, deadline) {
            Ok((pid, connection)) => {
                self.connections.insert(pid, connection);
            }
            Err(error) => {
                self.trouble(error.to_string());
                self.rest();
            }
        }
    }

    pub(super) fn waiting(&self) -> usize {
        let connections = self.connections.values();
        connections.filter(|other| other.is_waiting()).count()
    }

    /// Whether a source has more connections without a login than it may, with so many on top.
    fn is_over_limit(&self, source: Source, more: usize) -> bool {
        let Some(limit) = self.settings.config.per_source_max_startups else {
            return false;
        };
        let of_source = |other: &&Connection| other.source() == Some(source);
        let count = self.connections.values().filter(of_source).count() + more;
        u32::try_from(count).ok().is_none_or(|count| count > limit)
    }

    /// A connection behind a proxy is counted as late as its source is known.
    pub(super) fn limit(&mut self, pid: Pid, source: Source) {
        if !self.is_over_limit(source, 0) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&pid) {
            connection.kill();
            let address = connection.address;
            self.refuse(format!(
                "result=refused reason=per_source_max_startups source={address}"
            ));
        }
    }
}
