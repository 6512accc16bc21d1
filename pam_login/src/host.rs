//! What the module may ask of the process that loaded it. Tests put a script in its place.

use std::ffi::CStr;
use std::time::Duration;

use pam_ffi::identity::{self, Identity};
use pam_ffi::nss::{self, Account};
use pam_ffi::start::{self, Program};
use pam_ffi::{Item, MessageStyle, Module, Priority, ReturnCode};
use zeroize::Zeroizing;

/// libpam and the system behind it.
pub trait Host {
    /// The user name, as raw bytes.
    ///
    /// # Errors
    /// What libpam answered.
    fn user(&mut self) -> Result<Vec<u8>, ReturnCode>;
    /// An item that is text; `None` when it is not set.
    fn item(&self, item: Item) -> Option<Vec<u8>>;
    /// A variable of the PAM environment, which is not the environment of the process.
    fn environment(&self, name: &str) -> Option<Vec<u8>>;
    /// The password that was typed already.
    fn password(&self) -> Option<Zeroizing<Vec<u8>>>;
    /// Hands a password on to the modules below.
    ///
    /// # Errors
    /// What libpam answered.
    fn set_password(&mut self, password: &[u8]) -> Result<(), ReturnCode>;
    /// Sends one message, and returns the answer to a prompt.
    ///
    /// # Errors
    /// What the application's conversation answered.
    fn send(
        &mut self,
        style: MessageStyle,
        text: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ReturnCode>;
    /// Asks for a delay, should the login fail.
    fn fail_delay(&mut self, delay: Duration);
    /// Keeps a text on the PAM handle for the module's other entries.
    ///
    /// # Errors
    /// What libpam answered.
    fn keep(&mut self, name: &CStr, text: &str) -> Result<(), ReturnCode>;
    /// What is kept there; `None` for nothing.
    fn kept(&self, name: &CStr) -> Option<Vec<u8>>;
    /// Takes it away.
    fn forget(&mut self, name: &CStr);
    /// What this host is called.
    fn host_name(&self) -> String;
    /// Writes a line to syslog.
    fn log(&mut self, priority: Priority, line: &str);
    /// The user name as the system spells it, which may differ from what was asked for; `None` for a user
    /// whom it does not know.
    ///
    /// # Errors
    /// When the name service does not answer, which is not the same as "no".
    fn canonical_name(&self, user: &[u8]) -> std::io::Result<Option<Vec<u8>>>;
    /// The groups of the user, after each group of `named` has been asked for: the call that lists a user's
    /// groups says nothing of a service that did not answer, and those calls do.
    ///
    /// # Errors
    /// When the name service does not answer.
    fn groups(&self, user: &[u8], named: &[&str]) -> std::io::Result<Vec<Vec<u8>>>;
    /// The user's home and ids; `None` for a user whom the system does not know.
    ///
    /// # Errors
    /// When the name service does not answer.
    fn account(&self, user: &[u8]) -> std::io::Result<Option<Account>>;
    /// The same by number.
    ///
    /// # Errors
    /// When the name service does not answer.
    fn account_of_uid(&self, uid: u32) -> std::io::Result<Option<Account>>;
    /// Starts a program, which nobody waits for.
    ///
    /// # Errors
    /// When it does not begin.
    fn start(&self, program: &Program<'_>) -> std::io::Result<()>;
    /// Runs `work` with another identity towards files, on this thread alone.
    ///
    /// # Errors
    /// When the identity cannot be taken; then `work` did not run.
    fn acting_as<T>(&self, identity: &Identity, work: impl FnOnce() -> T) -> std::io::Result<T>;
}

impl Host for Module<'_> {
    fn user(&mut self) -> Result<Vec<u8>, ReturnCode> {
        Module::user(self)
    }

    fn item(&self, item: Item) -> Option<Vec<u8>> {
        Module::item(self, item).ok().flatten()
    }

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        Module::environment(self, name)
    }

    fn password(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.authtok().ok().flatten()
    }

    fn set_password(&mut self, password: &[u8]) -> Result<(), ReturnCode> {
        self.set_authtok(password)
    }

    fn send(
        &mut self,
        style: MessageStyle,
        text: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ReturnCode> {
        self.prompt(style, text)
    }

    fn fail_delay(&mut self, delay: Duration) {
        // Without the delay the throttle still holds; nothing to do about it here.
        let _ = Module::fail_delay(self, delay);
    }

    fn keep(&mut self, name: &CStr, text: &str) -> Result<(), ReturnCode> {
        Module::keep(self, name, text)
    }

    fn kept(&self, name: &CStr) -> Option<Vec<u8>> {
        Module::kept(self, name)
    }

    fn forget(&mut self, name: &CStr) {
        // Only without memory does libpam fail here, and then the mark stays this user's.
        let _ = Module::forget(self, name);
    }

    fn host_name(&self) -> String {
        let system = rustix::system::uname();
        system.nodename().to_string_lossy().into_owned()
    }

    fn log(&mut self, priority: Priority, line: &str) {
        self.syslog(priority, line);
    }

    fn canonical_name(&self, user: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
        nss::canonical_name(user)
    }

    fn groups(&self, user: &[u8], named: &[&str]) -> std::io::Result<Vec<Vec<u8>>> {
        for group in named {
            nss::group_answers(group.as_bytes())?;
        }
        nss::groups_of(user)
    }

    fn account(&self, user: &[u8]) -> std::io::Result<Option<Account>> {
        nss::account(user)
    }

    fn account_of_uid(&self, uid: u32) -> std::io::Result<Option<Account>> {
        nss::account_of_uid(uid)
    }

    fn start(&self, program: &Program<'_>) -> std::io::Result<()> {
        start::start(program)
    }

    fn acting_as<T>(&self, identity: &Identity, work: impl FnOnce() -> T) -> std::io::Result<T> {
        identity::acting_as(identity, work)
    }
}
