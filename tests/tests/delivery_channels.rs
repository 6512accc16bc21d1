//! Channels against what they are for: a mail server with TLS, an HTTPS service that answers as Pushover does, a
//! program. What a certificate, a password or an answer is worth, and what never stands in an error.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use tests::clients::python::Python;
use tests::delivery::{PUSHOVER_TOKEN, PUSHOVER_USER, Pager, Pki, Server, section};
use tests::installation::Installation;
use tests::processes::{Finished, wait_until};

/// An installation, an authority for certificates, Python.
struct Scene {
    installation: Installation,
    pki: Pki,
    python: Python,
}

impl Scene {
    fn new() -> Self {
        let python = Python::ready();
        let installation = Installation::new();
        let pki = Pki::new(&installation.path(""));
        Self {
            installation,
            pki,
            python,
        }
    }

    /// Sends a code by a channel with these settings.
    fn send(&self, settings: &str, address: &str) -> Finished {
        let more = "timeout = \"20s\"";
        self.installation.configure(&format!(
            "{}[channel.x]\n{settings}\n",
            section(self.installation.command(), more)
        ));
        self.installation.run(&["deliver", "--test", "x", address])
    }

    fn ca(&self) -> String {
        format!("ca_file = {:?}\n", self.pki.ca())
    }

