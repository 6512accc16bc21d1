//! The other end of a `direct-tcpip` channel (RFC 4254, section 7.2).
//!
//! The user's process connects, not the server's: firewall rules by uid, and what identd says, hold.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long all addresses of a host together may take. A name service that hangs is ended by the monitor.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connects to the first address of the host that answers.
///
/// # Errors
/// That of the name service, or of the last address.
pub fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    first_that_answers(&addresses, PATIENCE)
}

/// Each address gets its share of the time that is left, so that one dead one does not use it up.
fn first_that_answers(addresses: &[SocketAddr], patience: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + patience;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for (left, address) in (1..=addresses.len() as u32).rev().zip(addresses) {
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        // Nothing at all would be an invalid argument.
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => {
                // The client's packets are the unit already: waiting for more only delays keystrokes.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listening_port_is_reached_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = connect("127.0.0.1", port).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(stream.local_addr().unwrap(), peer);
        assert!(stream.nodelay().unwrap());
    }

    #[test]
    fn an_address_that_refuses_is_followed_by_the_next() {
        let dead = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [dead.local_addr().unwrap(), live.local_addr().unwrap()];
        drop(dead);
        let stream = first_that_answers(&addresses, PATIENCE).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live.local_addr().unwrap());
    }

    #[test]
    fn an_address_that_stays_silent_costs_only_its_share_of_the_time() {
        // A full backlog drops what comes: the connection hangs without leaving the host.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&silent, 0).unwrap();
        let address = silent.local_addr().unwrap();
        let _full: Vec<_> = (0..4)
            .map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(50)))
            .collect();
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [address, live.local_addr().unwrap()];
        let stream = first_that_answers(&addresses, Duration::from_millis(400)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live.local_addr().unwrap());
    }

    #[test]
    fn what_is_no_host_is_an_error_at_once() {
        for host in ["", "a\0b", "256.256.256.256.", "::1%"] {
            assert!(connect(host, 1).is_err(), "{host:?}");
        }
    }
}
