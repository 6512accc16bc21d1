//! Headers as proxies send them, and bytes as nobody should.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

fn source(bytes: &[u8]) -> Option<SocketAddr> {
    match parse(bytes).unwrap() {
        Parsed::Header(header) => header.source,
        Parsed::NeedMore => panic!("needs more"),
    }
}

#[test]
fn section_2_1_lines_of_version_1_are_read() {
    for (line, expected) in [
        (
            "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nSSH-2.0-x",
            Some("192.0.2.7:56324"),
        ),
        (
            "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
            Some("[2001:db8::1]:1"),
        ),
        (
            "PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n",
            Some("192.0.2.7:1"),
        ),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ffff:f...f:ffff 65535\r\n", None),
    ] {
        let expected = expected.map(|address| address.parse().unwrap());
        assert_eq!(source(line.as_bytes()), expected, "{line}");
    }
}

#[test]
fn section_2_2_headers_of_version_2_are_read() {
    let four = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 1, 187];
    let with_notes = [&four[..], &[0xea, 0, 2, b'h', b'i']].concat();
    let mut six = [0; 36];
    six[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    six[33] = 22;
    for (name, bytes, expected) in [
        ("IPv4", binary(0x21, 0x11, &four), Some("192.0.2.7:56324")),
        (
            "IPv4 with notes",
            binary(0x21, 0x11, &with_notes),
            Some("192.0.2.7:56324"),
        ),
        ("IPv6", binary(0x21, 0x21, &six), Some("[2001:db8::1]:22")),
        ("LOCAL", binary(0x20, 0x11, &four), None),
        ("LOCAL, empty", binary(0x20, 0, &[]), None),
        ("UNSPEC", binary(0x21, 0, &[1, 2, 3]), None),
    ] {
        let expected = expected.map(|address| address.parse().unwrap());
        assert_eq!(source(&bytes), expected, "{name}");
    }
}

#[test]
fn what_is_no_header_is_an_error_at_the_first_byte_that_shows_it() {
    for bytes in [
        &b"SSH-2.0-OpenSSH"[..],
        b"S",
        b"PROXX",
        b"\r\n\r\n\0\r\nQUIX",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
        b"PROXY \xff\r\n",
        b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
        &[b'P'; LONGEST_TEXT],
        &binary(0x11, 0x11, &[0; 12]),
        &binary(0x22, 0x11, &[0; 12]),
        &binary(0x21, 0x12, &[0; 12]),
        &binary(0x21, 0x31, &[0; 216]),
        &binary(0x21, 0x11, &[0; 11]),
        &binary(0x21, 0x21, &[0; 35]),
        &binary(0x21, 0x11, &[0; LONGEST_BINARY]),
    ] {
        assert!(parse(bytes).is_err(), "{bytes:?}");
    }
    let line = [TEXT_START, &[b'x'; LONGEST_TEXT]].concat();
    assert!(matches!(parse(&line), Err(ProxyError::TooLong)));
}

#[test]
fn section_2_1_the_longest_line_fits() {
    let ip = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let line = format!("PROXY UNKNOWN {ip} {ip} 65535 65535\r\n");
    assert_eq!(line.len(), LONGEST_TEXT);
    assert_eq!(source(line.as_bytes()), None);
}

#[test]
fn a_header_that_drips_is_taken_and_ssh_is_left() {
    let text = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n".to_vec();
    let bytes = binary(0x21, 0x11, &[192, 0, 2, 7, 0, 0, 0, 0, 0xdc, 4, 0, 0]);
    for header in [text, bytes] {
        for piece in [1, 7, 1000] {
            let (mut proxy, mut server) = UnixStream::pair().unwrap();
            let sent = [&header[..], b"SSH-2.0-x\r\n"].concat();
            let writer = std::thread::spawn(move || {
                for part in sent.chunks(piece) {
                    proxy.write_all(part).unwrap();
                    std::thread::yield_now();
                }
            });
            let read = read(&server, Instant::now() + Duration::from_secs(10)).unwrap();
            writer.join().unwrap();
            assert_eq!(read.source, Some("192.0.2.7:56324".parse().unwrap()));
            let mut rest = String::new();
            server.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "SSH-2.0-x\r\n");
        }
    }
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for() {
    let (mut proxy, server) = UnixStream::pair().unwrap();
    proxy.write_all(b"PROXY TC").unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    assert!(matches!(read(&server, soon), Err(ProxyError::TimedOut)));
    drop(proxy);
    let later = Instant::now() + Duration::from_secs(10);
    assert!(matches!(read(&server, later), Err(ProxyError::Closed)));
}

fn header_like() -> impl Strategy<Value = Vec<u8>> {
    let tail = proptest::collection::vec(any::<u8>(), 0..200);
    let start = prop_oneof![
        Just(Vec::new()),
        Just(TEXT_START.to_vec()),
        Just(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec()),
        Just(b"PROXY UNKNOWN ".to_vec()),
        Just(SIGNATURE.to_vec()),
        Just([SIGNATURE, &[0x21, 0x11, 0]].concat()),
        Just([SIGNATURE, &[0x21, 0x21, 0]].concat()),
    ];
    (start, tail).prop_map(|(start, tail)| [start, tail].concat())
}

proptest! {
    #[test]
    fn any_bytes_are_judged_and_a_header_is_the_same_without_what_follows(bytes in header_like()) {
        if let Ok(Parsed::Header(header)) = parse(&bytes) {
            prop_assert!(header.length <= bytes.len());
            let alone = &bytes[..header.length];
            prop_assert_eq!(parse(alone).unwrap(), Parsed::Header(header));
            // Every beginning of it is all header: nothing behind it can have been looked at.
            for end in 0..header.length {
                prop_assert_eq!(parse(&alone[..end]).unwrap(), Parsed::NeedMore);
            }
        }
    }
}
