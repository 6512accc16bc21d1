//! The listening sockets.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{error, fmt, io};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with, bind, getsockname,
    listen, socket_with, sockopt,
};

/// Connections that wait for us to accept them.
const BACKLOG: i32 = 128;

/// A listening socket.
#[derive(Debug)]
pub struct Listening {
    /// What the configuration says.
    pub wanted: SocketAddr,
    /// What it became: port 0 stands for any.
    pub bound: SocketAddr,
    fd: OwnedFd,
}

/// A connection.
#[derive(Debug)]
pub struct Accepted {
    /// It blocks, and is closed on exec.
    pub fd: OwnedFd,
    /// The other end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
}

/// Why an address is not listened on.
#[derive(Debug)]
pub struct ListenError {
    /// Which.
    pub address: SocketAddr,
    /// Why.
    pub error: Errno,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cure = match self.error {
            Errno::ADDRINUSE => "; another program is there: `ss -ltnp` shows which",
            Errno::ADDRNOTAVAIL => "; the host has no such address: `ip addr` shows which it has",
            Errno::ACCESS => "; ports below 1024 are root's",
            _ => "",
        };
        let error = io::Error::from(self.error);
        write!(f, "listen: {}: {error}{cure}", self.address)
    }
}

impl error::Error for ListenError {}

impl ListenError {
    /// Whether it is IPv6 on a host that has none, which the default has to live with.
    #[must_use]
    pub fn is_missing_ipv6(&self) -> bool {
        let none = matches!(self.error, Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL);
        self.address.is_ipv6() && self.address.ip().is_unspecified() && none
    }
}

