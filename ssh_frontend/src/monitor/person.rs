//! Who wants to log in, and whether they may at all.
//!
//! Whoever may not takes the same steps as somebody who may: the same dialogue, whose answers PAM never
//! sees, and the same look for a key, in the home of nobody.

use std::path::{Path, PathBuf};

use nix::unistd::User;
use pam_ffi::nss;

use super::glob::any_matches;
use crate::as_user::Account;
use crate::config::Config;

/// The ids of somebody who owns nothing.
const NOBODY: u32 = 65534;

/// A name that was given, and what the system makes of it.
#[derive(Debug)]
pub struct Person {
    /// As it was given.
    asked: String,
    /// From the password database.
    account: Option<Account>,
    /// Why they may not log in.
    barred: Option<&'static str>,
}

impl Person {
    /// Asks the system.
    #[must_use]
    pub fn look_up(name: &str, config: &Config) -> Self {
        let asked = name.to_owned();
        let (account, barred) = match User::from_name(name) {
            Ok(Some(user)) => {
                let account = account_of(user);
                let own = nix::unistd::geteuid().as_raw();
                let barred = bar(&account, config, own, || {
                    nss::groups_of(account.name.as_bytes())
                });
                (Some(account), barred)
            }
            Ok(None) => (None, Some("unknown_user")),
            Err(_) => (None, Some("user_database")),
        };
        Self {
            asked,
            account,
            barred,
        }
    }

    /// Whether this is the name that was given.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.asked == name
    }

    /// The name for PAM: the password database's spelling, which is the one that lists of names, the
    /// modules' files and the session mean.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shown().unwrap_or(&self.asked)
    }

    /// The name for the log: none that the system does not know.
    #[must_use]
    pub fn shown(&self) -> Option<&str> {
        self.account.as_ref().map(|account| account.name.as_str())
    }

    /// The account of somebody who may log in, or why they may not.
    ///
    /// # Errors
    /// The reason, for the log.
    pub fn admitted(&self) -> Result<&Account, &'static str> {
        match (&self.account, self.barred) {
            (Some(account), None) => Ok(account),
            (_, reason) => Err(reason.unwrap_or("unknown_user")),
        }
    }

    /// In whose home to look for keys; nobody's for whoever may not log in.
    #[must_use]
    pub fn account_for_keys(&self) -> Account {
        self.admitted().map_or_else(|_| nobody(), Account::clone)
    }
}

fn account_of(user: User) -> Account {
    let is_empty = user.shell.as_os_str().is_empty();
    Account {
        name: user.name,
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        home: user.dir,
        shell: if is_empty {
            PathBuf::from("/bin/sh")
        } else {
            user.shell
        },
    }
}

fn nobody() -> Account {
    Account {
        name: "nobody".into(),
        uid: NOBODY,
        gid: NOBODY,
        home: Path::new("/nonexistent").into(),
        shell: Path::new("/bin/false").into(),
    }
}

/// Why this account may not log in to a server that runs as `own`. The groups are asked for only when a
/// list wants them.
fn bar(
    account: &Account,
    config: &Config,
    own: u32,
    groups: impl FnOnce() -> std::io::Result<Vec<Vec<u8>>>,
) -> Option<&'static str> {
    if own != 0 && account.uid != own {
        return Some("other_user");
    }
    if account.uid == 0 && !config.permit_root_login {
        return Some("root_login");
    }
    if any_matches(&config.deny_users, &account.name) {
        return Some("deny_users");
    }
    if !config.allow_users.is_empty() && !any_matches(&config.allow_users, &account.name) {
        return Some("allow_users");
    }
    if config.deny_groups.is_empty() && config.allow_groups.is_empty() {
        return None;
    }
    let Ok(groups) = groups() else {
        return Some("user_database");
    };
    let in_one_of = |patterns: &[String]| {
        groups
            .iter()
            .any(|group| any_matches(patterns, &String::from_utf8_lossy(group)))
    };
    if in_one_of(&config.deny_groups) {
        return Some("deny_groups");
    }
    if !config.allow_groups.is_empty() && !in_one_of(&config.allow_groups) {
        return Some("allow_groups");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::place::tests::place;
    use super::*;

    fn alice() -> Account {
        Account {
            name: "alice".into(),
            uid: 1000,
            gid: 1000,
            home: "/home/alice".into(),
            shell: "/bin/sh".into(),
        }
    }

    fn barred(change: impl FnOnce(&mut Config)) -> Option<&'static str> {
        let mut config = place().config;
        change(&mut config);
        let groups = || Ok(vec![b"alice".to_vec(), b"staff".to_vec()]);
        bar(&alice(), &config, 0, groups)
    }

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn lists_bar_by_name_and_group_and_a_denial_outweighs_a_permission() {
        assert_eq!(barred(|_| ()), None);
        assert_eq!(barred(|c| c.deny_users = list(&["a*"])), Some("deny_users"));
        assert_eq!(
            barred(|c| c.allow_users = list(&["bob"])),
            Some("allow_users")
        );
        assert_eq!(barred(|c| c.allow_users = list(&["bob", "?lice"])), None);
        assert_eq!(
            barred(|c| c.deny_groups = list(&["st*"])),
            Some("deny_groups")
        );
        assert_eq!(
            barred(|c| c.allow_groups = list(&["wheel"])),
            Some("allow_groups")
        );
        assert_eq!(barred(|c| c.allow_groups = list(&["staff"])), None);
        let both = |c: &mut Config| {
            c.allow_users = list(&["alice"]);
            c.deny_groups = list(&["staff"]);
        };
        assert_eq!(barred(both), Some("deny_groups"));
    }

    #[test]
    fn a_directory_that_does_not_answer_bars_whom_lists_of_groups_concern() {
        let mut config = place().config;
        let down = || Err(std::io::Error::other("down"));
        assert_eq!(bar(&alice(), &config, 0, down), None);
        config.deny_groups = list(&["wheel"]);
        assert_eq!(bar(&alice(), &config, 0, down), Some("user_database"));
    }

    #[test]
    fn root_is_barred_by_its_number_and_others_where_the_server_is_not_roots() {
        let config = Config {
            permit_root_login: false,
            ..place().config
        };
        let toor = Account {
            name: "toor".into(),
            uid: 0,
            ..alice()
        };
        let none = || Ok(Vec::new());
        assert_eq!(bar(&toor, &config, 0, none), Some("root_login"));
        assert_eq!(bar(&alice(), &config, 1001, none), Some("other_user"));
        assert_eq!(bar(&alice(), &config, 1000, none), None);
    }

    #[test]
    fn whoever_may_not_log_in_has_keys_in_nobodys_home() {
        let unknown = Person::look_up("no-such-user-here", &place().config);
        assert_eq!(unknown.admitted(), Err("unknown_user"));
        assert_eq!(unknown.shown(), None);
        assert_eq!(unknown.account_for_keys(), nobody());
        let config = Config {
            deny_users: list(&["root"]),
            ..place().config
        };
        let denied = Person::look_up("root", &config);
        assert_eq!(denied.shown(), Some("root"));
        assert_eq!(denied.account_for_keys(), nobody());
    }
}
