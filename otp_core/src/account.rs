//! What was enrolled for a user. Written by administration only; a login never touches it.

mod kind;

use std::fmt;

pub use kind::{Kind, LONGEST_CHANNEL, check_address, check_channel};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hotp::{Algorithm, Digits, Generator};
use crate::invite::Invite;
use crate::key_uri::KeyUri;
use crate::recovery::{RecoveryId, StoredRecoveryCode};
use crate::scratch::ScratchCodes;
use crate::secret::{Secret, SecretError};
use crate::totp::UnixTime;
use crate::user_name::UserName;

pub mod stored;

/// The format that this version writes and reads.
pub const VERSION: u32 = 1;
/// Most devices of one user.
pub const MAX_TOKENS: usize = 16;
/// Most recovery codes of one user, scratch codes included.
pub const MAX_RECOVERY_CODES: usize = 20;
/// Longest device name, label or issuer, in bytes.
pub const LONGEST_TEXT: usize = 128;
/// Largest account file, in bytes; a full one has less than half of that.
pub const LARGEST_FILE: u64 = 64 * 1024;

/// Names one enrolment of one device for ever. A device that is enrolled again under its old name
/// gets a new serial, so that the state of the old secret can never be taken for that of the new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial(pub u64);

impl Serial {
    /// A random serial.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the kernel has no random bytes to give.
    pub fn generate() -> Result<Self, SecretError> {
        getrandom::u64().map(Self).map_err(|_| SecretError::Random)
    }
}

impl TryFrom<String> for Serial {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u64::from_str_radix(&text, 16).ok().filter(|_| plain);
        value
            .map(Self)
            .ok_or_else(|| "a serial has 16 hexadecimal digits".to_owned())
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> String {
        format!("{:016x}", serial.0)
    }
}

/// One device of a user. `S` is the secret, or what stands for it in the file; see [`stored`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token<S = Secret> {
    /// What the user calls it: `phone`, `yubikey`. Unique within the account.
    pub id: String,
    /// Which enrolment of it this is.
    pub serial: Serial,
    /// Time or counter based, or sent.
    #[serde(flatten)]
    pub kind: Kind,
    /// The shared key. Codes that are sent are not made from it: it keys the hash under which one waits in
    /// the state, so that the state alone does not tell it.
    pub secret: S,
    /// The hash.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// Digits of a code.
    pub digits: Digits,
    /// What the phone shows as the account name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// What the phone shows as the issuer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// When it was enrolled.
    #[serde(default)]
    pub created: UnixTime,
    /// PAM services it serves; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
    /// Whether its codes count.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

impl Token {
    /// Whether its codes count for this PAM service.
    #[must_use]
    pub fn serves(&self, service: &str) -> bool {
        let listed = |services: &Vec<String>| services.iter().any(|name| name == service);
        self.enabled && self.services.as_ref().is_none_or(listed)
    }

    /// What makes its codes.
    #[must_use]
    pub fn generator(&self) -> Generator {
        Generator::new(&self.secret, self.algorithm, self.digits)
    }

    /// Where its codes are sent: channel and address; `None` for a device that makes its own.
    #[must_use]
    pub fn destination(&self) -> Option<(&str, &str)> {
        match &self.kind {
            Kind::Delivered { channel, address } => Some((channel, address)),
            Kind::Totp { .. } | Kind::Hotp { .. } => None,
        }
    }

    /// What a phone has to be told. A device whose codes are sent has nothing to be told.
    #[must_use]
    pub fn key_uri(&self) -> KeyUri {
        let issuer = Some(self.issuer.clone()).filter(|issuer| !issuer.is_empty());
        KeyUri {
            issuer,
            account: if self.label.is_empty() {
                self.id.clone()
            } else {
                self.label.clone()
            },
            secret: self.secret.clone(),
            algorithm: self.algorithm,
            digits: self.digits,
            kind: self.kind.clone(),
        }
    }
}

/// Everything that was enrolled for one user. `S` and `C` are its secrets; see [`stored`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(deserialize = "S: Deserialize<'de>, C: Deserialize<'de>")
)]
pub struct Account<S = Secret, C = ScratchCodes> {
    /// [`VERSION`].
    pub version: u32,
    /// The user's name as it stands in the file name: a file that was copied to another name is damage.
    pub user: String,
    /// Goes up with every administrative change. The state carries it too, which ties the two together.
    pub generation: u64,
    /// Whether the user may log in with a code at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// When the account was made.
    #[serde(default)]
    pub created: UnixTime,
    /// The invite of somebody who has no device yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<Invite>,
    /// The scratch codes of an imported account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<C>,
    /// The devices.
    #[serde(default, rename = "token", skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Token<S>>,
    /// The recovery codes.
    #[serde(default, rename = "recovery", skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<StoredRecoveryCode>,
}

