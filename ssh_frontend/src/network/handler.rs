//! What russh asks: the login goes to the monitor word for word, sessions become descriptors.
//!
//! Nothing is decided here. What is checked is form: that there are as many answers as prompts (russh does
//! not look), and that nothing is longer than the monitor would read.

mod login;
mod session;

use std::sync::Arc;

use russh::keys::Certificate;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Error, Pty, Sig};

use self::login::Login;
pub use self::login::method_set;
use super::channels::Channels;
use super::flow::Flow;
use super::link::{End, Link};
use crate::protocol::{NetworkSetup, Program, Request, Size, Terminal};

/// One connection's handler.
pub struct Connection {
    link: Link,
    login: Login,
    banner: Option<String>,
    channels: Channels,
    flow: Arc<Flow>,
    max_sessions: u32,
    forwarding: bool,
}

impl Connection {
    /// For a connection that is set up like this.
    pub fn new(link: Link, flow: Arc<Flow>, setup: &NetworkSetup) -> Self {
        Self {
            login: Login::new(link.clone(), &setup.methods),
            link,
            banner: setup.banner.clone(),
            channels: Channels::default(),
            flow,
            max_sessions: setup.max_sessions,
            forwarding: setup.forwarding,
        }
    }

    fn protocol_error(&self, what: &str) {
        self.link.end(End::Say(what.to_owned()));
    }
}

impl Handler for Connection {
    type Error = Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, Error> {
        Ok(self.banner.take())
    }

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Error> {
        Ok(self.login.refuse(user))
    }

    async fn auth_password(&mut self, user: &str, _password: &str) -> Result<Auth, Error> {
        Ok(self.login.refuse(user))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Error> {
        Ok(self
            .login
            .key_offered(user, offer.public_key, offer.algorithm)
            .await)
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Error> {
        Ok(self.login.key_verified(user, key.public_key).await)
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        _certificate: &Certificate,
    ) -> Result<Auth, Error> {
        Ok(self.login.refuse(user))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Error> {
        Ok(match response {
            None => self.login.begin(user).await,
            Some(response) => {
                // Not held while waiting: an iterator that russh lends.
                let answers = login::wiped(response);
                self.login.answer(user, answers).await
            }
        })
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Error> {
        self.link.logged_in();
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Error> {
        // Without a reader russh keeps nothing for one.
        let (_, channel) = channel.split();
        if self.channels.open_session(channel, self.max_sessions) {
            reply.accept().await;
        } else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Error> {
        match u16::try_from(port) {
            Ok(port) if self.forwarding => self.connect(channel, host, port, reply).await,
            _ => {
                reply
                    .reject(ChannelOpenFailure::AdministrativelyProhibited)
                    .await
            }
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _session: &mut Session) -> Result<(), Error> {
        self.channels.close(id);
        self.link.forget(id.number());
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _session: &mut Session) -> Result<(), Error> {
        self.channels.end_of_data(id);
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Error> {
        if self.channels.data(id, data).is_err() {
            self.protocol_error("more data than the window allowed");
        }
        Ok(())
    }

    fn adjust_window(&mut self, _id: ChannelId, _current: u32) -> u32 {
        self.flow.target()
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Error> {
        reply(self.channels.set_variable(id, name, value), id, session)
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        x_pixels: u32,
        y_pixels: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Error> {
        let size = Size {
            columns,
            rows,
            x_pixels,
            y_pixels,
        };
        let terminal = Terminal {
            term: term.to_owned(),
            size,
            modes: modes
                .iter()
                .map(|(mode, value)| (*mode as u8, *value))
                .collect(),
        };
        let accepted =
            term.len() <= session::LONGEST_TERM && self.channels.set_terminal(id, terminal);
        reply(accepted, id, session)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        x_pixels: u32,
        y_pixels: u32,
        session: &mut Session,
    ) -> Result<(), Error> {
        let size = Size {
            columns,
            rows,
            x_pixels,
            y_pixels,
        };
        self.channels.resize(id, size);
        session.channel_success(id)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Error> {
        self.start(id, Program::Shell, session).await
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Error> {
        self.start(id, Program::Command(command.to_vec()), session)
            .await
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Error> {
        self.start(id, Program::Subsystem(name.to_owned()), session)
            .await
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        session: &mut Session,
    ) -> Result<(), Error> {
        let running = self.channels.is_running(id);
        if let (true, Some(signal)) = (running, session::signal_name(signal)) {
            let session = id.number();
            // Nobody there: the connection ends anyway.
            let _ = self.link.tell(&Request::Signal { session, signal }).await;
        }
        reply(running, id, session)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _single_connection: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_failure(id)
    }

    async fn agent_request(&mut self, id: ChannelId, session: &mut Session) -> Result<bool, Error> {
        session.channel_failure(id)?;
        Ok(false)
    }
}

/// To a channel's request, if it wants a reply.
fn reply(accepted: bool, id: ChannelId, session: &mut Session) -> Result<(), Error> {
    if accepted {
        session.channel_success(id)
    } else {
        session.channel_failure(id)
    }
}
