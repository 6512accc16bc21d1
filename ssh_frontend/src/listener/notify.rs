//! Telling systemd (or who else set NOTIFY_SOCKET) how far we are: sd_notify(3).

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Whom to tell.
#[derive(Debug)]
pub struct Notify(Option<OsString>);

impl Notify {
    /// Whoever the environment names, or nobody.
    #[must_use]
    pub fn from_environment() -> Self {
        Self(std::env::var_os("NOTIFY_SOCKET"))
    }

    /// Connections are taken.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being read again; [`Notify::ready`] ends it.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// No more connections are taken.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// A service manager that does not listen must not hold the server up.
    fn tell(&self, message: &str) {
        let _ = self.send(message);
    }

    fn send(&self, message: &str) -> io::Result<()> {
        let Some(name) = &self.0 else { return Ok(()) };
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to_addr(message.as_bytes(), &address)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(server: &UnixDatagram) -> String {
        let mut bytes = [0; 200];
        let count = server.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_both_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("otpgate-test-{}", std::process::id());
        let by_name = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        for (server, shown) in [
            (
                UnixDatagram::bind(&path).unwrap(),
                path.clone().into_os_string(),
            ),
            (
                UnixDatagram::bind_addr(&by_name).unwrap(),
                format!("@{name}").into(),
            ),
        ] {
            let notify = Notify(Some(shown));
            notify.ready();
            assert_eq!(heard(&server), "READY=1");
            notify.reloading();
            let reloading = heard(&server);
            assert!(
                reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
                "{reloading}"
            );
            notify.stopping();
            assert_eq!(heard(&server), "STOPPING=1");
        }
    }

    #[test]
    fn nobody_to_tell_is_no_error() {
        Notify(None).ready();
        Notify(Some("/nowhere/at/all".into())).ready();
    }
}
