//! The module under test as a parameter: the product, or the peer that asks the same prompts.
//!
//! With `OTPGATE_E2E_MODULE=google-authenticator` the tests that need only prompts and codes run
//! against the peer: if they pass there and fail with the product, the harness is not to blame.

use crate::google_authenticator::{self, Kind};
use crate::oath;
use crate::otpgate::Otpgate;
use crate::sandbox::Sandbox;
use crate::users::User;
use std::env;

/// A PAM module that asks `Verification code: `.
pub enum Module<'a> {
    /// `pam_otpgate.so`.
    Otpgate(Otpgate<'a>),
    /// `pam_google_authenticator.so`.
    GoogleAuthenticator,
}

/// A user's means of making codes.
pub struct Device {
    secret: String,
    first: Option<u64>,
    /// Codes that work once each, whatever the time or counter.
    pub recovery_codes: Vec<String>,
}

impl<'a> Module<'a> {
    /// The product, unless the environment asks for the peer.
    pub fn under_test(sandbox: &'a Sandbox) -> Self {
        match env::var("OTPGATE_E2E_MODULE").as_deref() {
            Ok("google-authenticator") => Self::GoogleAuthenticator,
            Ok(other) => panic!("OTPGATE_E2E_MODULE={other} is not known"),
            Err(_) => Self::Otpgate(Otpgate::install(sandbox, "")),
        }
    }

    /// For pam.d.
    pub fn auth_line(&self) -> String {
        match self {
            Self::Otpgate(otpgate) => otpgate.auth_line(""),
            Self::GoogleAuthenticator => google_authenticator::AUTH_LINE.to_owned(),
        }
    }

    /// Enrols a time-based device.
    pub fn enrol_totp(&self, user: &User) -> Device {
        self.enrol(user, Kind::Totp)
    }

    /// Enrols a counter-based device.
    pub fn enrol_hotp(&self, user: &User) -> Device {
        self.enrol(user, Kind::Hotp)
    }

    fn enrol(&self, user: &User, kind: Kind) -> Device {
        let counter = |first| matches!(kind, Kind::Hotp).then_some(first);
        match self {
            Self::Otpgate(otpgate) => {
                let option = if counter(0).is_some() {
                    "--hotp"
                } else {
                    "--totp"
                };
                let enrolled = otpgate.enroll(&user.name, &[option]);
                let recovery_codes = enrolled.recovery_codes;
                Device {
                    secret: enrolled.secret,
                    first: counter(0),
                    recovery_codes,
                }
            }
            Self::GoogleAuthenticator => {
                let secret = google_authenticator::enrol(user, kind);
                let recovery_codes = google_authenticator::SCRATCH_CODES
                    .map(str::to_owned)
                    .into();
                Device {
                    secret,
                    first: counter(1),
                    recovery_codes,
                }
            }
        }
    }
}

impl Device {
    /// The `n`th code of a counter-based device, from 0; the code of now of a time-based one.
    pub fn code(&self, n: u64) -> String {
        match self.first {
            Some(first) => oath::hotp(&self.secret, first + n, 6),
            None => oath::totp(&self.secret, None, "sha1", 6),
        }
    }

    /// The code of a time-based device at `at`, in seconds since 1970.
    pub fn code_at(&self, at: u64) -> String {
        oath::totp(&self.secret, Some(at), "sha1", 6)
    }
}
