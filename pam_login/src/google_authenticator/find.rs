//! Which file is a user's, as whom it is opened, and whether it is there.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use otp_core::store::google_authenticator::UsersFile;
use otp_core::store::google_authenticator::base::Base;
use otp_core::store::google_authenticator::location::{
    self, locate, names_homes, names_users, shared_directory,
};
use otp_core::store::google_authenticator::place::Trust;
use otp_core::store::google_authenticator::text::SecretFile;
use otp_core::user_name::UserName;
use pam_ffi::nss::Account;

use super::{AsOwner, Line, OwnFile};
use crate::host::Host;
use crate::options::files::{DEFAULT_PERM, FileUser};

/// What there is of a user.
pub(crate) enum Found {
    /// A file that can be used.
    File(OwnFile, SecretFile),
    /// Certainly no file, or nobody of that name.
    Absent(String),
    /// Something else; why.
    Unusable(String),
    /// `user=` names nobody, so nobody can have a file.
    RefusedAtOnce(String),
}

impl Found {
    /// Whether there is certainly no file. What cannot be said for certain is no "no".
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent(_))
    }
}

/// Looks for the user's file.
pub(super) fn find(line: &Line<'_>, host: &impl Host) -> Found {
    let options = &line.options.files;
    let (account, home) = match &options.user {
        Some(fixed) => match fixed_user(host, fixed) {
            Ok(account) => (account, None),
            Err(why) => return Found::RefusedAtOnce(why),
        },
        None => match host.account(line.user) {
            Ok(Some(account)) => {
                let home = account.home.clone();
                (account, Some(home))
            }
            Ok(None) => return Found::Absent("nobody has this user name".into()),
            Err(error) => return Found::Unusable(format!("the name service: {error}")),
        },
    };
    // Some name services know ALICE as alice: under the name that was typed there is no file then, which must
    // not pass for "has none".
    let mut names = vec![line.user];
    if home.is_some() && account.name != line.user {
        names.push(&account.name);
    }
    let pattern = options.secret.as_deref().unwrap_or(location::DEFAULT);
    let mut absent = None;
    for name in names {
        let path = match locate(pattern, name, home.as_deref()) {
            Ok(path) => path,
            Err(error) => return Found::Unusable(error.to_string()),
        };
        let counted_as = if names_users(pattern) {
            name
        } else {
            &account.name
        };
        match look(
            line,
            host,
            &account,
            (path, UserName::new(counted_as)),
            pattern,
        ) {
            Found::Absent(why) => absent = absent.or(Some(why)),
            found => return found,
        }
    }
    Found::Absent(absent.unwrap_or_default())
}

fn fixed_user(host: &impl Host, user: &FileUser) -> Result<Account, String> {
    let (found, shown) = match user {
        FileUser::Name(name) => (host.account(name.as_bytes()), name.clone()),
        FileUser::Uid(uid) => (host.account_of_uid(*uid), uid.to_string()),
    };
    match found {
        Ok(Some(account)) => Ok(account),
        Ok(None) => Err(format!("user={shown}: there is no such user")),
        Err(error) => Err(format!("user={shown}: the name service: {error}")),
    }
}

fn look(
    line: &Line<'_>,
    host: &impl Host,
    account: &Account,
    (path, counted_as): (PathBuf, UserName),
    pattern: &str,
) -> Found {
    let options = &line.options.files;
    let own = OwnFile {
        file: UsersFile {
            path,
            trust: Trust {
                owner: (!options.no_strict_owner).then_some(account.identity.uid),
                mode: options.allowed_perm.unwrap_or(DEFAULT_PERM),
            },
            allow_readonly: options.allow_readonly,
        },
        identity: account.identity.clone(),
        counted_as,
    };
    let user = AsOwner {
        host,
        identity: &own.identity,
    };
    let shared = shared_directory(pattern);
    match own.file.look(&user) {
        Ok(Some(text)) => Found::File(own, text),
        // Not the path: with ${USER} it names whatever was typed, which may have been a password.
        Ok(None) => match own
            .file
            .check_absence(&user, base(account, pattern, &shared))
        {
            Ok(()) => Found::Absent(format!("{pattern}: is not there")),
            Err(error) => Found::Unusable(error.to_string()),
        },
        Err(error) => Found::Unusable(error.to_string()),
    }
}

/// Where the file would be, as far as an administrator made it.
fn base<'a>(account: &'a Account, pattern: &str, shared: &'a Option<PathBuf>) -> Base<'a> {
    match shared {
        Some(directory) if !names_homes(pattern) => Base::Shared(directory),
        _ => Base::Home(
            Path::new(OsStr::from_bytes(&account.home)),
            account.identity.uid,
        ),
    }
}
