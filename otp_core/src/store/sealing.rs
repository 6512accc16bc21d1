//! Whether this store's secrets are sealed, and the keys that open them.
//!
//! `seal.toml` in the state directory says whether new secrets are sealed, with which key, and where the key
//! file is; it holds nothing secret. Every login reads both files, whatever its user has, so that the calls
//! are the same for everybody.
//!
//! Nothing here falls back: with a key that is missing, not the right one or readable by others, secrets are
//! neither opened nor written.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::{Problem, StoreError};
use super::safe_open::{Directory, read_private};
use crate::account::Account;
use crate::account::stored::{StoredAccount, StoredError};
use crate::seal::key::LARGEST_FILE;
use crate::seal::{KeyId, Keyring, OpenError, SealKey};

/// The file that says so.
pub const SETTINGS_FILE: &str = "seal.toml";
const LARGEST_SETTINGS: u64 = 8192;

/// The text of `seal.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whether secrets are sealed when they are written. `false` while `otpgate seal off` is at work.
    pub on: bool,
    /// The key that they are sealed with.
    pub key: KeyId,
    /// Where the keys are.
    pub key_file: PathBuf,
}

impl Settings {
    pub(super) fn to_text(&self) -> String {
        let text = toml::to_string(self).unwrap_or_default();
        format!("# Written by `otpgate seal`.\n{text}")
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
        let settings: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if settings.key_file.is_absolute() {
            return Ok(settings);
        }
        Err("key_file: takes an absolute path".to_owned())
    }
}

/// What `seal.toml` says, and the keys that were found.
#[derive(Debug, Clone, Default)]
pub struct Sealing {
    settings: Option<Settings>,
    keys: Keyring,
}

impl Sealing {
    /// Reads the settings and the key file. Missing keys are an error only when one is needed.
    pub(super) fn load(root: &Directory) -> Result<Self, StoreError> {
        let Some(text) = root.read(SETTINGS_FILE, LARGEST_SETTINGS)? else {
            return Ok(Self::default());
        };
        let settings = Settings::parse(&text).map_err(|what| {
            StoreError::new(&root.join(SETTINGS_FILE), Problem::SealSettings(what))
        })?;
        let keys = read_keys(&settings.key_file)?.unwrap_or_default();
        Ok(Self {
            settings: Some(settings),
            keys,
        })
    }

    /// What `seal.toml` says; `None` when it is not there.
    #[must_use]
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// The keys of the key file.
    #[must_use]
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// The key that secrets are to be sealed with; `None` when they are to be in clear.
    ///
    /// # Errors
    /// [`Problem::SealKeyMissing`], [`Problem::SealKeyUnknown`].
    pub(super) fn key(&self) -> Result<Option<&SealKey>, StoreError> {
        match &self.settings {
            Some(settings) if settings.on => match self.keys.get(settings.key) {
                Some(key) => Ok(Some(key)),
                None => Err(self.no_key(settings.key)),
            },
            _ => Ok(None),
        }
    }

    /// The text of an account file, sealed where that is wanted.
    pub(super) fn account_text(&self, account: &Account) -> Result<Zeroizing<String>, StoreError> {
        let text = match self.key()? {
            Some(key) => account.to_sealed_toml(key),
            None => account.to_toml(),
        };
        text.map_err(|error| {
            StoreError::new(
                Path::new(&account.user),
                Problem::Refused(error.to_string()),
            )
        })
    }

    /// Opens what stands in an account file. A key that this process does not know may have been made by a
    /// rotation since the store was opened: so it looks again, once.
    pub(super) fn open(
        &self,
        root: &Directory,
        stored: &StoredAccount,
        path: &Path,
    ) -> Result<Account, StoreError> {
        match stored.open(&self.keys) {
            Err(StoredError::Seal(OpenError::NoKey(_))) => {
                let now = Self::load(root)?;
                let opened = stored.open(&now.keys);
                opened.map_err(|error| now.cannot_open(root, path, error))
            }
            opened => opened.map_err(|error| self.cannot_open(root, path, error)),
        }
    }

    fn cannot_open(&self, root: &Directory, path: &Path, error: StoredError) -> StoreError {
        match error {
            StoredError::Account(error) => {
                StoreError::new(path, Problem::DamagedAccount(error.to_string()))
            }
            StoredError::Seal(OpenError::Broken) => StoreError::new(path, Problem::SealBroken),
            StoredError::Seal(OpenError::NoKey(_)) if self.settings.is_none() => {
                StoreError::new(&root.join(SETTINGS_FILE), Problem::SealSettingsMissing)
            }
            StoredError::Seal(OpenError::NoKey(id)) => self.no_key(id),
        }
    }

    fn no_key(&self, id: KeyId) -> StoreError {
        let path = self.settings.as_ref().map(|settings| &*settings.key_file);
        let problem = match self.keys.count() {
            0 => Problem::SealKeyMissing(id),
            _ => Problem::SealKeyUnknown(id),
        };
        StoreError::new(path.unwrap_or(Path::new(SETTINGS_FILE)), problem)
    }
}

/// Reads a key file; `None` when there is none.
///
/// # Errors
/// [`Problem::SealKey`] for a file that others may read, that is a link, or no key file.
pub(super) fn read_keys(path: &Path) -> Result<Option<Keyring>, StoreError> {
    let bytes = read_private(path, LARGEST_FILE).map_err(|error| error.of(Problem::SealKey))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map_err(|_| "not UTF-8".to_owned());
    let keys = text.and_then(Keyring::parse);
    keys.map(Some)
        .map_err(|what| StoreError::new(path, Problem::SealKeyText(what)))
}