/// What is wrong with an account file. Says the line, never the text that stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountError(String);

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AccountError {}

impl Account {
    /// An account without devices.
    #[must_use]
    pub fn new(user: &UserName, now: UnixTime) -> Self {
        Self {
            version: VERSION,
            user: user.file_name().to_owned(),
            generation: 0,
            enabled: true,
            created: now,
            invite: None,
            scratch: None,
            tokens: Vec::new(),
            recovery: Vec::new(),
        }
    }

    /// The device of this name.
    #[must_use]
    pub fn token(&self, id: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.id == id)
    }

    /// The invite, which counts as long as there is no device.
    #[must_use]
    pub fn invite(&self) -> Option<&Invite> {
        self.invite.as_ref().filter(|_| self.tokens.is_empty())
    }

    /// The names of all recovery and scratch codes.
    pub fn recovery_ids(&self) -> impl Iterator<Item = RecoveryId> {
        let printed = self.recovery.iter().map(StoredRecoveryCode::id);
        printed.chain(self.scratch.iter().flat_map(ScratchCodes::ids))
    }

    /// The account as the text of its file.
    ///
    /// # Errors
    /// [`AccountError`] when a list is longer, or a text other, than what [`Account::from_toml`] reads.
    pub fn to_toml(&self) -> Result<Zeroizing<String>, AccountError> {
        self.validate()?;
        to_text(self)
    }

    /// Reads the text of an account file in which nothing is sealed.
    ///
    /// # Errors
    /// [`AccountError`] with the line; the file's text is not repeated, for it holds the secret.
    pub fn from_toml(text: &str) -> Result<Self, AccountError> {
        let account: Self = parse(text)?;
        account.validate()?;
        Ok(account)
    }

    fn validate(&self) -> Result<(), AccountError> {
        let fail = |text: String| Err(AccountError(text));
        if self.version != VERSION {
            return fail(format!(
                "format version {}, and this otpgate reads version {VERSION}",
                self.version
            ));
        }
        if self.tokens.len() > MAX_TOKENS {
            return fail(format!(
                "{} devices, and {MAX_TOKENS} are allowed",
                self.tokens.len()
            ));
        }
        let codes = self.recovery_ids().count();
        if codes > MAX_RECOVERY_CODES {
            return fail(format!(
                "{codes} recovery codes, and {MAX_RECOVERY_CODES} are allowed"
            ));
        }
        for (position, token) in self.tokens.iter().enumerate() {
            check_device_name(&token.id).map_err(AccountError)?;
            check_text("a label", &token.label).map_err(AccountError)?;
            check_text("an issuer", &token.issuer).map_err(AccountError)?;
            token.kind.check().map_err(AccountError)?;
            let earlier = self.tokens.iter().take(position);
            if earlier
                .clone()
                .any(|other| other.id == token.id || other.serial == token.serial)
            {
                return fail(format!("two devices named {} or with its serial", token.id));
            }
        }
        Ok(())
    }
}

fn to_text(account: &impl Serialize) -> Result<Zeroizing<String>, AccountError> {
    toml::to_string(account)
        .map(Zeroizing::new)
        .map_err(|_| AccountError("cannot be written as TOML".into()))
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, AccountError> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(0, |span| text.get(..span.start).map_or(0, count_lines));
        AccountError(format!("line {}: not what an account holds", line + 1))
    })
}

fn count_lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Device names stand in logs and on command lines: letters, digits, `_`, `-`, `.`, 1 to 32 bytes.
///
/// # Errors
/// The rule, in words.
pub fn check_device_name(id: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let valid = !id.is_empty() && id.len() <= 32 && id.bytes().all(plain) && !id.starts_with('-');
    if valid {
        return Ok(());
    }
    Err("a device name has 1 to 32 letters, digits, underscores, dashes or dots, and no dash in front".into())
}

/// Labels and issuers stand in key URIs, where a colon separates the two, and on phones.
///
/// # Errors
/// The rule, in words, about `what`.
pub fn check_text(what: &str, text: &str) -> Result<(), String> {
    if text.len() > LONGEST_TEXT || text.contains(':') || text.chars().any(char::is_control) {
        return Err(format!(
            "{what} has at most {LONGEST_TEXT} bytes, no colon and no control characters"
        ));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
