//! Samples. What can be run is in `examples/`, what can be copied in `pam.d/`, `sshd_config.d/` and
//! `otpgate.toml`; `tests/` loads all of it.
