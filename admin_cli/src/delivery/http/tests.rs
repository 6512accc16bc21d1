//! Values of any kind stay values: in forms, JSON, addresses and header lines.

use otp_core::hotp::Code;

use super::*;
use otp_core::config::{Config as Settings, Way};

fn message(user: &str) -> Message {
    Message {
        code: Code::parse(b"012345").unwrap(),
        user: user.into(),
        address: "+44 1632&960123".into(),
        source: "192.0.2.7".into(),
        lifetime: 60,
        host: "host".into(),
    }
}

/// The request of a channel with these settings: its address, headers, body.
fn request(settings: &str, user: &str) -> Result<(String, String, String), SendError> {
    let text = format!("[channel.x]\nkind = \"http\"\n{settings}");
    let config = Settings::parse(&text, std::path::Path::new("x")).unwrap();
    let Way::Http(http) = &config.channels["x"].way else {
        panic!("no request");
    };
    let message = message(user);
    let request = Values::new(http, &message)?.request(http)?;
    let mut headers: Vec<String> = Vec::new();
    for (name, value) in request.headers() {
        headers.push(format!("{name}: {}", value.to_str().unwrap()));
    }
    let body = String::from_utf8(request.body().clone()).unwrap();
    Ok((request.uri().to_string(), headers.join("\n"), body))
}

#[test]
fn values_do_not_break_out_of_a_form() {
    let form =
        "url = \"https://a.example/\"\nform = { to = \"{address}\", text = \"{user}: {code}\" }";
    let (_, headers, body) = request(form, "a&to=b%20c=d").unwrap();
    assert_eq!(headers, "content-type: application/x-www-form-urlencoded");
    assert_eq!(
        body,
        "text=a%26to%3Db%2520c%3Dd%3A%20012345&to=%2B44%201632%26960123"
    );
}

#[test]
fn values_do_not_break_out_of_json() {
    let json = "url = \"https://a.example/\"\njson = { text = \"{user}\", n = [1, true, { c = \"{code}\" }] }";
    let (_, headers, body) = request(json, "a\", \"text\": \"\\").unwrap();
    assert_eq!(headers, "content-type: application/json");
    let read: JsonValue = serde_json::from_str(&body).unwrap();
    let expected =
        serde_json::json!({ "text": "a\", \"text\": \"\\", "n": [1, true, { "c": "012345" }] });
    assert_eq!(read, expected);
}

#[test]
fn values_do_not_break_out_of_an_address() {
    let get = "method = \"GET\"\nurl = \"https://a.example/{user}?c={code}\"";
    let (url, headers, body) = request(get, "../?#&x=é").unwrap();
    assert_eq!(url, "https://a.example/..%2F%3F%23%26x%3D%C3%A9?c=012345");
    assert_eq!((headers.as_str(), body.as_str()), ("", ""));
}

#[test]
fn values_do_not_break_out_of_a_header() {
    let header =
        "url = \"https://a.example/\"\nheaders = { Title = \"for {user}\" }\nbody = \"{code}\"";
    let (_, headers, body) = request(header, "alice").unwrap();
    assert!(headers.contains("title: for alice"), "{headers}");
    assert_eq!(body, "012345");
    let error = request(header, "a\r\nX: y").unwrap_err();
    assert_eq!(error.to_string(), "the header Title is none");
}

#[test]
fn secrets_come_from_files_that_nobody_else_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "s3cret\n").unwrap();
    let settings = format!(
        "url = \"https://a.example/\"\nuser = \"us\"\npassword_file = {path:?}\ntoken_file = {path:?}\nform = {{ \
         token = \"{{token}}\", c = \"{{code}}\" }}"
    );
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
    mode(0o640).unwrap();
    let error = request(&settings, "alice").unwrap_err().to_string();
    assert!(error.contains("640"), "{error}");
    mode(0o600).unwrap();
    let (_, headers, body) = request(&settings, "alice").unwrap();
    assert!(
        headers.contains("authorization: Basic dXM6czNjcmV0"),
        "{headers}"
    );
    assert_eq!(body, "c=012345&token=s3cret");
    std::fs::write(&path, "two\nlines").unwrap();
    assert!(request(&settings, "alice").is_err());
}
