//! The environment that a user's program begins with.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;

use super::glob::any_matches;
use super::place::Place;
use crate::as_user::Account;

/// Where a login finds its programs, unless PAM says otherwise.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The same for root.
const ROOT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What no client may set, whatever `accept_env` says: what says who and where somebody is, and what makes
/// a shell or the loader run something before the forced command.
const NEVER: [&str; 11] = [
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "HOME",
    "USER",
    "SHELL",
    "LOGNAME",
    "MAIL",
];
/// The same, for all that begin like this.
const NEVER_PREFIX: [&str; 3] = ["LD_", "SSH_", "PAM_"];

/// What a program's environment is made of, beside account and place.
#[derive(Debug, Default)]
pub struct Ingredients<'a> {
    /// PAM's, each as `NAME=VALUE`.
    pub pam: &'a [Vec<u8>],
    /// What the client wants.
    pub client: &'a [(String, String)],
    /// TERM and the terminal's name.
    pub terminal: Option<(&'a str, &'a str)>,
    /// What the client asked to run, where something else is run.
    pub original_command: Option<&'a [u8]>,
}

/// What a client may bring at all. To a command that a key forces only what says which language it speaks: a
/// variable of some interpreter's would be a way round it, whatever `accept_env` says.
#[must_use]
pub fn from_client(variables: &[(String, String)], forced: bool) -> Vec<(String, String)> {
    let is_language = |name: &str| name == "LANG" || name.starts_with("LC_");
    let variables = variables.iter();
    variables
        .filter(|(name, _)| !forced || is_language(name))
        .cloned()
        .collect()
}

/// The whole environment. What stands further down here wins: the account's, the client's, PAM's, the
/// facts of the connection.
#[must_use]
pub fn build(
    place: &Place,
    account: &Account,
    ingredients: &Ingredients<'_>,
) -> Vec<(String, Vec<u8>)> {
    let mut variables = of_account(account);
    for (name, value) in ingredients.client {
        if is_acceptable(name, value, &place.config.accept_env) {
            variables.insert(name.clone(), value.clone().into_bytes());
        }
    }
    variables.extend(ingredients.pam.iter().filter_map(|entry| of_pam(entry)));
    variables.extend(of_connection(place, ingredients));
    variables.into_iter().collect()
}

