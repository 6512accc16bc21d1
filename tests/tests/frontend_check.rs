//! `otpgate check` over otpgate-sshd: it says what the server would not start with, and what lets people in
//! without a code.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tests::built;
use tests::frontend;
use tests::otpgate::Otpgate;
use tests::sandbox;

const CONFIG: &str = "/etc/otpgate/otpgate-sshd.toml";
const LINE: &str = "auth required pam_otpgate.so";
const KEY: &str = "/etc/otpgate/ssh_host_ed25519_key";

#[test]
fn a_server_whose_stack_asks_for_the_code_is_clean() {
    let codes = check(|| {
        write(
            "/etc/pam.d/otpgate-sshd",
            &format!("@include common-auth\n{LINE}\n@include common-account\n"),
        );
        write(CONFIG, &configuration(""));
    });
    assert_eq!(codes, [""; 0]);
}

#[test]
fn a_stack_without_our_line_lets_people_in_without_a_code() {
    let codes = check(|| {
        write(
            "/etc/pam.d/otpgate-sshd",
            "@include common-auth\n@include common-account\n",
        );
        write(CONFIG, &configuration(""));
    });
    assert_eq!(codes, ["frontend-asks-no-code"]);
}

#[test]
fn a_private_directory_of_services_is_where_it_is_looked_for() {
    let codes = check(|| {
        fs::create_dir("/etc/otpgate/pam.d").unwrap();
        write(
            "/etc/otpgate/pam.d/files",
            &format!("auth required pam_unix.so\n{LINE}\naccount required pam_unix.so\n"),
        );
        write(
            CONFIG,
            &configuration("pam_service = \"files\"\npam_confdir = \"/etc/otpgate/pam.d\""),
        );
    });
    assert_eq!(codes, [""; 0]);
}

#[test]
fn a_configuration_that_the_server_refuses_is_an_error() {
    let codes = check(|| {
        write("/etc/pam.d/otpgate-sshd", "@include common-auth\n");
        write(CONFIG, &configuration("max_auth_trys = 3"));
    });
    assert_eq!(codes, ["frontend-refuses"]);
}

#[test]
fn without_a_configuration_nothing_is_said() {
    assert_eq!(check(|| ()), [""; 0]);
}

/// The codes about the server, on a host made by `prepare`.
fn check(prepare: impl FnOnce() + Send) -> Vec<String> {
    sandbox::run(|sandbox| {
        let otpgate = Otpgate::install(sandbox, "");
        host_key();
        otpgate.install_module();
        prepare();
        let server = built::release("OTPGATE_SSHD", "otpgate-sshd");
        let run = otpgate.run(&[
            "--json",
            "check",
            "--otpgate-sshd",
            server.to_str().unwrap(),
        ]);
        let findings: Value =
            serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        let findings = findings.as_array().unwrap().iter();
        let codes = findings.map(|finding| finding["code"].as_str().unwrap().to_owned());
        codes.filter(|code| code.starts_with("frontend-")).collect()
    })
}

fn host_key() {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", KEY])
        .status();
    assert!(made.unwrap().success());
    frontend::install();
}

fn configuration(more: &str) -> String {
    format!("listen = [\"127.0.0.1:2222\"]\nhost_keys = [\"{KEY}\"]\n{more}\n")
}

fn write(path: &str, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
}
