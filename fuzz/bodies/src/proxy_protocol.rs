//! PROXY headers: exactly the header is taken, however the bytes arrive.

use ssh_frontend::proxy_protocol::{Parsed, ProxyError, parse};

pub fn proxy_protocol(data: &[u8]) {
    match parse(data) {
        Ok(Parsed::Header(header)) => {
            assert!(header.length <= data.len());
            let exact = &data[..header.length];
            assert!(matches!(parse(exact), Ok(Parsed::Header(same)) if same == header));
            // Every beginning of it belongs to it: bytes are taken from the socket on that word.
            for length in 0..header.length {
                let begun = parse(&data[..length]);
                assert!(matches!(begun, Ok(Parsed::NeedMore)), "{length} bytes");
            }
            let source = header.source.map(|source| source.ip());
            assert_eq!(source.map(|ip| ip.to_canonical()), source);
        }
        Ok(Parsed::NeedMore) => assert!(data.len() < 4096, "it ends some time"),
        Err(ProxyError::NotAHeader | ProxyError::TooLong | ProxyError::Malformed(_)) => {}
        Err(error) => panic!("{error} without a connection"),
    }
}
