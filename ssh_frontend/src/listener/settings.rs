//! All that a new connection needs and that SIGHUP reads again: configuration, host keys, banner.

use std::path::Path;
use std::{error, fmt};

use otp_core::config::ConfigError;
use otp_core::store::error::StoreError;
use otp_core::store::safe_open::read_configuration;

use super::confinement::{self, ConfinementError};
use crate::config::Config;
use crate::host_keys::{self, HostKeyError};
use crate::protocol::HostKey;

/// Largest banner, in bytes.
const LARGEST_BANNER: u64 = 16 * 1024;

/// What was read.
#[derive(Debug)]
pub struct Settings {
    /// The configuration.
    pub config: Config,
    /// The host keys.
    pub host_keys: Vec<HostKey>,
    /// The banner's text.
    pub banner: Option<String>,
}

/// Why there are no settings.
#[derive(Debug)]
pub enum SettingsError {
    /// The configuration.
    Config(ConfigError),
    /// A host key.
    HostKey(HostKeyError),
    /// The banner is not there.
    NoBanner(std::path::PathBuf),
    /// The banner cannot be read, or must not be trusted.
    Banner(StoreError),
    /// Whom or where the network processes should be confined to.
    Confinement(ConfinementError),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::HostKey(error) => error.fmt(f),
            Self::NoBanner(path) => write!(
                f,
                "banner {}: is not there; make it, or leave the key out",
                path.display()
            ),
            Self::Banner(error) => write!(f, "banner {error}"),
            Self::Confinement(error) => error.fmt(f),
        }
    }
}

impl error::Error for SettingsError {}

impl Settings {
    /// Reads everything, changes nothing.
    ///
    /// # Errors
    /// The first thing that is wrong, with its cure.
    pub fn load(named: Option<&Path>) -> Result<Self, SettingsError> {
        let config = Config::load(named).map_err(SettingsError::Config)?;
        let host_keys = host_keys::load(&config.host_keys).map_err(SettingsError::HostKey)?;
        let banner = match &config.banner {
            Some(path) => Some(banner(path)?),
            None => None,
        };
        confinement::check(&config).map_err(SettingsError::Confinement)?;
        Ok(Self {
            config,
            host_keys,
            banner,
        })
    }
}

fn banner(path: &Path) -> Result<String, SettingsError> {
    let text = read_configuration(path, LARGEST_BANNER).map_err(SettingsError::Banner)?;
    text.ok_or_else(|| SettingsError::NoBanner(path.to_owned()))
}
