//! A store in a directory of its own, and what is enrolled there.
#![allow(dead_code, clippy::unwrap_used)] // Each test program uses a part of it.

use std::path::PathBuf;

use otp_core::account::{Account, Kind, Serial, Token};
use otp_core::hotp::{Algorithm, Digits};
use otp_core::secret::Secret;
use otp_core::state::State;
use otp_core::store::FilesStore;
use otp_core::store::administration::init;
use otp_core::store::bulk::Enrolment;
use otp_core::totp::{Period, UnixTime};
use otp_core::user_name::UserName;
use tempfile::TempDir;

/// When everything was enrolled.
pub const NOW: UnixTime = UnixTime(1_700_000_000);

/// A new store.
pub struct Scene {
    /// For other files of a test; the store is in it.
    pub directory: TempDir,
    /// The store's directory, without a symlink in it.
    pub path: PathBuf,
    pub store: FilesStore,
    /// Whom most tests are about.
    pub alice: UserName,
}

impl Scene {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("state");
        let store = init(&path).unwrap();
        Self {
            directory,
            path,
            store,
            alice: UserName::from("alice"),
        }
    }

    /// One in which alice has these devices.
    pub fn with(tokens: Vec<Token>) -> Self {
        let scene = Self::new();
        let enrolment = enrolment("alice", tokens);
        let administration = scene.store.administer().unwrap();
        administration
            .create(&enrolment.user, enrolment.account, enrolment.state)
            .unwrap();
        drop(administration);
        scene
    }

    pub fn account_file(&self) -> PathBuf {
        self.path.join("accounts/alice.toml")
    }

    pub fn state_file(&self) -> PathBuf {
        self.path.join("state/alice")
    }
}

/// A user of whom nothing is used up.
pub fn enrolment(user: &str, tokens: Vec<Token>) -> Enrolment {
    let user = UserName::from(user);
    let mut account = Account::new(&user, NOW);
    account.tokens = tokens;
    let state = State::new(&account);
    Enrolment {
        user,
        account,
        state,
    }
}

/// What makes a device with a clock.
pub fn totp() -> Kind {
    Kind::Totp {
        period: Period::default(),
    }
}

/// A device with a secret of its own.
pub fn token(id: &str, kind: Kind) -> Token {
    Token {
        id: id.into(),
        serial: Serial::generate().unwrap(),
        kind,
        secret: Secret::generate().unwrap(),
        algorithm: Algorithm::Sha1,
        digits: Digits::SIX,
        label: String::new(),
        issuer: String::new(),
        created: NOW,
        services: None,
        enabled: true,
    }
}
