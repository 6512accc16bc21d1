//! Samples. What can be run is in `examples/`, what can be copied in `pam.d/`, `sshd_config.d/`,
//! `policies/`, `clients/` and `otpgate.toml`; `tests/` loads all of it.
