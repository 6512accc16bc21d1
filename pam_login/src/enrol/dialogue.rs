//! The questions of an enrolment. What has to be read stands in the prompts themselves: OpenSSH before 10.3
//! holds every other text back until the next prompt, and some clients show prompts only.
//!
//! No prompt is the login's `Verification code: `, so that no program answers one of these in its place.

use std::fmt::Write as _;

use otp_core::account::{Kind, Token};
use otp_core::answer::Answer;
use otp_core::clock::Clock;
use otp_core::config::{Config, Profile};
use otp_core::enrolment::{Proof, prove};
use otp_core::hotp::{Code, Digits, MovingFactor};
use otp_core::recovery::RecoveryCode;
use otp_core::totp::{Period, UnixTime};
use pam_ffi::MessageStyle;
use zeroize::Zeroizing;

use crate::host::Host;
use crate::qr::{self, Blocks};

/// How often a question is asked before the dialogue ends.
const TRIES: usize = 3;
/// Light modules around the picture. Readers ask for four and take fewer, and a terminal of 24 lines is small.
const QUIET: usize = 2;
/// Answers longer than this are none.
const LONGEST_WORD: usize = 64;

/// Why a dialogue ended without an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The application wants nothing shown.
    Silent,
    /// The application could not ask, or the person hung up.
    BrokenOff,
    /// No profile was chosen.
    NoChoice,
    /// No right code was typed.
    NotProved,
    /// Nobody said that the recovery codes were noted.
    NotNoted,
    /// Somebody else enrolled or changed the user meanwhile.
    Overtaken,
}

impl Stopped {
    /// The `reason=` of the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::BrokenOff => "broken_off",
            Self::NoChoice => "no_profile_chosen",
            Self::NotProved => "not_proved",
            Self::NotNoted => "recovery_codes_not_noted",
            Self::Overtaken => "changed_meanwhile",
        }
    }
}

/// One enrolment's questions.
pub struct Dialogue<'a, H, C> {
    pub host: &'a mut H,
    pub config: &'a Config,
    pub clock: &'a C,
}

impl<H: Host, C: Clock> Dialogue<'_, H, C> {
    /// The profile to enrol with: the person's choice where there are several.
    pub fn choose_profile(&mut self) -> Result<Profile, Stopped> {
        let profiles: Vec<(&String, &Profile)> = self.config.profiles.iter().collect();
        match profiles[..] {
            [] => return Ok(Profile::default()),
            [(_, only)] => return Ok(only.clone()),
            _ => {}
        }
        let mut question =
            String::from("\nThis login wants a code from an app. Which one shall it be?\n");
        for (number, (name, profile)) in profiles.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = writeln!(
                question,
                "  {}  {}",
                number + 1,
                self.described(name, profile)
            );
        }
        question.push_str("Its number: ");
        for _ in 0..TRIES {
            let typed = self.ask(&question)?;
            let number = typed.parse::<usize>().ok();
            let position = number.and_then(|number| number.checked_sub(1));
            let chosen = match position {
                Some(position) => profiles.get(position),
                None => profiles.iter().find(|(name, _)| **name == *typed),
            };
            if let Some((_, profile)) = chosen {
                return Ok((*profile).clone());
            }
        }
        Err(Stopped::NoChoice)
    }

    fn described(&self, name: &str, profile: &Profile) -> String {
        let algorithm = profile.algorithm.unwrap_or_default().name();
        let digits = profile.digits.unwrap_or(Digits::SIX).count();
        let period = profile.period.unwrap_or_default();
        let issuer = profile.issuer.as_ref().or(self.config.issuer.as_ref());
        let issuer = issuer
            .map(|issuer| format!("{issuer}, "))
            .unwrap_or_default();
        format!("{name:<12} {issuer}{algorithm}, {digits} digits, {period}")
    }

    /// Shows the key, and waits for a code that was made with it.
    pub fn see_proof(&mut self, token: &Token) -> Result<MovingFactor, Stopped> {
        let mut question = introduction(token);
        for _ in 0..TRIES {
            question.push_str("Code that the app shows now: ");
            let typed = self.ask(&question)?;
            let digits = token.digits;
            let now = self.clock.now();
            let complaint = match code(&typed, digits) {
                None => format!(
                    "That is no code of this key: they have {} digits.",
                    digits.count()
                ),
                Some(code) => match prove(token, &code, &self.config.parameters.reach, now) {
                    Proof::Right(position) => return Ok(position),
                    Proof::Off(position) => about_clock(token, position, now),
                    Proof::Wrong => "That code does not belong to this key.".to_owned(),
                },
            };
            question = Zeroizing::new(format!("\n{complaint}\n"));
        }
        Err(Stopped::NotProved)
    }

    /// Shows the recovery codes, and waits until somebody says that they are on paper.
    pub fn hand_out(&mut self, codes: &[RecoveryCode]) -> Result<(), Stopped> {
        let mut question = Zeroizing::new(String::with_capacity(1024));
        question.push_str(
            "\nRight. Without the phone, each of these recovery codes lets you in once.\n\
             Write them down now; they are not shown again.\n",
        );
        for pair in codes.chunks(2) {
            for code in pair {
                question.push_str("  ");
                question.push_str(&code.expose());
            }
            question.push('\n');
        }
        question.push_str("Type yes when you have them on paper: ");
        for _ in 0..TRIES {
            if self.ask(&question)?.eq_ignore_ascii_case("yes") {
                return Ok(());
            }
        }
        Err(Stopped::NotNoted)
    }

    /// One question, with what is typed shown: there are no secrets to type.
    fn ask(&mut self, question: &str) -> Result<Zeroizing<String>, Stopped> {
        let answer = self.host.send(MessageStyle::PromptEchoOn, question);
        let answer = answer.ok().flatten().ok_or(Stopped::BrokenOff)?;
        let word = answer.get(..LONGEST_WORD.min(answer.len()));
        let text = String::from_utf8_lossy(word.unwrap_or_default());
        let text = Zeroizing::new(text.into_owned());
        Ok(Zeroizing::new(text.trim().to_owned()))
    }
}

