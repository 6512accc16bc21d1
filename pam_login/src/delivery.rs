//! Codes that are sent: before the prompt, or when the name of a channel is typed at it.
//!
//! The password comes first where the stack is the documented one. Nothing is sent in front of a prompt that
//! takes the password and the code in one answer (`forward_pass`): a name would be enough to make phones ring.
//!
//! Whoever is asked about, the state is committed and the program is started, and nobody waits for what it
//! does: neither the prompts nor their time tell who is sent a code.

use otp_core::answer::Answer;
use otp_core::clock::Clock;
use otp_core::config::{Config, DEFAULT_PATH};
use otp_core::delivered::ask::{self, Ask, Occasion, Order};
use otp_core::delivered::job::Job;
use otp_core::store::{FilesStore, StoreError};
use otp_core::verifier::Verifier;
use pam_ffi::start::Program;
use zeroize::Zeroizing;

use crate::authenticate::{Failure, Login};
use crate::host::Host;
use crate::options::Options;

/// How often a login may ask for a code. After that the name of a channel is an answer like any other, and
/// wrong.
const MOST_ROUNDS: usize = 3;
/// What the program gets beyond its own limit, in seconds, before it is killed.
const SPARE: u64 = 5;

/// What was typed, if anything was.
pub(crate) type Typed = Option<Zeroizing<Vec<u8>>>;

/// Has codes sent.
pub(crate) struct Courier<'a, C> {
    pub(crate) login: &'a Login,
    pub(crate) options: &'a Options,
    pub(crate) denied: bool,
    pub(crate) config: &'a Config,
    pub(crate) clock: &'a C,
}

impl<C: Clock> Courier<'_, C> {
    /// What is answered in the end. The name of a channel is no answer yet: a code is sent, and the question is
    /// asked again, whoever is asked and whatever their codes are judged by.
    ///
    /// # Errors
    /// Those of the question.
    pub(crate) fn ask<H: Host>(
        &self,
        host: &mut H,
        password: Option<&[u8]>,
        mut question: impl FnMut(&mut H) -> Result<Typed, Failure>,
    ) -> Result<Typed, Failure> {
        self.before_the_prompt(host);
        for _ in 0..MOST_ROUNDS {
            let typed = question(host)?;
            match self.named(typed.as_deref().map(Vec::as_slice), password) {
                Some(channel) => self.send(host, Occasion::Named(channel)),
                None => return Ok(typed),
            }
        }
        question(host)
    }

    /// Sends a code to those who get one without asking. Without such a channel there is nothing to do for
    /// anybody.
    fn before_the_prompt(&self, host: &mut impl Host) {
        if ask::before_the_prompt(&self.config.channels) {
            self.send(host, Occasion::Prompt);
        }
    }

    /// The channel that was named instead of a code. Nothing else that may be answered is one.
    fn named(&self, typed: Option<&[u8]>, password: Option<&[u8]>) -> Option<&str> {
        match Answer::parse(typed, password) {
            Answer::Unrecognised => ask::named(&self.config.channels, typed?),
            _ => None,
        }
    }

    fn send(&self, host: &mut impl Host, occasion: Occasion<'_>) {
        // Whatever is wrong with the store is met again, and said, when the answer is judged.
        let Ok(order) = self.order(occasion) else {
            return;
        };
        let Login {
            user,
            service,
            origin,
            ..
        } = self.login;
        let job = Job::new(user, service, *origin, order).to_text();
        let config = self.options.config.as_deref();
        let config = config.map_or(DEFAULT_PATH.into(), |path| path.to_string_lossy());
        let delivery = &self.config.delivery;
        let program = Program {
            path: &delivery.program,
            arguments: &["--config", &config, "deliver", "--job"],
            input: job.as_bytes(),
            deadline: u32::try_from(delivery.timeout + SPARE).unwrap_or(u32::MAX),
        };
        if let Err(error) = host.start(&program) {
            let path = delivery.program.display();
            let detail = format!("{path}: {error}; run `otpgate check`");
            self.login.subject().failed(host, "delivery", &detail);
        }
    }

    fn order(&self, occasion: Occasion<'_>) -> Result<Order, StoreError> {
        let ask = Ask {
            occasion,
            channels: &self.config.channels,
            source: self.login.origin.source(),
            service: &self.login.service,
            denied: self.denied,
        };
        let store = FilesStore::open(&self.config.state_dir)?;
        let verifier = Verifier::new(&store, &self.config.parameters);
        verifier.ask(&self.login.user, &ask, self.clock)
    }
}
