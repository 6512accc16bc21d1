//! An account as it stands in its file, where secrets may be sealed.

use zeroize::Zeroizing;

use super::{Account, AccountError, Token};
use crate::scratch::ScratchCodes;
use crate::seal::envelope::Sealable;
use crate::seal::{Context, KeyId, Keyring, OpenError, SealKey, Stored};
use crate::secret::{Secret, SecretError};

/// An account before its secrets are opened.
pub type StoredAccount = Account<Stored<Secret>, Stored<ScratchCodes>>;

/// Why a stored account cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredError {
    /// What stands there is wrong.
    Account(AccountError),
    /// A secret does not open.
    Seal(OpenError),
}

impl From<OpenError> for StoredError {
    fn from(error: OpenError) -> Self {
        Self::Seal(error)
    }
}

/// How the secrets of an account are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// None of them in clear, and none under another key than this one. So is an account without any.
    Sealed,
    /// One or more are in clear.
    Clear,
    /// All are sealed, and one or more with this other key.
    OtherKey(KeyId),
}

impl Sealable for Secret {
    fn to_plain(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.expose().to_vec())
    }

    fn from_plain(bytes: &[u8]) -> Option<Self> {
        Self::new(bytes.to_vec()).ok()
    }
}

impl StoredAccount {
    /// Reads the text of an account file, and opens nothing yet.
    ///
    /// # Errors
    /// [`AccountError`] with the line; the text is not repeated.
    pub fn parse(text: &str) -> Result<Self, AccountError> {
        super::parse(text)
    }

    /// With every secret opened.
    ///
    /// # Errors
    /// [`StoredError`].
    pub fn open(&self, keys: &Keyring) -> Result<Account, StoredError> {
        let mut tokens = Vec::with_capacity(self.tokens.len());
        for token in &self.tokens {
            let secret = token.secret.open(keys, &place(&self.user, token))?;
            tokens.push(token.with_secret(secret));
        }
        let scratch = match &self.scratch {
            Some(scratch) => Some(scratch.open(keys, &Context::scratch(&self.user))?),
            None => None,
        };
        let account = self.with_secrets(tokens, scratch);
        account.validate().map_err(StoredError::Account)?;
        Ok(account)
    }

    /// How its secrets are kept, where they ought to be sealed with `key`.
    #[must_use]
    pub fn kept(&self, key: Option<KeyId>) -> Kept {
        let tokens = self.tokens.iter().map(|token| token.secret.key());
        let keys = tokens.chain(self.scratch.iter().map(Stored::key));
        let mut kept = Kept::Sealed;
        for used in keys {
            match used {
                None => return Kept::Clear,
                Some(used) if Some(used) != key => kept = Kept::OtherKey(used),
                Some(_) => {}
            }
        }
        kept
    }

    /// Whether any of its secrets is sealed.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        let mut tokens = self.tokens.iter();
        tokens.any(|token| token.secret.key().is_some())
            || self
                .scratch
                .as_ref()
                .is_some_and(|scratch| scratch.key().is_some())
    }
}

impl Account {
    /// The text of its file with every secret sealed.
    ///
    /// # Errors
    /// As [`Account::to_toml`], and when the kernel has no random bytes to give.
    pub fn to_sealed_toml(&self, key: &SealKey) -> Result<Zeroizing<String>, AccountError> {
        self.validate()?;
        let sealed = self
            .seal(key)
            .map_err(|error| AccountError(error.to_string()))?;
        super::to_text(&sealed)
    }

    fn seal(&self, key: &SealKey) -> Result<StoredAccount, SecretError> {
        let mut tokens = Vec::with_capacity(self.tokens.len());
        for token in &self.tokens {
            let secret = Stored::seal(&token.secret, key, &place(&self.user, token))?;
            tokens.push(token.with_secret(secret));
        }
        let scratch = match &self.scratch {
            Some(scratch) => Some(Stored::seal(scratch, key, &Context::scratch(&self.user))?),
            None => None,
        };
        Ok(self.with_secrets(tokens, scratch))
    }
}

