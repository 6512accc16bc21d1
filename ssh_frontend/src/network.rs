//! The network process: everything that strangers send is read here, and here only, with nothing to lose.
//!
//! It holds the host keys, because it signs the key exchange; it decides nothing. See `confine` for what
//! it gives up before it reads, `link` for how it asks the monitor, `flow` for how memory stays bounded.

mod algorithms;
mod channels;
mod confine;
mod flow;
mod handler;
mod input;
mod link;
mod pump;
mod stream;

use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::server::{Config, Handle, run_stream};
use russh::{Disconnect, Limits, SshId};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use self::flow::{Flow, WINDOW};
use self::handler::{Connection, method_set};
use self::link::{End, Link};
use self::stream::{LINGER, Stream};
use crate::ipc::Socket;
use crate::protocol::NetworkSetup;
use crate::role;

/// Largest packet that clients are asked for, in bytes.
const LARGEST_PACKET: u32 = 32 * 1024;
/// How long a refusal takes at least; how long one takes after a wrong code is PAM's business.
const REFUSAL: Duration = Duration::from_millis(50);
/// Refused attempts of every kind, `none` and unknown methods too. The monitor counts those that matter.
const MOST_REFUSALS: usize = 100;
/// Pieces of output between the programs and russh.
const MOST_PIECES: usize = 8;
/// How long the client has to take the reason for a disconnection.
const LAST_WORD: Duration = LINGER;

/// The process's whole life: is set up by the monitor, confines itself, serves one connection.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Only what goes wrong before the first byte was read: nobody else can say it.
            eprintln!("otpgate-sshd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn Error>> {
    let (connection, monitor) = role::inherited()?;
    let Some((setup, _)) = monitor.receive::<NetworkSetup>(0)? else {
        return Ok(());
    };
    let config = Arc::new(config(&setup)?);
    rustix::net::sockopt::set_tcp_nodelay(&connection, true)?;
    rustix::io::ioctl_fionbio(&connection, true)?;
    rustix::io::ioctl_fionbio(&monitor, true)?;
    let error = give_up_standard_error()?;
    let confined = confine::confine(
        setup.confinement.as_ref(),
        setup.max_sessions,
        channels::MOST_FORWARDS,
    );
    if let Err(reason) = confined {
        rustix::stdio::dup2_stderr(&error)?;
        return Err(reason.into());
    }
    drop(error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(converse(connection, monitor, config, &setup))?;
    // Tasks that still wait for something have nothing to wait for.
    runtime.shutdown_background();
    Ok(())
}

/// It is the log of all processes: whoever holds it could write into it what others seem to say, and shut it
/// down. What was there is for the last word before the first byte is read.
fn give_up_standard_error() -> io::Result<OwnedFd> {
    let error = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
    let null = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(error)
}

/// Serves the connection until the client, the monitor or russh ends it.
async fn converse(
    connection: OwnedFd,
    monitor: Socket,
    config: Arc<Config>,
    setup: &NetworkSetup,
) -> io::Result<()> {
    let tcp = TcpStream::from_std(std::net::TcpStream::from(connection))?;
    let flow = Arc::new(Flow::default());
    let stream = Stream::new(tcp, Arc::clone(&flow));
    let (link, mut ended) = Link::new(monitor)?;
    let handler = Connection::new(link, flow, setup);
    // Until the client has said who it is there is nobody to say anything to.
    let running = tokio::select! {
        running = run_stream(config, stream, handler) => running,
        _ = end(&mut ended) => return Ok(()),
    };
    let Ok(mut running) = running else {
        return Ok(());
    };
    let handle = running.handle();
    tokio::select! {
        // How it ended is in the log of the monitor, which notices that this process does.
        _ = &mut running => {}
        end = end(&mut ended) => if let End::Say(reason) = end {
            let _ = timeout(LAST_WORD, async {
                disconnect(&handle, reason).await;
                let _ = running.await;
            })
            .await;
        },
    }
    Ok(())
}

async fn end(ended: &mut watch::Receiver<Option<End>>) -> End {
    match ended.wait_for(Option::is_some).await {
        Ok(end) => end.clone().unwrap_or(End::Gone),
        Err(_) => End::Gone,
    }
}

async fn disconnect(handle: &Handle, reason: String) {
    // Gone already: nobody to tell.
    let _ = handle
        .disconnect(Disconnect::ByApplication, reason, String::new())
        .await;
}

fn config(setup: &NetworkSetup) -> Result<Config, Box<dyn Error>> {
    let keys: Result<Vec<_>, _> = setup
        .host_keys
        .iter()
        .map(|key| PrivateKey::from_openssh(key.0.as_bytes()))
        .collect();
    Ok(Config {
        server_id: SshId::Standard("SSH-2.0-otpgate".into()),
        methods: method_set(&setup.methods),
        auth_rejection_time: REFUSAL,
        // To `none`, which asks what there is.
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: keys?,
        limits: limits(setup)?,
        window_size: WINDOW,
        maximum_packet_size: LARGEST_PACKET,
        event_buffer_size: MOST_PIECES,
        preferred: algorithms::OFFERED,
        max_auth_attempts: MOST_REFUSALS,
        inactivity_timeout: None,
        keepalive_interval: seconds(setup.client_alive_interval),
        keepalive_max: usize::try_from(setup.client_alive_count_max)?,
        ..Config::default()
    })
}

/// When keys are changed. More than 1 GiB would let a nonce come twice, and russh panics.
fn limits(setup: &NetworkSetup) -> Result<Limits, Box<dyn Error>> {
    let bytes = usize::try_from(setup.rekey_bytes.min(1 << 30))?;
    let time = Duration::from_secs(setup.rekey_seconds);
    Ok(Limits::new(bytes, bytes, time))
}

fn seconds(number: u64) -> Option<Duration> {
    (number > 0).then(|| Duration::from_secs(number))
}
