//! From the listener's hand to the network process's end.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use nix::unistd::{User, alarm, geteuid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, pidfd_open, set_dumpable_behavior};

use super::helpers::Processes;
use super::methods::Methods;
use super::place::Place;
use super::serve;
use super::wire::Lost;
use crate::config::Config;
use crate::ipc::Socket;
use crate::protocol::{Confinement, MonitorSetup, NetworkSetup, Progress};
use crate::proxy_protocol;
use crate::role::{self, Role};

/// The listener ends a login that takes too long; so much later this process ends itself, should the
/// listener be gone. In seconds.
const AFTER_GRACE: u64 = 5;
/// Longest wait for a PROXY header. The proxy sends it at once.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
/// So long a network process may take to say its last words to the client.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The process's whole life.
pub fn main() -> ExitCode {
    // Passwords and codes pass through here, and are not to end in a core file.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let Ok((connection, listener)) = role::inherited() else {
        return ExitCode::FAILURE;
    };
    let Ok(Some((setup, _))) = listener.receive::<MonitorSetup>(0) else {
        return ExitCode::FAILURE;
    };
    setup.log.open();
    let log = setup.log;
    // PAM's sessions are closed while it unwinds.
    match catch_unwind(AssertUnwindSafe(|| run(setup, connection, &listener))) {
        Ok(code) => code,
        Err(_) => {
            log.error("result=error reason=panic");
            ExitCode::FAILURE
        }
    }
}

fn run(setup: MonitorSetup, connection: OwnedFd, listener: &Socket) -> ExitCode {
    arm(setup.config.login_grace_time);
    let Some(source) = find_source(&setup, &connection, listener) else {
        return ExitCode::FAILURE;
    };
    let (place, network_setup) = split(setup, source);
    let confined = match confinement(&place.config) {
        Ok(confinement) => NetworkSetup {
            confinement,
            ..network_setup
        },
        Err(reason) => {
            place.failed(None, "network_user", &reason);
            return ExitCode::FAILURE;
        }
    };
    let (network, socket) = match start_network(&place, connection, &confined) {
        Ok(started) => started,
        Err(reason) => {
            place.failed(None, "network_process", &reason);
            return ExitCode::FAILURE;
        }
    };
    // It holds the host keys; this process does not need them.
    drop(confined);
    let lost = serve(&place, socket, &Processes, &mut || {
        alarm::cancel();
        // A listener that is gone does not count us any more.
        let _ = listener.send(&Progress::Authenticated, &[]);
    });
    end(network, &lost);
    match lost {
        Lost::Gone | Lost::Dismissed => ExitCode::SUCCESS,
        Lost::Forbidden(_) | Lost::Broken(_) => ExitCode::FAILURE,
    }
}

/// SIGALRM's default action ends this process, and with it its network process. Not for 0, which is no
/// limit.
fn arm(grace: Duration) {
    if !grace.is_zero() {
        let seconds = grace.as_secs().saturating_add(AFTER_GRACE);
        alarm::set(u32::try_from(seconds).unwrap_or(u32::MAX));
    }
}

/// The client's address: behind a trusted proxy what that says. None: it says nothing that can be believed.
fn find_source(
    setup: &MonitorSetup,
    connection: &OwnedFd,
    listener: &Socket,
) -> Option<SocketAddr> {
    let peer = setup.peer;
    if !setup.config.is_proxy(peer.ip().to_canonical()) {
        return Some(peer);
    }
    match proxy_protocol::read(connection, Instant::now() + HEADER_PATIENCE) {
        Ok(header) => {
            let source = header.source.unwrap_or(peer);
            let _ = listener.send(&Progress::Source(source.ip().to_canonical()), &[]);
            Some(source)
        }
        Err(error) => {
            let place = Place::new(setup.config.clone(), peer, setup.local, setup.log);
            let detail = error.to_string();
            let details = [("reason", "proxy_header"), ("detail", detail.as_str())];
            place.log.warning(&place.line("refused", None, &details));
            None
        }
    }
}

/// What stays here, and what the network process is told.
fn split(setup: MonitorSetup, source: SocketAddr) -> (Place, NetworkSetup) {
    let config = &setup.config;
    let network = NetworkSetup {
        host_keys: setup.host_keys,
        methods: Methods::of(&config.authentication_methods).next(false),
        banner: setup.banner,
        client_alive_interval: config.client_alive_interval.as_secs(),
        client_alive_count_max: config.client_alive_count_max,
        rekey_bytes: config.rekey_bytes,
        rekey_seconds: config.rekey_interval.as_secs(),
        max_sessions: config.max_sessions,
        forwarding: !config.permit_open.is_empty(),
        confinement: None,
    };
    let place = Place::new(setup.config, source, setup.local, setup.log);
    (place, network)
}

/// Whom the network process becomes; none where the server is not root's.
fn confinement(config: &Config) -> Result<Option<Confinement>, String> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let name = &config.network_user;
    match User::from_name(name) {
        Ok(Some(user)) => Ok(Some(Confinement {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            chroot: config.chroot_directory.clone(),
        })),
        Ok(None) => Err(format!("there is no user {name}")),
        Err(error) => Err(format!("looking up the user {name}: {error}")),
    }
}

/// The connection goes with it: no copy stays here.
fn start_network(
    place: &Place,
    connection: OwnedFd,
    setup: &NetworkSetup,
) -> Result<(Child, Socket), String> {
    let (ours, theirs) = Socket::pair().map_err(|error| error.to_string())?;
    let shown = format!("otpgate-sshd: network {}", place.source.ip());
    let mut child = Role::Network
        .start(&shown, Some(connection), theirs)
        .map_err(|error| error.to_string())?;
    match ours.send(setup, &[]) {
        Ok(()) => Ok((child, ours)),
        Err(error) => {
            let _ = child.kill().and_then(|()| child.wait());
            Err(error.to_string())
        }
    }
}

/// An honest process may finish what it has to say; any other ends now.
fn end(mut network: Child, lost: &Lost) {
    if matches!(lost, Lost::Gone | Lost::Dismissed)
        && let Ok(ended) = pidfd_open(Pid::from_child(&network), PidfdFlags::empty())
    {
        let mut watched = [PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN)];
        let patience = Timespec::try_from(LAST_WORDS).ok();
        let _ = rustix::io::retry_on_intr(|| poll(&mut watched, patience.as_ref()));
    }
    // Both fail only where it is gone.
    let _ = network.kill();
    let _ = network.wait();
}
