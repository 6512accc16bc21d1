//! Every kind with its keys, and what an error says.

use std::path::Path;

use super::*;
use crate::config::Config;

fn channel(text: &str) -> Result<Channel, String> {
    let text = format!("[channel.x]\n{text}");
    let config = Config::parse(&text, Path::new("otpgate.toml"));
    let mut channels = config.map_err(|error| error.to_string())?.channels;
    Ok(channels.remove("x").unwrap())
}

#[test]
fn mail_has_usual_ports_and_texts() {
    for (settings, host, port) in [
        ("server = \"mail.example.org\"", "mail.example.org", 587),
        (
            "server = \"mail.example.org\"\nsecurity = \"tls\"",
            "mail.example.org",
            465,
        ),
        ("server = \"[::1]\"\nsecurity = \"plain\"", "::1", 25),
        ("server = \"[2001:db8::1]:2525\"", "2001:db8::1", 2525),
        (
            "server = \"localhost:26\"\nsecurity = \"plain\"",
            "localhost",
            26,
        ),
    ] {
        let text = format!("kind = \"smtp\"\nfrom = \"a@example.org\"\n{settings}");
        let Way::Smtp(smtp) = channel(&text).unwrap().way else {
            panic!("{text}");
        };
        assert_eq!((smtp.host.as_str(), smtp.port), (host, port), "{text}");
        assert!(smtp.body.to_string().contains("{code}"));
    }
}

#[test]
fn every_key_of_a_request_is_read() {
    let text = r#"
        kind = "http"
        on_demand = false
        url = "https://api.example.org/{user}"
        method = "PUT"
        headers = { Authorization = "Bearer {token}" }
        json = { text = "{code}", list = ["a", 1, true], nested = { to = "{address}" } }
        token_file = "/etc/otpgate/token"
        user = "us"
        password_file = "/etc/otpgate/password"
        ca_file = "/etc/otpgate/ca.pem"
        success = [200, 202]
    "#;
    let channel = channel(text).unwrap();
    assert_eq!(channel.on_demand, Some(false));
    let (secrets, ca) = channel.way.files();
    assert_eq!((secrets.len(), ca.is_some()), (2, true));
    let Way::Http(http) = &channel.way else {
        panic!("no request");
    };
    assert_eq!(http.method, Method::Put);
    assert!(matches!(&http.body, Body::Json(json) if json.templates().len() == 3));
}

#[test]
fn errors_name_the_channel_the_key_and_what_would_be_right() {
    let http = "kind = \"http\"\nurl = \"https://a.example/\"\n";
    let smtp = "kind = \"smtp\"\nfrom = \"a@example.org\"\n";
    for (text, expected) in [
        (
            "kind = \"smpt\"".to_owned(),
            "otpgate.toml:2: kind: unknown variant",
        ),
        (
            format!("{http}sbuject = \"x\""),
            "otpgate.toml:4: unknown key \"sbuject\"; the nearest is \"subject\"",
        ),
        (
            format!("{http}form = {{ a = \"{{cdoe}}\" }}"),
            "unknown place {cdoe}; the nearest is {code}",
        ),
        (
            format!("{http}body = \"{{code}}\"\nsubject = \"x\""),
            "otpgate.toml:5: [channel.x] subject: is no key of kind \"http\"",
        ),
        (
            format!("{http}body = \"{{code}}\"\nform = {{ a = \"b\" }}"),
            "only one of form, json and body",
        ),
        (
            format!("{http}body = \"x\""),
            "no text has a place for {code}",
        ),
        (
            format!("{http}body = \"{{code}}{{token}}\""),
            "{token} in a text and token_file belong together",
        ),
        (
            format!("{http}body = \"{{code}}\"\ntoken_file = \"/a\""),
            "{token} in a text and token_file belong together",
        ),
        (
            format!("{http}body = \"{{code}}\"\nmethod = \"GET\""),
            "GET has no body",
        ),
        (
            format!("{http}body = \"{{code}}\"\nuser = \"a\""),
            "user and password_file belong together",
        ),
        (
            format!("{http}body = \"{{code}}\"\nuser = \"a\"\npassword_file = \"a\""),
            "password_file: takes an absolute path",
        ),
        (
            format!("{http}body = \"{{code}}\"\nsuccess = [500]"),
            "success: takes status codes from 200 to 399",
        ),
        (
            "kind = \"http\"\nurl = \"http://a.example/{code}\"".into(),
            "url: http:// is for this host only",
        ),
        (
            "kind = \"http\"\nurl = \"http://127.0.0.1.example/{code}\"".into(),
            "url: http:// is for this host only",
        ),
        (
            "kind = \"http\"\nurl = \"https://{address}/{code}\"".into(),
            "url: begins with https://, a host and a slash",
        ),
        (
            "kind = \"http\"\nurl = \"https://a.example{address}/{code}\"".into(),
            "url: begins with https://, a host and a slash",
        ),
        (
            "kind = \"http\"\nurl = \"https://a:b@c.example/{code}\"".into(),
            "url: a password does not stand in the configuration",
        ),
        (
            smtp.into(),
            "[channel.x] server: is missing; kind \"smtp\" needs it",
        ),
        (
            format!("{smtp}server = \"mail.example.org\"\nsecurity = \"plain\""),
            "security: \"plain\" is for a relay on this host only",
        ),
        (
            format!("{smtp}server = \"a b\""),
            "server: takes a host, or a host and a port",
        ),
        (
            format!("{smtp}server = \"a\"\nbody = \"x\"\nsubject = \"y\""),
            "no text has a place for {code}",
        ),
        (
            "kind = \"command\"\nargv = []".into(),
            "argv: is missing; kind \"command\" needs it",
        ),
        (
            "kind = \"command\"\nargv = [\"page\"]".into(),
            "argv: the program is an absolute path",
        ),
        (
            "kind = \"command\"\nargv = [\"/bin/page\", \"{code}\"]".into(),
            "argv: {code} would stand in every list of processes",
        ),
    ] {
        let error = channel(&text).expect_err(&text);
        assert!(
            error.contains(expected),
            "{text:?} gives {error:?}, not {expected:?}"
        );
    }
}

#[test]
fn a_channel_that_looks_like_a_code_is_refused() {
    for name in ["123456", "SMS", "aaaaaaaaaaaaaaaaa"] {
        let text = format!("[channel.{name}]\nkind = \"command\"\nargv = [\"/bin/page\"]");
        let error = Config::parse(&text, Path::new("x"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("a channel's name has"), "{error}");
    }
}

#[test]
fn requests_without_tls_stay_on_this_host() {
    for url in [
        "http://127.0.0.1:8080/{code}",
        "http://[::1]/?{code}",
        "http://localhost/{code}",
    ] {
        let text = format!("kind = \"http\"\nurl = \"{url}\"\nmethod = \"GET\"");
        channel(&text).unwrap();
    }
}
