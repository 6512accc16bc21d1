//! The machine of a soak: the product on a small disk, its PAM services, and both servers.

mod gateway;

use crate::journal::Sight;
pub use gateway::Gateway;
use gateway::Server;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tests::clock::Clock;
use tests::frontend::Frontend;
use tests::installation::Installation;
use tests::sandbox::Sandbox;
use tests::sshd::Sshd;
use tests::users::User;

/// Everybody's usual address, except that of those who come through a server.
pub const HOME: &str = "192.0.2.7";

/// Shared by all actors.
pub struct World<'a> {
    pub sandbox: &'a Sandbox,
    pub installation: Installation,
    pub sshd: Gateway,
    pub frontend: Gateway,
    /// Has a file of her own.
    pub with_file: User,
    /// Where the journals are.
    pub journals: PathBuf,
    /// When the soak began.
    pub epoch: Instant,
}

/// What may be beside accounts and states. A decoy is two files.
const STATE_DIRECTORY: &[&str] = &[
    "/accounts",
    "/state",
    "/decoys",
    "/administration.lock",
    "/google_authenticator.lock",
    "/google_authenticator.stand-in",
    "/own_files",
];

impl<'a> World<'a> {
    /// On this volume.
    pub fn new(sandbox: &'a Sandbox, volume: &std::path::Path, journals: PathBuf) -> Self {
        let settings = "google_authenticator_files = \"fallback\"\n";
        let installation = Installation::prepared(volume, settings);
        installation.must(&["init"]);
        sandbox.sshd_stack_after_password(&installation.auth_line("no_delay"));
        let sshd = Server::Sshd(Sshd::start(sandbox, "", Clock::Real));
        let frontend = Server::Frontend(Frontend::start(sandbox, ""));
        Self {
            sandbox,
            sshd: Gateway::new("sshd", sandbox.add_user("remote"), sshd),
            frontend: Gateway::new("otpgate-sshd", sandbox.add_user("front"), frontend),
            with_file: sandbox.add_user("file"),
            installation,
            journals,
            epoch: Instant::now(),
        }
    }

    /// What lies in the state directory, and in the home with a file in it. Only names that tell something:
    /// decoys are there from the first day, and whatever is not one of them is told.
    pub fn files(&self) -> Sight {
        let names = self.installation.names();
        let inside = |directory: &str| -> Vec<String> {
            let name = |name: &String| Some(name.strip_prefix(directory)?.to_owned());
            names.iter().filter_map(name).collect()
        };
        let decoy = |name: &str| {
            let name = name.strip_prefix("decoys/").unwrap_or_default();
            name == "key" || name.trim_end_matches(".toml").parse::<u8>().is_ok()
        };
        let known = |name: &&String| {
            !name.starts_with("accounts/")
                && !name.starts_with("state/")
                && !decoy(name)
                && !STATE_DIRECTORY.contains(&name.as_str())
        };
        let others: BTreeSet<String> = names.iter().filter(known).cloned().collect();
        let home = fs::read_dir(&self.with_file.home).unwrap();
        let home = home.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let left = home.filter(|name| name != ".google_authenticator");
        Sight::Files {
            accounts: inside("accounts/"),
            states: inside("state/"),
            others: others
                .into_iter()
                .chain(left.map(|name| format!("~/{name}")))
                .collect(),
        }
    }
}

/// The machine's time.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs()
}