    fn secret(&self, name: &str, text: &str) -> String {
        let path = self.installation.path(name);
        fs::write(&path, format!("{text}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        format!("{path:?}")
    }
}

/// The code that `deliver --test` says it sent.
fn code(finished: &Finished) -> String {
    assert!(finished.success(), "{finished:?}");
    let words = finished.stdout.split([' ', ',']);
    let mut codes =
        words.filter(|word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit()));
    codes.next_back().unwrap().to_owned()
}

#[track_caller]
fn refused(finished: &Finished, expected: &str) {
    assert_eq!(finished.status.unwrap().code(), Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains(expected),
        "{expected}: {finished:?}"
    );
}

fn smtp(server: &Server, rest: &str) -> String {
    let port = server.port;
    format!(
        "kind = \"smtp\"\nserver = \"127.0.0.1:{port}\"\nfrom = \"Gate <otpgate@example.org>\"\n{rest}"
    )
}

#[test]
fn mail_arrives_by_starttls_by_tls_and_by_a_relay_on_this_host() {
    let scene = Scene::new();
    for mode in ["starttls", "tls", "plain"] {
        let server = Server::mail(&scene.python, &scene.pki, mode, None);
        let ca = if mode == "plain" {
            String::new()
        } else {
            scene.ca()
        };
        let settings = smtp(&server, &format!("security = \"{mode}\"\n{ca}"));
        let code = code(&scene.send(&settings, "alice@example.org"));
        let mail = &server.told()[0];
        assert_eq!(mail["from"], "otpgate@example.org", "{mode}");
        assert_eq!(mail["to"][0], "alice@example.org", "{mode}");
        assert_eq!(mail["automatic"], "auto-generated", "{mode}");
        assert_eq!(mail["tls"], mode != "plain", "{mode}");
        let body = mail["body"].as_str().unwrap();
        assert!(
            body.starts_with(&code) && body.contains("60 seconds"),
            "{body}"
        );
        let subject = mail["subject"].as_str().unwrap();
        assert!(
            subject.starts_with("Your verification code for "),
            "{subject}"
        );
    }
}

#[test]
fn mail_with_a_password_of_a_file_and_texts_of_ones_own() {
    let scene = Scene::new();
    let login = Some(("relay", "s3cret pass"));
    let server = Server::mail(&scene.python, &scene.pki, "starttls", login);
    let own = "subject = \"Grüße, {user}\"\nbody = \"{{{code}}} von {source}\"\n";
    let settings = |password: &str| {
        let file = scene.secret("password", password);
        let ca = scene.ca();
        smtp(
            &server,
            &format!("{own}user = \"relay\"\npassword_file = {file}\n{ca}"),
        )
    };
    let code = code(&scene.send(&settings("s3cret pass"), "alice@example.org"));
    let mail = server.told().remove(0);
    assert_eq!(mail["subject"], "Grüße, somebody");
    assert_eq!(
        mail["body"].as_str().unwrap().trim_end(),
        format!("{{{code}}} von local")
    );
    assert_eq!(mail["login"], "relay");
    let wrong = scene.send(&settings("another"), "alice@example.org");
    refused(&wrong, "127.0.0.1 port ");
    assert!(!wrong.stderr.contains("another"), "{wrong:?}");
    let open = scene.installation.path("password");
    fs::set_permissions(open, Permissions::from_mode(0o644)).unwrap();
    let settings = settings("s3cret pass");
    fs::set_permissions(
        scene.installation.path("password"),
        Permissions::from_mode(0o644),
    )
    .unwrap();
    refused(&scene.send(&settings, "alice@example.org"), "password");
    assert_eq!(server.told().len(), 1);
}

#[test]
fn mail_goes_to_nobody_who_cannot_be_trusted() {
    let scene = Scene::new();
    let server = |mode| Server::mail(&scene.python, &scene.pki, mode, None);
    // The system does not know the authority of this test.
    let stranger = server("tls");
    let settings = smtp(&stranger, "security = \"tls\"\n");
    refused(&scene.send(&settings, "alice@example.org"), "certificate");
    // Somebody on the way has taken STARTTLS out of the offer.
    let stripped = server("plain");
    let settings = smtp(
        &stripped,
        &format!("security = \"starttls\"\n{}", scene.ca()),
    );
    refused(
        &scene.send(&settings, "alice@example.org"),
        "127.0.0.1 port ",
    );
    for server in [stranger, stripped] {
        assert_eq!(server.told().len(), 0);
    }
}

#[test]
fn a_refusal_is_told_without_what_the_server_repeats() {
    let scene = Scene::new();
    let server = Server::mail(&scene.python, &scene.pki, "plain", None);
    let settings = smtp(&server, "security = \"plain\"\n");
    let finished = scene.send(&settings, "refused@example.org");
    refused(&finished, "ADDRESS");
    refused(&finished, "does not want CODE");
    assert!(!finished.stderr.contains("refused@"), "{finished:?}");
    for address in [
        "alice",
        "a b@example.org",
        "alice@example.org\r\nRCPT TO:<bob@example.org>",
    ] {
        let finished = scene.send(&settings, address);
        assert_eq!(finished.status.unwrap().code(), Some(2), "{address:?}");
    }
}

#[test]
fn a_push_service_takes_the_fields_that_it_documents() {
    let scene = Scene::new();
    let server = Server::push(&scene.python, &scene.pki);
    let settings = |token: &str| {
        let (port, ca, file) = (server.port, scene.ca(), scene.secret("token", token));
        format!(
            "kind = \"http\"\nurl = \"https://127.0.0.1:{port}/1/messages.json\"\ntoken_file = {file}\n{ca}\
             form = {{ token = \"{{token}}\", user = \"{{address}}\", message = \"Code {{code}} & more\", ttl = \
             \"{{lifetime}}\" }}"
        )
    };
    let code = code(&scene.send(&settings(PUSHOVER_TOKEN), PUSHOVER_USER));
    let form = &server.told()[0]["form"];
    assert_eq!(form["message"], format!("Code {code} & more"));
    assert_eq!(form["ttl"], "60");
    let finished = scene.send(&settings(PUSHOVER_TOKEN), "somebodyElse");
    refused(&finished, "127.0.0.1 answered with status 400");
    refused(&finished, "user identifier is not a valid user");
    let finished = scene.send(&settings("wrongToken"), PUSHOVER_USER);
    refused(&finished, "application token is invalid");
    assert!(!finished.stderr.contains("wrongToken"), "{finished:?}");
}

#[test]
fn a_request_goes_nowhere_else() {
    let scene = Scene::new();
    let server = Server::push(&scene.python, &scene.pki);
    let request = |path: &str, rest: &str| {
        let port = server.port;
        format!("kind = \"http\"\nurl = \"https://127.0.0.1:{port}{path}\"\n{rest}\n")
    };
    let body = "body = \"{code}\"";
    let ca = scene.ca();
    // Neither to a server that nobody vouches for,
    let finished = scene.send(&request("/hook", body), "a");
    refused(&finished, "certificate");
    assert_eq!(server.told().len(), 0);
    // nor after a redirect,
    let finished = scene.send(&request("/redirect", &format!("{body}\n{ca}")), "a");
    refused(&finished, "answered with status 302");
    assert_eq!(server.told().len(), 1);
    // nor through a proxy of the environment's.
    let mut command = scene.installation.otpgate(&["deliver", "--test", "x", "a"]);
    scene.send(&request("/hook", &format!("{body}\n{ca}")), "a");
    command.env("https_proxy", "http://127.0.0.1:9");
    assert!(tests::installation::finish(&mut command, "").success());
    assert_eq!(server.told().len(), 3);
}

#[test]
fn a_request_has_a_deadline_and_its_errors_hold_no_secret() {
    let scene = Scene::new();
    let server = Server::push(&scene.python, &scene.pki);
    let (port, ca) = (server.port, scene.ca());
    let token = scene.secret("token", "t0ken");
    let request = |path: &str| {
        format!(
            "kind = \"http\"\nurl = \"https://127.0.0.1:{port}{path}\"\n{ca}token_file = {token}\nmethod = \
             \"PUT\"\nheaders = {{ Authorization = \"Bearer {{token}}\" }}\njson = {{ text = \"{{code}}\", to = \
             \"{{address}}\" }}"
        )
    };
    let finished = scene.send(&request("/echo"), "someWhere");
    refused(&finished, "answered with status 500");
    refused(&finished, "CODE");
    for secret in ["t0ken", "someWhere"] {
        assert!(!finished.stderr.contains(secret), "{finished:?}");
    }
    let told = server.told().remove(0);
    assert_eq!(told["headers"]["authorization"], "Bearer t0ken");
    assert!(
        !finished
            .stderr
            .contains(told["json"]["text"].as_str().unwrap())
    );
    let settings = request("/slow");
    scene.installation.configure(&format!(
        "{}[channel.x]\n{settings}\n",
        section(scene.installation.command(), "timeout = \"1s\"")
    ));
    let finished = scene.installation.run(&["deliver", "--test", "x", "a"]);
    refused(&finished, "127.0.0.1");
}

#[test]
fn a_program_finds_the_code_on_standard_input_and_nowhere_else() {
    let scene = Scene::new();
    let pager = Pager::new(&scene.installation.path(""));
    let file = pager.file();
    let file = file.display();
    pager.behave(&format!(
        "{{ read code; echo \"$code\"; tr '\\0' ' ' < /proc/$$/cmdline; echo; env; }} > {file}; pwd >> {file}"
    ));
    let channel = pager.channel("y", "");
    let settings = channel.split_once('\n').unwrap().1;
    let code = code(&scene.send(settings, "+44 1632"));
    let paged = pager.paged();
    assert_eq!(paged[0], code);
    assert!(paged[1].contains("+44 1632"), "{paged:?}");
    assert!(
        paged
            .iter()
            .any(|line| line == "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
    );
    assert_eq!(
        paged.iter().filter(|line| line.contains(&code)).count(),
        1,
        "{paged:?}"
    );
    assert_eq!(paged.last().unwrap(), "/");
    let dash = scene.send(settings, "-rf");
    assert_eq!(dash.status.unwrap().code(), Some(2), "{dash:?}");
}

#[test]
fn a_program_that_fails_or_hangs_is_told_and_ended() {
    let scene = Scene::new();
    let pager = Pager::new(&scene.installation.path(""));
    let settings = pager.channel("x", "");
    let configure = |timeout: &str| {
        let delivery = section(scene.installation.command(), timeout);
        scene
            .installation
            .configure(&format!("{delivery}{settings}"));
        scene.installation.run(&["deliver", "--test", "x", "a"])
    };
    pager.behave("exit 3");
    refused(&configure(""), "exit status: 3");
    let file = pager.file();
    pager.behave(&format!(
        "trap '' TERM ALRM; sleep 600 & echo $! > {0}; echo $$ >> {0}; wait",
        file.display()
    ));
    refused(&configure("timeout = \"2s\""), "took longer than 2 s");
    for pid in pager.paged() {
        let stat = format!("/proc/{pid}/stat");
        let gone = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        wait_until("the program's end", gone);
    }
    let program = scene.installation.path("pager");
    fs::set_permissions(program, Permissions::from_mode(0o775)).unwrap();
    refused(&configure(""), "not a program of root's");
}

#[test]
fn an_enrolment_is_proved_by_the_code_that_arrives() {
    let scene = Scene::new();
    let pager = Pager::new(&scene.installation.path(""));
    let delivery = section(scene.installation.command(), "");
    let configuration = format!("{delivery}{}", pager.channel("sms", ""));
    scene.installation.configure(&configuration);
    let enrol = |answer: &dyn Fn(&str) -> String, count: usize| {
        let arguments = [
            "enroll",
            "alice",
            "--delivered",
            "sms:+441632960123",
            "--json",
        ];
        let mut child = scene
            .installation
            .otpgate(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let code = pager.code(count);
        let mut input = child.stdin.take().unwrap();
        input.write_all(answer(&code).as_bytes()).unwrap();
        drop(input);
        child.wait_with_output().unwrap()
    };
    let wrong = |code: &str| {
        let other = if code == "000000" { "000001" } else { "000000" };
        format!("{other}\n{other}\n{other}\n{code}\n")
    };
    assert_eq!(enrol(&wrong, 1).status.code(), Some(1));
    assert!(!scene.installation.run(&["show", "alice"]).success());
    let output = enrol(&|code| format!("{code}\n"), 2);
    assert!(output.status.success(), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["kind"], "delivered");
    assert_eq!(
        (&json["device"], &json["channel"]),
        (&"sms".into(), &"sms".into())
    );
    assert_eq!(json["address"], "+441632960123");
    assert_eq!(json["recovery_codes"].as_array().unwrap().len(), 10);
    // The code of the enrolment lets nobody in.
    let report = scene
        .installation
        .login("alice")
        .answer(&pager.code(2))
        .run();
    assert_eq!(report.code(), "PAM_AUTH_ERR");
}

#[test]
fn the_help_desk_sends_a_code_and_sees_what_there_is() {
    let scene = Scene::new();
    let pager = Pager::new(&scene.installation.path(""));
    let delivery = section(scene.installation.command(), "digits = 8\nbudget = 3");
    let configuration = format!("{delivery}{}", pager.channel("sms", ""));
    scene.installation.configure(&configuration);
    let enrol = ["enroll", "alice", "--no-confirm", "--delivered", "sms:+44"];
    scene.installation.must(&enrol);
    scene.installation.must(&["deliver", "alice"]);
    let code = pager.code(1);
    assert_eq!(code.len(), 8);
    refused(
        &scene.installation.run(&["deliver", "alice"]),
        "a code is on its way already",
    );
    let shown = scene.installation.show("alice");
    assert_eq!(shown["codes_sent_this_hour"], 1);
    assert_eq!(shown["devices"][0]["address"], "+44");
    let verify = scene
        .installation
        .answer(&["verify", "alice"], &code, tests::clock::Clock::Real);
    assert!(verify.success(), "{verify:?}");
    let report = scene.installation.login("alice").answer(&code).run();
    assert!(report.success(), "{report:?}");
    scene.installation.must(&["deliver", "alice"]);
    assert_ne!(pager.code(2), code);
    let list = scene.installation.must(&["list"]);
    assert!(list.stdout.contains("sms (delivered)"), "{list:?}");
    let export = scene.installation.must(&["export", "alice"]);
    assert_eq!(export.stdout, "", "there is no key");
}

#[test]
fn the_check_finds_what_keeps_codes_from_being_sent() {
    let scene = Scene::new();
    let pager = Pager::new(&scene.installation.path(""));
    let secret = scene.installation.path("absent");
    let open = scene.secret("open", "s3cret");
    fs::set_permissions(
        scene.installation.path("open"),
        Permissions::from_mode(0o640),
    )
    .unwrap();
    let delivery = "[delivery]\nprogram = \"/nonexistent/otpgate\"\n";
    let channels = format!(
        "{}{}[channel.push]\nkind = \"http\"\nurl = \"https://127.0.0.1/\"\ntoken_file = {secret:?}\nca_file = \
         {secret:?}\nbody = \"{{token}} {{code}}\"\n[channel.mail]\nkind = \"smtp\"\nserver = \
         \"mail.example.org\"\nfrom = \"nobody\"\nuser = \"a\"\npassword_file = {open}\n",
        pager.channel("sms", ""),
        pager.channel("old", ""),
    );
    scene
        .installation
        .configure(&format!("{delivery}{channels}"));
    let enrol = ["enroll", "alice", "--no-confirm", "--delivered", "old:+44"];
    scene.installation.must(&enrol);
    let without_old = channels.replace("[channel.old]", "[channel.new]");
    scene
        .installation
        .configure(&format!("{delivery}{without_old}"));
    let program = scene.installation.path("pager");
    fs::set_permissions(&program, Permissions::from_mode(0o777)).unwrap();
    let check = scene.installation.run(&["check", "--json"]);
    assert_eq!(check.status.unwrap().code(), Some(2), "{check:?}");
    let findings: serde_json::Value = serde_json::from_str(&check.stdout).unwrap();
    let found: Vec<&str> = findings
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    for (code, count) in [
        ("delivery-program", 1),
        ("channel-secret", 2),
        ("channel-certificates", 1),
        ("channel-sender", 1),
        ("channel-program", 1),
        ("channel-unknown", 1),
    ] {
        let number = found.iter().filter(|other| **other == code).count();
        assert_eq!(number, count, "{code}: {findings:#}");
    }
}
