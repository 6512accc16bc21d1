//! The first bytes of SSH, by hand (RFC 4253): what a server says to anybody who connects.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// The lists of a KEXINIT, in the order of RFC 4253, section 7.1.
#[derive(Debug)]
pub struct Algorithms {
    /// Key exchange methods.
    pub key_exchange: Vec<String>,
    /// Host key algorithms.
    pub host_key: Vec<String>,
    /// Ciphers, both directions.
    pub ciphers: [Vec<String>; 2],
    /// MACs, both directions.
    pub macs: [Vec<String>; 2],
    /// Compression, both directions.
    pub compression: [Vec<String>; 2],
}

/// The server's line of identification.
///
/// # Errors
/// When the connection ends instead.
pub fn identification(connection: &TcpStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::with_capacity(1, connection).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

/// What the server on this port offers.
pub fn algorithms(port: u16) -> Algorithms {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.write_all(b"SSH-2.0-test\r\n").unwrap();
    identification(&connection).unwrap();
    let payload = packet(&mut connection);
    // The message's number, and the cookie.
    assert_eq!(payload[0], 20, "no KEXINIT");
    let mut rest = &payload[17..];
    let mut list = || name_list(&mut rest);
    Algorithms {
        key_exchange: list(),
        host_key: list(),
        ciphers: [list(), list()],
        macs: [list(), list()],
        compression: [list(), list()],
    }
}

/// One packet before there are keys: length, length of padding, payload, padding.
fn packet(connection: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    connection.read_exact(&mut length).unwrap();
    let mut packet = vec![0; u32::from_be_bytes(length) as usize];
    connection.read_exact(&mut packet).unwrap();
    let padding = packet[0] as usize;
    packet[1..packet.len() - padding].to_vec()
}

fn name_list(rest: &mut &[u8]) -> Vec<String> {
    let (length, after) = rest.split_at(4);
    let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
    let (names, after) = after.split_at(length);
    *rest = after;
    let names = String::from_utf8(names.to_vec()).unwrap();
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
