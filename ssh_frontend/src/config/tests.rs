//! Every key, every bound, and what an error says.

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("sshd.toml")).map_err(|error| error.to_string())
}

#[test]
fn an_empty_file_means_the_documented_defaults() {
    let config = parse("").unwrap();
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.listen[1], "[::]:2222".parse().unwrap());
    assert_eq!(config.login_grace_time, Duration::from_secs(120));
    assert_eq!(
        config.max_startups,
        MaxStartups {
            begin: 10,
            rate: 30,
            full: 100
        }
    );
    assert_eq!(
        config.authentication_methods,
        [vec![Method::KeyboardInteractive]]
    );
    assert_eq!(config.rekey_bytes, 1 << 30);
    assert_eq!(config.client_alive_interval, Duration::ZERO);
    assert_eq!(config.permit_sessions, SessionKind::ALL);
    assert!(!config.permit_root_login && config.permit_open.is_empty());
}

const EVERY_KEY: &str = r#"
    listen = ["127.0.0.1:0", "[::1]:22"]
    host_keys = ["/k1", "/k2"]
    pam_service = "ssh-otp"
    pam_confdir = "/srv/pam.d"
    authentication_methods = ["keyboard-interactive", "publickey,keyboard-interactive"]
    authorized_keys_file = "/etc/keys/%u"
    permit_root_login = true
    allow_users = ["a*"]
    deny_users = ["ann"]
    allow_groups = ["sftp"]
    deny_groups = ["?"]
    login_grace_time = "1m 30s"
    max_auth_tries = 3
    max_startups = 7
    per_source_max_startups = 2
    max_sessions = 4
    banner = "/etc/issue.net"
    accept_env = ["LANG"]
    permit_sessions = ["sftp"]
    sftp_server = "/usr/libexec/sftp-server"
    permit_open = ["*:22", "db:*", "[::1]:80"]
    client_alive_interval = "15s"
    client_alive_count_max = 2
    rekey_limit = "512M"
    rekey_interval = "30m"
    proxy_protocol_from = ["10.0.0.0/8", "::1"]
    network_user = "nobody"
    chroot_directory = "/run/empty"
"#;

#[test]
fn every_key_is_read() {
    let config = parse(EVERY_KEY).unwrap();
    assert_eq!(config.host_keys, [Path::new("/k1"), Path::new("/k2")]);
    assert_eq!(config.authentication_methods.len(), 2);
    assert_eq!(
        config.authentication_methods[1],
        [Method::PublicKey, Method::KeyboardInteractive]
    );
    assert_eq!(config.login_grace_time, Duration::from_secs(90));
    assert_eq!(config.max_startups.begin, 7);
    assert_eq!(config.max_startups.full, 7);
    assert_eq!(config.rekey_bytes, 512 << 20);
    assert_eq!(config.permit_sessions, [SessionKind::Sftp]);
    let open: Vec<_> = config
        .permit_open
        .iter()
        .map(|to| (to.host.as_deref(), to.port))
        .collect();
    assert_eq!(
        open,
        [
            (None, Some(22)),
            (Some("db"), None),
            (Some("::1"), Some(80))
        ]
    );
    assert!(config.is_proxy("10.1.2.3".parse().unwrap()));
    assert!(config.is_proxy("::1".parse().unwrap()));
    assert!(!config.is_proxy("192.0.2.1".parse().unwrap()));
}

#[test]
fn what_is_shown_can_be_read_again() {
    for text in ["", EVERY_KEY] {
        let config = parse(text).unwrap();
        let shown = toml::to_string(&File::from(&config)).unwrap();
        assert_eq!(parse(&shown).unwrap(), config, "{shown}");
    }
}

#[test]
fn a_configuration_survives_the_way_to_a_monitor() {
    let config = parse(EVERY_KEY).unwrap();
    let bytes = postcard::to_stdvec(&config).unwrap();
    assert_eq!(postcard::from_bytes::<Config>(&bytes).unwrap(), config);
}

