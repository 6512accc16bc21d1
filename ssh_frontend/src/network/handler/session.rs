//! Sessions and forwarded connections: asked of the monitor, then pumped.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use russh::server::{ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, Error, Sig};

use super::Connection;
use crate::network::channels::{Channels, Fresh, Running};
use crate::network::flow::Flow;
use crate::network::input::{Descriptor, Input};
use crate::network::link::{End, Link};
use crate::network::pump;
use crate::protocol::{ConnectFailure, LONGEST_COMMAND, Program, Reply, Request};

/// Longest value of TERM that is passed on, in bytes; terminfo's names are far shorter.
pub const LONGEST_TERM: usize = 255;
/// Longest signal name or subsystem that is passed on, in bytes.
const LONGEST_NAME: usize = 64;
/// Longest host name that is passed on, in bytes (RFC 1035 allows 253).
const LONGEST_HOST: usize = 255;
/// The number of standard error (RFC 4254, section 5.2).
const STANDARD_ERROR: u32 = 1;

impl Connection {
    /// Starts the session's program, which it may have once.
    pub(super) async fn start(
        &mut self,
        id: ChannelId,
        program: Program,
        session: &mut Session,
    ) -> Result<(), Error> {
        let Some(fresh) = self.channels.start(id).filter(|_| fits(&program)) else {
            return session.channel_failure(id);
        };
        let number = id.number();
        // Before the start, for it may end at once.
        let exit = self.link.exit_of(number);
        let Fresh {
            channel,
            environment,
            terminal,
        } = fresh;
        let start = Request::Start {
            session: number,
            program,
            terminal,
            environment,
        };
        match self.link.ask(&start).await {
            Ok((Reply::Started { terminal, message }, descriptors)) => {
                let Some(program) = self.program(descriptors, terminal, message, exit) else {
                    self.link.end(End::Gone);
                    return Ok(());
                };
                session.channel_success(id)?;
                self.run(program, terminal, channel, session);
                // What the key exchange and the login took; many a session waits for most of its time.
                pam_ffi::memory::give_back();
                Ok(())
            }
            Ok((Reply::NotStarted { reason }, _)) => {
                self.link.forget(number);
                session.extended_data(id, STANDARD_ERROR, format!("{reason}\r\n"))?;
                session.channel_failure(id)
            }
            Ok(_) => {
                self.link.end(End::Gone);
                Ok(())
            }
            Err(_over) => Ok(()),
        }
    }

    /// From what the monitor passed: one descriptor of a terminal, or three.
    fn program(
        &self,
        descriptors: Vec<OwnedFd>,
        terminal: bool,
        message: Vec<u8>,
        exit: tokio::sync::oneshot::Receiver<crate::protocol::Exit>,
    ) -> Option<pump::Program> {
        let expected = if terminal { 1 } else { 3 };
        if descriptors.len() != expected {
            return None;
        }
        let mut descriptors = descriptors.into_iter().map(pump::descriptor);
        let input = descriptors.next()?.ok()?;
        let (output, errors) = if terminal {
            (Arc::clone(&input), None)
        } else {
            (descriptors.next()?.ok()?, Some(descriptors.next()?.ok()?))
        };
        Some(pump::Program {
            input: Input::new(input, terminal, Arc::clone(&self.flow)),
            output,
            errors,
            exit,
            message,
        })
    }

    fn run(
        &self,
        program: pump::Program,
        terminal: bool,
        channel: ChannelWriteHalf<Msg>,
        session: &Session,
    ) {
        let id = channel.id();
        let input = Arc::clone(&program.input);
        let terminal = terminal.then(|| Arc::downgrade(&program.output));
        let task = tokio::spawn(pump::run(program, channel, session.handle())).abort_handle();
        let running = Running {
            input,
            terminal,
            task,
        };
        self.channels.running(id, running);
    }

    /// Asks for a connection; other channels go on meanwhile.
    pub(super) async fn connect(
        &self,
        channel: Channel<Msg>,
        host: &str,
        port: u16,
        reply: ChannelOpenHandle,
    ) {
        if host.len() > LONGEST_HOST || !self.channels.open_forward(channel.id()) {
            return reply.reject(ChannelOpenFailure::ResourceShortage).await;
        }
        let (_, channel) = channel.split();
        let forward = Forward {
            link: self.link.clone(),
            channels: self.channels.clone(),
            flow: Arc::clone(&self.flow),
            channel,
            host: host.to_owned(),
            port,
        };
        tokio::spawn(forward.open(reply));
    }
}

/// A connection to be forwarded.
struct Forward {
    link: Link,
    channels: Channels,
    flow: Arc<Flow>,
    channel: ChannelWriteHalf<Msg>,
    host: String,
    port: u16,
}

impl Forward {
    /// Opens the channel once the connection stands.
    async fn open(self, reply: ChannelOpenHandle) {
        match self.connected().await {
            Ok(socket) => {
                let id = self.channel.id();
                let input = Input::new(Arc::clone(&socket), false, self.flow);
                let pumping = pump::forward(socket, Arc::clone(&input), self.channel);
                // The client's data may come as soon as it knows.
                self.channels.forwarding(
                    id,
                    Running {
                        input,
                        terminal: None,
                        task: tokio::spawn(pumping).abort_handle(),
                    },
                );
                reply.accept().await;
            }
            Err(failure) => {
                self.channels.close(self.channel.id());
                reply.reject(failure).await;
            }
        }
    }

    async fn connected(&self) -> Result<Arc<Descriptor>, ChannelOpenFailure> {
        let number = self.channel.id().number();
        let connected = self.link.connect(number, self.host.clone(), self.port);
        match connected.await {
            Ok(Ok(socket)) => {
                pump::descriptor(socket).map_err(|_| ChannelOpenFailure::ConnectFailed)
            }
            Ok(Err(ConnectFailure::Prohibited)) => {
                Err(ChannelOpenFailure::AdministrativelyProhibited)
            }
            Ok(Err(ConnectFailure::Failed)) | Err(_) => Err(ChannelOpenFailure::ConnectFailed),
        }
    }
}

/// Whether the monitor would read it.
fn fits(program: &Program) -> bool {
    match program {
        Program::Shell => true,
        Program::Command(command) => command.len() <= LONGEST_COMMAND,
        Program::Subsystem(name) => name.len() <= LONGEST_NAME,
    }
}

/// A signal's name without SIG, unless it is too long to be one.
pub fn signal_name(signal: Sig) -> Option<String> {
    let name = match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => return Some(name).filter(|name| name.len() <= LONGEST_NAME),
    };
    Some(name.to_owned())
}
