//! Runs a command over SSH with password and code, by russh. The host has to be in ~/.ssh/known_hosts.
//!
//!     PASSWORD_FILE=password SECRET_FILE=secret cargo run -p examples --example log_in_with_russh -- USER HOST PORT COMMAND
//!
//! The files hold the password, and the secret in base32.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, fs};

use otp_core::clock::{Clock as _, SystemClock};
use otp_core::hotp::{Algorithm, Digits, Generator};
use otp_core::secret::Secret;
use otp_core::totp::Period;
use russh::ChannelMsg;
use russh::client::{self, Handle, KeyboardInteractiveAuthResponse as Response};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::known_hosts::check_known_hosts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [user, host, port, command] = arguments.as_slice() else {
        return Err("usage: log_in_with_russh USER HOST PORT COMMAND".into());
    };
    let place = Place {
        host: host.clone(),
        port: port.parse()?,
    };
    let address = (place.host.clone(), place.port);
    let mut session = client::connect(Arc::default(), address, place).await?;
    log_in(&mut session, user).await?;
    run(&session, command).await
}

/// Answers each question once: the same one again means that the first answer was refused.
async fn log_in(session: &mut Handle<Place>, user: &str) -> Result<(), Box<dyn Error>> {
    let mut questions = vec!["Password: ", "Verification code: "];
    let mut response = session
        .authenticate_keyboard_interactive_start(user, None)
        .await?;
    loop {
        let prompts = match response {
            Response::Success => return Ok(()),
            Response::Failure { .. } => return Err("refused: password or code was wrong".into()),
            Response::InfoRequest { prompts, .. } => prompts,
        };
        let mut answers = Vec::new();
        for prompt in prompts {
            let known = questions.iter().position(|known| *known == prompt.prompt);
            let known = known.ok_or("the server asks what is not answered")?;
            answers.push(answer(questions.remove(known))?);
        }
        response = session
            .authenticate_keyboard_interactive_respond(answers)
            .await?;
    }
}

fn answer(question: &str) -> Result<String, Box<dyn Error>> {
    let read = |variable| -> Result<String, Box<dyn Error>> {
        let text = fs::read_to_string(env::var(variable)?)?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    };
    if question == "Password: " {
        return read("PASSWORD_FILE");
    }
    let secret = Secret::from_base32(&read("SECRET_FILE")?)?;
    let step = Period::default().step(SystemClock.now());
    let code = Generator::new(&secret, Algorithm::Sha1, Digits::SIX).code(step);
    Ok(code.expose().to_string())
}

async fn run(session: &Handle<Place>, command: &str) -> Result<ExitCode, Box<dyn Error>> {
    let mut channel = session.channel_open_session().await?;
    channel.exec(true, command).await?;
    let mut status = 255;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => std::io::stdout().write_all(&data)?,
            ChannelMsg::ExtendedData { data, .. } => std::io::stderr().write_all(&data)?,
            ChannelMsg::ExitStatus { exit_status } => status = exit_status,
            _ => {}
        }
    }
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(255)))
}

/// Where the session goes, and so whose host key it has to be.
struct Place {
    host: String,
    port: u16,
}

impl client::Handler for Place {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            return Ok(false);
        };
        Ok(check_known_hosts(&self.host, self.port, key)?)
    }
}
