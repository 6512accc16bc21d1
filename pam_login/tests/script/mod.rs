//! An application that follows a script, in libpam's place.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use pam_ffi::identity::Identity;
use pam_ffi::nss;
use pam_ffi::start::Program;
use pam_ffi::{Item, MessageStyle, Priority, ReturnCode};
use pam_login::host::Host;
use zeroize::Zeroizing;

/// What somebody makes of what they see: an answer, or none.
pub type Read = Box<dyn FnOnce(&str) -> Option<Vec<u8>>>;

/// What happens next in the conversation.
pub enum Event {
    Asked(&'static str, Vec<u8>),
    Shown(&'static str),
    HungUp(&'static str),
    Panics(&'static str),
    Does(Box<dyn Fn() -> Vec<u8>>),
    /// Whatever is asked or shown: the answer depends on it, and none hangs up.
    Reads(Read),
}

/// An application that follows a script, and complains about what is left of it.
pub struct Script {
    pub user: Vec<u8>,
    pub rhost: &'static str,
    pub password: Option<Zeroizing<Vec<u8>>>,
    pub events: VecDeque<Event>,
    pub styles: Vec<MessageStyle>,
    pub log: Vec<String>,
    pub kept: HashMap<CString, String>,
    pub delay: Option<Duration>,
    /// What programs were started with.
    pub started: RefCell<Vec<String>>,
    pub cannot_start: bool,
    pub home: PathBuf,
}

impl Script {
    pub fn new(user: &str, events: Vec<Event>) -> Self {
        Self {
            user: user.into(),
            rhost: "192.0.2.7",
            password: None,
            events: events.into(),
            styles: Vec::new(),
            log: Vec::new(),
            kept: HashMap::new(),
            delay: None,
            started: RefCell::default(),
            cannot_start: false,
            home: "/nonexistent".into(),
        }
    }

    pub fn with_password(mut self, password: &str) -> Self {
        self.password = Some(Zeroizing::new(password.into()));
        self
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(
                self.events.is_empty(),
                "{} events of the script did not happen",
                self.events.len()
            );
        }
    }
}

impl Host for Script {
    fn user(&mut self) -> Result<Vec<u8>, ReturnCode> {
        Ok(self.user.clone())
    }
    fn item(&self, item: Item) -> Option<Vec<u8>> {
        match item {
            Item::Service => Some(b"sshd".to_vec()),
            Item::Rhost => Some(self.rhost.into()),
            Item::Tty => Some(b"ssh".to_vec()),
            _ => None,
        }
    }
    fn environment(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
    fn password(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.password.clone()
    }
    fn set_password(&mut self, password: &[u8]) -> Result<(), ReturnCode> {
        self.password = Some(Zeroizing::new(password.to_vec()));
        Ok(())
    }
    fn send(
        &mut self,
        style: MessageStyle,
        text: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ReturnCode> {
        self.styles.push(style);
        match self
            .events
            .pop_front()
            .unwrap_or_else(|| panic!("not in the script: {text:?}"))
        {
            Event::Asked(expected, answer) => {
                assert_eq!(text, expected);
                Ok(Some(Zeroizing::new(answer)))
            }
            Event::Shown(expected) => {
                assert_eq!(text, expected);
                Ok(None)
            }
            Event::HungUp(expected) => {
                assert_eq!(text, expected);
                Err(ReturnCode::CONV_ERR)
            }
            Event::Does(something) => Ok(Some(Zeroizing::new(something()))),
            Event::Reads(read) => match read(text) {
                Some(answer) => Ok(Some(Zeroizing::new(answer))),
                None => Err(ReturnCode::CONV_ERR),
            },
            Event::Panics(expected) => {
                assert_eq!(text, expected);
                panic!("hunter2 is in this panic's message");
            }
        }
    }
    fn fail_delay(&mut self, delay: Duration) {
        self.delay = Some(delay);
    }
    fn keep(&mut self, name: &CStr, text: &str) -> Result<(), ReturnCode> {
        self.kept.insert(name.to_owned(), text.to_owned());
        Ok(())
    }
    fn kept(&self, name: &CStr) -> Option<Vec<u8>> {
        self.kept.get(name).map(|text| text.clone().into_bytes())
    }
    fn forget(&mut self, name: &CStr) {
        self.kept.remove(name);
    }
    fn host_name(&self) -> String {
        "host.example".into()
    }
    fn log(&mut self, _: Priority, line: &str) {
        self.log.push(line.to_owned());
    }
    fn canonical_name(&self, user: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
        match user {
            b"carol" => Err(std::io::Error::other("directory server down")),
            b"alice" | b"ALICE" => Ok(Some(b"alice".to_vec())),
            b"bob" | b"BOB" => Ok(Some(b"bob".to_vec())),
            _ => Ok(None),
        }
    }
    fn groups(&self, _: &[u8], _: &[&str]) -> std::io::Result<Vec<Vec<u8>>> {
        Err(std::io::Error::other("directory server down"))
    }
    fn account(&self, user: &[u8]) -> std::io::Result<Option<nss::Account>> {
        let name = self.canonical_name(user)?;
        Ok(name.map(|name| nss::Account {
            name,
            home: self.home.clone().into_os_string().into_vec(),
            identity: Identity {
                uid: rustix::process::geteuid().as_raw(),
                gid: rustix::process::getegid().as_raw(),
                groups: Vec::new(),
            },
        }))
    }
    fn account_of_uid(&self, _: u32) -> std::io::Result<Option<nss::Account>> {
        Ok(None)
    }
    fn start(&self, program: &Program<'_>) -> std::io::Result<()> {
        if self.cannot_start {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        let input = String::from_utf8(program.input.to_vec()).unwrap();
        let arguments = program.arguments.join(" ");
        let whole = format!("{} {arguments}\n{input}", program.path.display());
        self.started.borrow_mut().push(whole);
        Ok(())
    }
    fn acting_as<T>(&self, _: &Identity, work: impl FnOnce() -> T) -> std::io::Result<T> {
        Ok(work())
    }
}
