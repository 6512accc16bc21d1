//! Key URIs: what is read is written, and read again as the same.

use otp_core::key_uri::KeyUri;

pub fn key_uri(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(uri) = KeyUri::parse(text) else {
        return;
    };
    let written = uri.expose();
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'+';
    assert!(written.bytes().all(plain), "phones stumble over these");
    let again = KeyUri::parse(&written).expect("what was written can be read");
    assert_eq!(again, uri);
}
