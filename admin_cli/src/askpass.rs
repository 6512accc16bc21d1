//! `otpgate askpass`: answers ssh's questions for a script, and nobody else's.
//!
//! ssh starts it once per question, with the question as its only argument, and sends what it prints to the
//! server. So a question is all that a hostile server needs to collect a password, and everything here is
//! about not answering: a question is known to the letter, stands behind the `(user@host) ` that ssh itself
//! puts there, and is answered once per connection.
//!
//! | question | module |
//! | --- | --- |
//! | what is being asked, by which login? | `prompt` |
//! | what may be answered, and where is it? | `config` |
//! | how is a password or a secret read? | `source`, over `private_file` |
//! | which codes are used up, and who has had an answer? | `memory` |
//! | which ssh is asking? | `client` |
//! | how does a script get it all with one word? | `run` |

mod client;
pub mod config;
mod memory;
mod private_file;
mod prompt;
pub mod run;
mod source;

use std::path::PathBuf;
use std::time::Duration;

use otp_core::clock::{Clock, SystemClock};
use otp_core::hotp::Generator;
use otp_core::secret::Secret;
use otp_core::totp::UnixTime;
use zeroize::Zeroizing;

use crate::error::CliError;
use client::Client;
use config::{Code, Config, Device, Login, Movement};
use memory::{Memory, What};
use prompt::{Prompt, Question};

/// The name under which ssh starts it: SSH_ASKPASS takes a program without arguments.
pub const PROGRAM: &str = "otpgate-askpass";
/// Names another configuration than `~/.config/otpgate/askpass.toml`.
pub const VARIABLE: &str = "OTPGATE_ASKPASS";

/// The answer to a question, for the ssh that started this process.
///
/// # Errors
/// Why it is not answered. No answer stands in it.
pub fn answer(question: &str) -> Result<Zeroizing<String>, CliError> {
    let config = Config::load(&config::place()?)?;
    let prompt = prompt::parse(question, &config.logins).map_err(|unknown| {
        refused(&format!(
            "{unknown}: {}; {} says what is answered",
            prompt::shown(question),
            config.path.display()
        ))
    })?;
    match prompt {
        Prompt::HostKey { fingerprint } => Ok(Zeroizing::new(fingerprint.to_owned())),
        Prompt::Asks(login, Question::Password) => password(&config, login),
        Prompt::Asks(login, Question::Code) => code(&config, login),
    }
}

fn password(config: &Config, login: &Login) -> Result<Zeroizing<String>, CliError> {
    let source = login.password.as_ref().ok_or_else(|| {
        refused(&format!(
            "{}: its [[login]] for {} has no password",
            config.path.display(),
            login.name()
        ))
    })?;
    once_per_connection(config, login, What::Password)?.save()?;
    source.read(config)
}

fn code(config: &Config, login: &Login) -> Result<Zeroizing<String>, CliError> {
    match &login.code {
        None => Err(refused(&format!(
            "{}: its [[login]] for {} has neither secret nor code",
            config.path.display(),
            login.name()
        ))),
        Some(Code::Ready(source)) => {
            once_per_connection(config, login, What::Code)?.save()?;
            source.read(config)
        }
        Some(Code::Made(device)) => {
            let secret = source::secret(&device.secret, config)?;
            let memory = once_per_connection(config, login, What::Code)?;
            make(config, device, &secret, memory)
        }
    }
}

/// Opens the memory and notes that this connection gets an answer. A server that asks a second time has
/// refused the first answer, or wants more codes than a login takes.
fn once_per_connection(config: &Config, login: &Login, what: What) -> Result<Memory, CliError> {
    let client = Client::of_this_process()?;
    let mut memory = Memory::open(&config.state_dir)?;
    if memory.note(&client, login.name(), what) {
        return Ok(memory);
    }
    Err(refused(&format!(
        "{} was asked for {} a second time by one connection, so the first answer did not do or the server \
         collects them; ssh's NumberOfPasswordPrompts=1 makes an end of it at once",
        login.name(),
        what.name()
    )))
}

/// Takes the next code that nobody had yet, makes that durable, and waits until the code is of its time.
fn make(
    config: &Config,
    device: &Device,
    secret: &Secret,
    mut memory: Memory,
) -> Result<Zeroizing<String>, CliError> {
    let id = memory::identity(secret);
    let next = memory.next(&id);
    let (moving_factor, from) = match device.movement {
        Movement::Counter(first) => (next.max(first), None),
        Movement::Clock(period) => {
            let now = SystemClock.now();
            let step = next.max(period.step(now));
            let from = UnixTime(step.saturating_mul(period.seconds().into()));
            refuse_long_wait(from.since(now), config)?;
            (step, Some(from))
        }
    };
    memory.use_up(&id, moving_factor);
    // Closed before the wait: the next one to ask takes the code after this one meanwhile.
    memory.save()?;
    if let Some(from) = from {
        wait_until(from);
    }
    let generator = Generator::new(secret, device.algorithm, device.digits);
    Ok(generator.code(moving_factor).expose())
}

fn refuse_long_wait(seconds: u64, config: &Config) -> Result<(), CliError> {
    if seconds <= config.longest_wait {
        return Ok(());
    }
    Err(refused(&format!(
        "every code of the next {seconds} s is used up or promised to another connection, and longest_wait is {} s; \
         start fewer at once, or let them share one connection (ControlMaster)",
        config.longest_wait
    )))
}

/// In small pieces: the clock may be set, and the machine may sleep.
fn wait_until(moment: UnixTime) {
    loop {
        let seconds = moment.since(SystemClock.now());
        if seconds == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(if seconds > 1 { 900 } else { 100 }));
    }
}

/// What `otpgate askpass --test` says of each login: whether all that it names can be read.
///
/// # Errors
/// When the configuration cannot be taken.
pub fn test() -> Result<(PathBuf, Vec<Tested>), CliError> {
    let config = Config::load(&config::place()?)?;
    let logins = config.logins.iter().map(|login| Tested {
        who: login.who.clone(),
        problems: problems(&config, login),
    });
    Ok((config.path.clone(), logins.collect()))
}

/// A login, and what is wrong with it.
#[derive(Debug)]
pub struct Tested {
    /// As ssh shows it.
    pub who: Vec<String>,
    /// Empty when all is well.
    pub problems: Vec<String>,
}

fn problems(config: &Config, login: &Login) -> Vec<String> {
    let password = login.password.iter().map(|source| source.read(config));
    let code = login.code.iter().map(|code| match code {
        Code::Ready(source) => source.read(config),
        // Not made: that would use it up.
        Code::Made(device) => {
            source::secret(&device.secret, config).map(|_| Zeroizing::new(String::new()))
        }
    });
    let results = password.chain(code);
    results
        .filter_map(|result| result.err().map(|error| error.to_string()))
        .collect()
}

/// ssh takes any failure for an empty answer; the status is for people and scripts.
fn refused(why: &str) -> CliError {
    CliError::no(format!("not answered: {why}"))
}
