//! A TCP proxy that says first for whom it speaks (the PROXY protocol), or whatever else it is told.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::thread;

/// Version 1: a line.
pub fn version_1(source: SocketAddrV4, destination: SocketAddrV4) -> Vec<u8> {
    let (from, to) = (source.ip(), destination.ip());
    let (from_port, to_port) = (source.port(), destination.port());
    format!("PROXY TCP4 {from} {to} {from_port} {to_port}\r\n").into_bytes()
}

/// Version 2: signature, version and command, family, length, addresses.
pub fn version_2(source: SocketAddrV4, destination: SocketAddrV4) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x21, 0x11, 0, 12]);
    header.extend(source.ip().octets());
    header.extend(destination.ip().octets());
    header.extend(source.port().to_be_bytes());
    header.extend(destination.port().to_be_bytes());
    header
}

/// Carries every connection to `port`, `header` first. Returns the port to connect to; it works as
/// long as the test program.
pub fn before(port: u16, header: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            // A server that hangs up at once is what some tests want.
            let _ = client.and_then(|client| carry(client, port, &header));
        }
    });
    own
}

fn carry(client: TcpStream, port: u16, header: &[u8]) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.write_all(header)?;
    let other_way = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || pump(client, server));
    thread::spawn(move || pump(other_way.0, other_way.1));
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