impl Listening {
    /// Begins to listen there.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn open(wanted: SocketAddr) -> Result<Self, ListenError> {
        let open = || {
            let family = match wanted {
                SocketAddr::V4(_) => AddressFamily::INET,
                SocketAddr::V6(_) => AddressFamily::INET6,
            };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let fd = socket_with(family, SocketType::STREAM, flags, None)?;
            sockopt::set_socket_reuseaddr(&fd, true)?;
            if wanted.is_ipv6() {
                // So that 0.0.0.0 can have the same port, and a peer's address has one form.
                sockopt::set_ipv6_v6only(&fd, true)?;
            }
            bind(&fd, &wanted)?;
            listen(&fd, BACKLOG)?;
            let bound = ip_address(getsockname(&fd)?)?;
            Ok(Self { wanted, bound, fd })
        };
        open().map_err(|error| ListenError {
            address: wanted,
            error,
        })
    }

    /// Takes the next connection; None when there is none.
    ///
    /// # Errors
    /// When the system has no room for it.
    pub fn accept(&self) -> Result<Option<Accepted>, Errno> {
        let (fd, peer) = match acceptfrom_with(&self.fd, SocketFlags::CLOEXEC) {
            Ok((fd, Some(peer))) => (fd, peer),
            // accept(2): these are troubles of the one connection, which is gone.
            Ok((_, None))
            | Err(
                Errno::AGAIN
                | Errno::INTR
                | Errno::CONNABORTED
                | Errno::NETDOWN
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH
                | Errno::TIMEDOUT,
            ) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Gone already: nobody to serve.
        let (Ok(peer), Ok(local)) = (ip_address(peer), getsockname(&fd).and_then(ip_address))
        else {
            return Ok(None);
        };
        let _ = sockopt::set_tcp_nodelay(&fd, true);
        // A client that vanishes is noticed after the two hours that the system gives it, if not before.
        let _ = sockopt::set_socket_keepalive(&fd, true);
        Ok(Some(Accepted { fd, peer, local }))
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Listens on these addresses instead, and tells which are new. What stays is not closed for a moment.
///
/// # Errors
/// [`ListenError`] for an address that cannot be had, and nothing has changed; unless it was taken by a
/// socket of ours that had to be closed first.
pub fn change(
    sockets: &mut Vec<Listening>,
    wanted: &[SocketAddr],
) -> Result<Vec<SocketAddr>, ListenError> {
    let is_open = |address: &&SocketAddr| sockets.iter().any(|open| open.wanted == **address);
    let missing: Vec<SocketAddr> = wanted.iter().filter(|a| !is_open(a)).copied().collect();
    let mut new = Vec::new();
    let mut in_use = Vec::new();
    for address in missing {
        match Listening::open(address) {
            Ok(socket) => new.push(socket),
            Err(error) if error.is_missing_ipv6() && wanted.len() > 1 => {}
            // Perhaps by one that goes: 0.0.0.0 gives way to 127.0.0.1.
            Err(error) if error.error == Errno::ADDRINUSE && !sockets.is_empty() => {
                in_use.push(address);
            }
            Err(error) => return Err(error),
        }
    }
    sockets.retain(|open| wanted.contains(&open.wanted));
    let mut result = Ok(());
    for address in in_use {
        match Listening::open(address) {
            Ok(socket) => new.push(socket),
            Err(error) => result = Err(error),
        }
    }
    let bound = new.iter().map(|socket| socket.bound).collect();
    sockets.append(&mut new);
    result.map(|()| bound)
}

fn ip_address(address: SocketAddrAny) -> Result<SocketAddr, Errno> {
    SocketAddr::try_from(address)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn localhost(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn both_families_have_the_same_port() {
        let four = Listening::open("0.0.0.0:0".parse().unwrap()).unwrap();
        let six = SocketAddr::new("::".parse().unwrap(), four.bound.port());
        match Listening::open(six) {
            Ok(six) => assert_eq!(six.bound.port(), four.bound.port()),
            Err(error) => assert!(error.is_missing_ipv6(), "{error}"),
        }
    }

    #[test]
    fn an_accepted_connection_blocks_and_does_not_wait_for_more() {
        let listening = Listening::open(localhost(0)).unwrap();
        assert!(listening.accept().unwrap().is_none());
        let client = TcpStream::connect(listening.bound).unwrap();
        let accepted = listening.accept().unwrap().unwrap();
        assert_eq!(accepted.peer, client.local_addr().unwrap());
        assert_eq!(accepted.local, listening.bound);
        let flags = rustix::fs::fcntl_getfl(&accepted.fd).unwrap();
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
        let flags = rustix::io::fcntl_getfd(&accepted.fd).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        assert!(sockopt::tcp_nodelay(&accepted.fd).unwrap());
        assert!(sockopt::socket_keepalive(&accepted.fd).unwrap());
    }

    #[test]
    fn a_change_keeps_what_stays_and_closes_what_goes() {
        let mut sockets = Vec::new();
        let first = change(&mut sockets, &[localhost(0)]).unwrap();
        assert_eq!(first.len(), 1);
        assert!(change(&mut sockets, &[localhost(0)]).unwrap().is_empty());
        assert_eq!(sockets[0].bound, first[0]);
        let other = "127.0.0.2:0".parse().unwrap();
        change(&mut sockets, &[other]).unwrap();
        assert_eq!(sockets.len(), 1);
        assert!(TcpStream::connect(first[0]).is_err());
    }

    #[test]
    fn an_address_of_our_own_that_goes_is_not_in_the_way() {
        let mut sockets = Vec::new();
        let any = "0.0.0.0:0".parse().unwrap();
        let port = change(&mut sockets, &[any]).unwrap()[0].port();
        change(&mut sockets, &[localhost(port)]).unwrap();
        assert_eq!(sockets.len(), 1);
        assert_eq!(sockets[0].bound, localhost(port));
    }

    #[test]
    fn an_address_that_cannot_be_had_changes_nothing() {
        let mut sockets = Vec::new();
        let first = change(&mut sockets, &[localhost(0)]).unwrap();
        let foreign = "192.0.2.1:0".parse().unwrap();
        let error = change(&mut sockets, &[foreign]).unwrap_err();
        assert!(error.to_string().contains("no such address"), "{error}");
        assert!(TcpStream::connect(first[0]).is_ok());
        let taken = Listening::open(first[0]).unwrap_err().to_string();
        assert!(taken.contains("another program is there"), "{taken}");
    }
}
