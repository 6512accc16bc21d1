//! The two configuration files.

use std::path::Path;

use otp_core::config::{Config, ConfigError};
use otp_core::matching::MAX_SKEW;
use otp_core::rules::{Login, first_match};
use otp_core::source::Origin;
use otp_core::state::burnt::REACH;

const PATH: &str = "/etc/otpgate/otpgate.toml";

pub fn otpgate_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let config = match Config::parse(text, Path::new(PATH)) {
        Ok(config) => config,
        Err(error) => return names_a_line(&error, text),
    };
    // What the policy takes for granted, whatever stands in the file.
    let reach = config.parameters.reach;
    assert!(reach.totp_window <= reach.totp_resync && reach.totp_resync <= MAX_SKEW);
    assert!(reach.hotp_look_ahead <= reach.hotp_resync && reach.hotp_resync < REACH);
    let limits = config.parameters.limits;
    assert!((1..=100).contains(&limits.max_failures));
    assert!(limits.known_source_allowance < limits.max_failures);
    assert!(limits.wait(u16::MAX) <= limits.longest_wait);
    assert!(config.state_dir.is_absolute());
    let login = Login {
        names: &[b"alice".to_vec()],
        service: "sshd",
        origin: Origin::Opaque,
    };
    let groups = || Ok::<_, ()>(vec![b"staff".to_vec()]);
    let (then, position) = first_match(&config.rules, &login, groups).unwrap();
    match position {
        Some(position) => assert_eq!(config.rules[position].then, then),
        None => assert_eq!(then, Default::default()),
    }
}

fn names_a_line(error: &ConfigError, text: &str) {
    let ConfigError::Text { line, .. } = error else {
        panic!("{error}: no file was read");
    };
    assert!((1..=text.split('\n').count()).contains(line), "{error}");
    assert!(error.to_string().starts_with(PATH));
}

pub fn sshd_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match ssh_frontend::config::Config::parse(text, Path::new(PATH)) {
        Ok(config) => {
            assert!(!config.authentication_methods.is_empty());
            // A network process that was taken over can claim a key: a full factor has to follow.
            for methods in &config.authentication_methods {
                let last = methods.last().copied();
                assert_eq!(
                    last,
                    Some(ssh_frontend::config::Method::KeyboardInteractive)
                );
            }
            // It is handed to monitors in this form.
            let bytes = postcard::to_stdvec(&config).unwrap();
            let again: ssh_frontend::config::Config = postcard::from_bytes(&bytes).unwrap();
            assert_eq!(postcard::to_stdvec(&again).unwrap(), bytes);
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with(PATH), "{text}");
        }
    }
}