fn code(typed: &str, digits: Digits) -> Option<Code> {
    match Answer::parse(Some(typed.as_bytes()), None) {
        Answer::Code(code) if code.digits() == digits => Some(code),
        _ => None,
    }
}

/// What to do, the key as text, and last the picture, above the prompt: what scrolls away is the text.
fn introduction(token: &Token) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(8 * 1024));
    text.push_str(
        "\nThis login wants a code from an authenticator app from now on.\n\
         Scan the picture with the app, or type this key into it:\n  ",
    );
    for (position, letter) in token.secret.to_base32().chars().enumerate() {
        if position > 0 && position % 4 == 0 {
            text.push(' ');
        }
        text.push(letter);
    }
    let _ = writeln!(
        text,
        "\n  {}{}{}",
        token.issuer,
        name(&token.label),
        shape(token)
    );
    let uri = short_uri(token);
    if let Some(picture) = qr::half_blocks(&uri, QUIET, Blocks::Light) {
        text.push_str(&picture);
        text.push('\n');
    }
    text
}

fn name(label: &str) -> String {
    if label.is_empty() {
        return String::new();
    }
    format!(": {label}")
}

/// What to set in the app, where it is not what every app takes for granted.
fn shape(token: &Token) -> String {
    let period = match token.kind {
        Kind::Totp { period } => period,
        Kind::Hotp { .. } | Kind::Delivered { .. } => Period::default(),
    };
    let usual = token.algorithm == Default::default()
        && token.digits == Digits::SIX
        && period == Period::default();
    if usual {
        return String::new();
    }
    let (algorithm, digits) = (token.algorithm.name(), token.digits.count());
    format!(" ({algorithm}, {digits} digits, {period})")
}

/// The key URI without what every app takes for granted: each byte may cost a line of the screen.
fn short_uri(token: &Token) -> Zeroizing<String> {
    let uri = token.key_uri().expose();
    let usual = "&algorithm=SHA1&digits=6&period=30";
    match uri.strip_suffix(usual) {
        Some(short) => Zeroizing::new(short.to_owned()),
        None => uri,
    }
}

fn about_clock(token: &Token, position: MovingFactor, now: UnixTime) -> String {
    let period = match token.kind {
        Kind::Totp { period } => period,
        Kind::Hotp { .. } | Kind::Delivered { .. } => Period::default(),
    };
    let step = period.step(now);
    let seconds = step.abs_diff(position) * u64::from(period.seconds());
    let direction = if position > step {
        "ahead of"
    } else {
        "behind"
    };
    format!(
        "The key is right, but the phone's clock is about {seconds} s {direction} this host's.\n\
         Set it by the network, and type the next code."
    )
}