#[test]
fn errors_name_line_key_and_what_would_be_right() {
    for (text, expected) in [
        (
            "\nlisten_on = []",
            "sshd.toml:2: unknown key \"listen_on\"; the nearest is \"listen\"",
        ),
        (
            "max_session = 1",
            "sshd.toml:1: unknown key \"max_session\"; the nearest is \"max_sessions\"",
        ),
        ("listen = []", "sshd.toml:1: listen: an empty list"),
        (
            "# x\nlisten = [\"*:22\"]",
            "sshd.toml:2: listen: \"*:22\" is no address with a port",
        ),
        (
            "listen = [\"[::]:22\", \"[::]:22\"]",
            "sshd.toml:1: listen: [::]:22 is there twice",
        ),
        ("listen = [\n  22,\n]", "sshd.toml:2: listen: invalid type"),
        ("host_keys = [\"key\"]", "\"key\" is no absolute path"),
        (
            "host_keys = [\"/a\",\"/b\",\"/c\",\"/d\",\"/e\"]",
            "5 items, 4 are the most",
        ),
        ("sftp_server = \"/a/../b\"", "is no absolute path"),
        ("pam_service = \"../passwd\"", "no name of a file in pam.d"),
        ("pam_service = \"Sshd\"", "lower-case"),
        ("pam_service = \"\"", "no name of a file in pam.d"),
        (
            "authentication_methods = [\"publickey\"]",
            "authentication_methods: \"publickey\" has to be",
        ),
        (
            "authentication_methods = [\"keyboard-interactive,publickey\"]",
            "every login ends with PAM's questions",
        ),
        ("authentication_methods = [\"none\"]", "has to be"),
        ("authentication_methods = []", "an empty list"),
        ("authorized_keys_file = \"%d/keys\"", "no other token"),
        ("authorized_keys_file = \"../keys\"", "without \"..\""),
        ("authorized_keys_file = \"keys%\"", "no other token"),
        ("allow_users = [\"a,b\"]", "several are items of the list"),
        ("allow_users = [\"!a\"]", "\"!\" is not known"),
        (
            "login_grace_time = \"0s\"",
            "login_grace_time: \"0s\" is no duration from \"1s\" to \"1h\"",
        ),
        ("login_grace_time = \"61m\"", "is no duration"),
        ("login_grace_time = \"500ms\"", "is no duration"),
        ("login_grace_time = 120", "login_grace_time: invalid type"),
        (
            "client_alive_interval = \"2days\"",
            "from \"0s\" to \"1day\"",
        ),
        ("max_auth_tries = 0", "0 is no number from 1 to 20"),
        ("max_auth_tries = -1", "-1 is no number from 1 to 20"),
        ("max_startups = \"10:0:100\"", "a rate from 1 to 100"),
        ("max_startups = \"10:101:100\"", "a rate from 1 to 100"),
        ("max_startups = \"11:30:10\"", "begin <= full"),
        ("max_startups = \"10:30\"", "begin:rate:full"),
        ("max_startups = 0", "max_startups: \"0\" is neither"),
        ("max_startups = true", "max_startups: takes a number or"),
        ("per_source_max_startups = 0", "no number from 1"),
        ("accept_env = [\"A=B\"]", "no name of a variable"),
        ("permit_sessions = [\"scp\"]", "none of \"shell\""),
        ("permit_open = [\"host\"]", "no \"host:port\""),
        ("permit_open = [\"host:0\"]", "no \"host:port\""),
        ("permit_open = [\"::1:22\"]", "no \"host:port\""),
        ("permit_open = [\":22\"]", "no \"host:port\""),
        ("rekey_limit = \"2G\"", "no size from \"1M\" to \"1G\""),
        ("rekey_limit = \"1\"", "no size"),
        ("rekey_limit = \"99999999999999999999G\"", "no size"),
        ("proxy_protocol_from = [\"lb\"]", "no network"),
        (
            "proxy_protocol_from = [\"::ffff:10.0.0.0/104\"]",
            "write it as IPv4",
        ),
        ("network_user = \"a b\"", "no name of a user"),
        ("listen = 'x", "sshd.toml:1: listen: "),
    ] {
        let error = parse(text).unwrap_err();
        assert!(
            error.contains(expected),
            "{text}: {error}\nexpected: {expected}"
        );
    }
}

#[test]
fn only_the_usual_file_may_be_absent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("absent.toml");
    assert!(matches!(
        Config::load(Some(&path)),
        Err(ConfigError::Missing(_))
    ));
}

#[test]
fn a_file_that_others_may_write_is_not_read() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sshd.toml");
    std::fs::write(&path, "max_sessions = 2").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(Config::load(Some(&path)).unwrap().max_sessions, 2);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).unwrap();
    let error = Config::load(Some(&path)).unwrap_err().to_string();
    assert!(error.contains("mode 0664"), "{error}");
}