fn of_account(account: &Account) -> BTreeMap<String, Vec<u8>> {
    let path = if account.uid == 0 { ROOT_PATH } else { PATH };
    let name = account.name.as_bytes().to_vec();
    [
        ("USER", name.clone()),
        ("LOGNAME", name),
        ("HOME", account.home.as_os_str().as_bytes().to_vec()),
        ("SHELL", account.shell.as_os_str().as_bytes().to_vec()),
        ("PATH", path.as_bytes().to_vec()),
        ("MAIL", format!("/var/mail/{}", account.name).into_bytes()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn is_acceptable(name: &str, value: &str, accept: &[String]) -> bool {
    let mut letters = name.chars();
    let is_name = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    is_name
        && !value.contains('\0')
        && !NEVER.contains(&name)
        && !NEVER_PREFIX.iter().any(|prefix| name.starts_with(prefix))
        && any_matches(accept, name)
}

/// Without what only PAM's modules were to know.
fn of_pam(entry: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = entry.iter().position(|&byte| byte == b'=')?;
    let (name, value) = entry.split_at_checked(end)?;
    let name = String::from_utf8(name.to_vec()).ok()?;
    let value = value.get(1..)?.to_vec();
    (!name.is_empty() && !name.starts_with("SSH_AUTH_INFO")).then_some((name, value))
}

fn of_connection(place: &Place, ingredients: &Ingredients<'_>) -> Vec<(String, Vec<u8>)> {
    let (source, local) = (place.source, place.local);
    let client = format!("{} {} {}", source.ip(), source.port(), local.port());
    let mut facts = vec![
        ("SSH_CLIENT", client.into_bytes()),
        ("SSH_CONNECTION", place.connection().into_bytes()),
    ];
    if let Some((kind, name)) = ingredients.terminal {
        facts.push(("SSH_TTY", name.as_bytes().to_vec()));
        if !kind.is_empty() && kind.chars().all(|letter| letter.is_ascii_graphic()) {
            facts.push(("TERM", kind.as_bytes().to_vec()));
        }
    }
    if let Some(command) = ingredients.original_command {
        facts.push(("SSH_ORIGINAL_COMMAND", command.to_vec()));
    }
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::place::tests::place;
    use super::*;

    fn built(accept: &[&str], ingredients: &Ingredients<'_>) -> BTreeMap<String, String> {
        let mut place = place();
        place.config.accept_env = accept.iter().map(ToString::to_string).collect();
        let account = Account {
            name: "alice".into(),
            uid: 1000,
            gid: 1000,
            home: "/home/alice".into(),
            shell: "/bin/zsh".into(),
        };
        build(&place, &account, ingredients)
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8(value).unwrap()))
            .collect()
    }

    fn client(names: &[&str]) -> Vec<(String, String)> {
        let pair = |name: &&str| ((*name).to_owned(), "evil".to_owned());
        names.iter().map(pair).collect()
    }

    #[test]
    fn a_bare_login_has_these_variables_and_no_others() {
        let expected = [
            ("HOME", "/home/alice"),
            ("LOGNAME", "alice"),
            ("MAIL", "/var/mail/alice"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("SHELL", "/bin/zsh"),
            ("SSH_CLIENT", "192.0.2.7 40000 2222"),
            ("SSH_CONNECTION", "192.0.2.7 40000 198.51.100.1 2222"),
            ("USER", "alice"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(built(&[], &Ingredients::default()), expected.into());
    }

    #[test]
    fn clients_set_what_is_accepted_and_never_what_gives_power() {
        let dangerous = [
            "PATH",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "IFS",
            "ENV",
            "BASH_ENV",
            "HOME",
            "USER",
            "SHELL",
            "LOGNAME",
            "SSH_ORIGINAL_COMMAND",
            "SSH_AUTH_INFO_0",
            "BASH_FUNC_ls%%",
            "A=B",
            "1A",
            "",
        ];
        let wanted = client(&dangerous);
        let ingredients = Ingredients {
            client: &wanted,
            ..Ingredients::default()
        };
        let variables = built(&["*"], &ingredients);
        assert!(
            !variables.values().any(|value| value == "evil"),
            "{variables:?}"
        );
        let wanted = client(&["LANG", "LC_ALL", "EDITOR"]);
        let ingredients = Ingredients {
            client: &wanted,
            ..Ingredients::default()
        };
        let variables = built(&["LANG", "LC_*"], &ingredients);
        let accepted = ["EDITOR", "LANG", "LC_ALL"].map(|name| variables.contains_key(name));
        assert_eq!(accepted, [false, true, true]);
    }

    #[test]
    fn pam_wins_over_client_and_defaults_but_not_over_facts() {
        let pam = [
            b"LANG=C.UTF-8".to_vec(),
            b"PATH=/opt/bin".to_vec(),
            b"SSH_TTY=forged".to_vec(),
            b"SSH_AUTH_INFO_0=publickey".to_vec(),
            b"no equals sign".to_vec(),
            b"EMPTY=".to_vec(),
        ];
        let wanted = client(&["LANG"]);
        let variables = built(
            &["LANG"],
            &Ingredients {
                pam: &pam,
                client: &wanted,
                terminal: Some(("xterm", "/dev/pts/7")),
                original_command: Some(b"rm -r x"),
            },
        );
        let get = |name: &str| variables.get(name).map(String::as_str);
        assert_eq!(get("LANG"), Some("C.UTF-8"));
        assert_eq!(get("PATH"), Some("/opt/bin"));
        assert_eq!(get("SSH_TTY"), Some("/dev/pts/7"));
        assert_eq!(get("TERM"), Some("xterm"));
        assert_eq!(get("SSH_ORIGINAL_COMMAND"), Some("rm -r x"));
        assert_eq!(get("EMPTY"), Some(""));
        assert_eq!(get("SSH_AUTH_INFO_0"), None);
    }
}