impl<S> Token<S> {
    fn with_secret<T>(&self, secret: T) -> Token<T> {
        Token {
            id: self.id.clone(),
            serial: self.serial,
            kind: self.kind.clone(),
            secret,
            algorithm: self.algorithm,
            digits: self.digits,
            label: self.label.clone(),
            issuer: self.issuer.clone(),
            created: self.created,
            services: self.services.clone(),
            enabled: self.enabled,
        }
    }
}

impl<S, C> Account<S, C> {
    fn with_secrets<T, D>(&self, tokens: Vec<Token<T>>, scratch: Option<D>) -> Account<T, D> {
        Account {
            version: self.version,
            user: self.user.clone(),
            generation: self.generation,
            enabled: self.enabled,
            created: self.created,
            invite: self.invite.clone(),
            scratch,
            tokens,
            recovery: self.recovery.clone(),
        }
    }
}

/// What the secret of a device is bound to.
fn place<S>(user: &str, token: &Token<S>) -> Context {
    Context::device(user, &token.id, token.serial.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{hotp_token, totp_token};
    use super::*;
    use crate::hotp::Code;
    use crate::totp::UnixTime;
    use crate::user_name::UserName;

    fn account() -> Account {
        let mut account = Account::new(&UserName::from("alice"), UnixTime(1));
        account.tokens = vec![totp_token("phone"), hotp_token("key")];
        let code = Code::parse(b"12345678").unwrap();
        account.scratch = Some(ScratchCodes::new(&[code]).unwrap());
        account
    }

    #[test]
    fn a_sealed_account_opens_to_what_it_was_and_shows_nothing() {
        let key = SealKey::generate().unwrap();
        let text = account_text(&account(), &key);
        let stored = StoredAccount::parse(&text).unwrap();
        let opened = stored.open(&Keyring::new(vec![key.clone()])).unwrap();
        assert_eq!(opened.tokens, account().tokens);
        let code = Code::parse(b"12345678").unwrap();
        assert!(opened.scratch.unwrap().find(&code).is_some());
        for token in account().tokens {
            assert!(!text.contains(&*token.secret.to_base32()));
        }
        assert!(
            !text.contains("hashes"),
            "scratch codes can be guessed from their hashes"
        );
        assert_eq!(stored.kept(Some(key.id())), Kept::Sealed);
        assert_eq!(stored.kept(None), Kept::OtherKey(key.id()));
    }

    fn account_text(account: &Account, key: &SealKey) -> Zeroizing<String> {
        account.to_sealed_toml(key).unwrap()
    }

    #[test]
    fn secrets_do_not_open_elsewhere() {
        let key = SealKey::generate().unwrap();
        let keys = Keyring::new(vec![key.clone()]);
        let stored = StoredAccount::parse(&account_text(&account(), &key)).unwrap();
        let broken = Err(StoredError::Seal(OpenError::Broken));
        let mut bobs = stored.clone();
        bobs.user = "bob".into();
        assert_eq!(
            bobs.open(&keys),
            broken,
            "an account renamed to another user"
        );
        let mut swapped = stored.clone();
        swapped.tokens[0].secret = stored.tokens[1].secret.clone();
        swapped.tokens[1].secret = stored.tokens[0].secret.clone();
        assert_eq!(
            swapped.open(&keys),
            broken,
            "secrets of two devices swapped"
        );
        let none = Keyring::default();
        let no_key = Err(StoredError::Seal(OpenError::NoKey(key.id())));
        assert_eq!(stored.open(&none), no_key);
    }

    #[test]
    fn clear_and_sealed_may_stand_side_by_side() {
        let key = SealKey::generate().unwrap();
        let mut stored = StoredAccount::parse(&account_text(&account(), &key)).unwrap();
        stored.tokens[0].secret = Stored::Clear(account().tokens[0].secret.clone());
        let text = super::super::to_text(&stored).unwrap();
        let stored = StoredAccount::parse(&text).unwrap();
        assert_eq!(stored.kept(Some(key.id())), Kept::Clear);
        let opened = stored.open(&Keyring::new(vec![key])).unwrap();
        assert_eq!(opened.tokens, account().tokens);
    }
}
