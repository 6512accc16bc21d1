//! The keyboard-interactive dialogue (RFC 4256), led by PAM: one transaction from `Begin` to the verdict.
//!
//! libpam calls back for each question and waits. Another request in place of the answer (another user, the
//! same one again, a key) ends the dialogue: the conversation fails and goes on failing until PAM's modules
//! have given up, and whatever they thought by then, nobody is let in (CVE-2026-46705 was the opposite).

use std::rc::Rc;

use pam_ffi::{
    Conversation, ConversationFailed, Item, MessageStyle, PamError, ReturnCode, Transaction, flags,
};
use zeroize::Zeroizing;

use super::keys::AcceptedKey;
use super::person::Person;
use super::place::Place;
use super::texts::{Texts, clean};
use super::wire::{Lost, Wire};
use crate::protocol::{Prompt, Question, Reply, Request, Secret};

/// What PAM hears in place of the answers of somebody who may not log in: OpenSSH's filler, which modules
/// know and do not count as a try.
const FILLER: &[u8] = b"\x08\n\r\x7fINCORRECT";

/// A transaction and its questioner.
pub type Handle = Transaction<Questioner>;

/// How a dialogue ended.
pub enum Verdict {
    /// They are who they say, and may log in.
    In(Handle),
    /// They are not, or may not.
    Refused(Refusal),
    /// There was no end.
    Cut(Cut),
}

/// Why somebody is refused, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// In a word.
    pub reason: &'static str,
    /// What PAM answered.
    pub pam: Option<ReturnCode>,
}

/// What came instead of an answer.
#[derive(Debug)]
pub enum Cut {
    /// Another request, which waits to be handled.
    By(Request),
    /// Nothing, for ever.
    Lost(Lost),
}

/// Puts the modules' questions to the network process.
#[derive(Debug)]
pub struct Questioner {
    wire: Rc<Wire>,
    texts: Texts,
    /// Whether PAM hears the answers.
    heard: bool,
    /// Whether there is still somebody to ask.
    asking: bool,
    cut: Option<Cut>,
}

impl Conversation for Questioner {
    fn respond(
        &mut self,
        style: MessageStyle,
        text: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ConversationFailed> {
        if self.cut.is_some() {
            return Err(ConversationFailed::new("the dialogue is over"));
        }
        if !style.wants_answer() {
            self.texts.add(text);
            return Ok(None);
        }
        if !self.asking {
            return Err(ConversationFailed::new("a question outside the dialogue"));
        }
        let prompt = Prompt {
            text: clean(text),
            echo: style == MessageStyle::PromptEchoOn,
        };
        let answer = self.ask(Some(prompt));
        let answer = answer.ok_or_else(|| ConversationFailed::new("the dialogue is over"))?;
        Ok(if self.heard {
            answer.map(Secret::into_bytes)
        } else {
            Some(FILLER.to_vec().into())
        })
    }
}

impl Questioner {
    fn new(wire: &Rc<Wire>, heard: bool) -> Self {
        Self {
            wire: Rc::clone(wire),
            texts: Texts::default(),
            heard,
            asking: true,
            cut: None,
        }
    }

    /// From here on modules may say something, but not ask.
    pub fn stop_asking(&mut self) {
        self.asking = false;
    }

    /// What the modules said since it was last shown.
    pub fn take_texts(&mut self) -> String {
        self.texts.take()
    }

    /// The answer, which is none to a question without a prompt. None at all: the dialogue was cut.
    fn ask(&mut self, prompt: Option<Prompt>) -> Option<Option<Secret>> {
        let instruction = self.texts.take();
        let question = Reply::Question(Question {
            instruction,
            prompt,
        });
        let request = self.wire.reply(&question, &[]);
        self.cut = match request.and_then(|()| self.wire.next()) {
            Ok(Request::Answer { answer }) => return Some(answer),
            Ok(other) => Some(Cut::By(other)),
            Err(lost) => Some(Cut::Lost(lost)),
        };
        None
    }
}

/// One dialogue with this person, who may have shown a key before.
pub fn hold(place: &Place, wire: &Rc<Wire>, person: &Person, key: Option<&AcceptedKey>) -> Verdict {
    let mut handle = match begin(place, wire, person, key) {
        Ok(handle) => handle,
        Err(error) => {
            place.failed(person.shown(), "pam", &error);
            return Verdict::Refused(Refusal::from_pam("pam", &error));
        }
    };
    let judged = judge(&mut handle, person);
    match (handle.conversation().cut.take(), judged) {
        (Some(cut), _) => Verdict::Cut(cut),
        (None, Err(refusal)) => Verdict::Refused(refusal),
        (None, Ok(())) => Verdict::In(handle),
    }
}

fn begin(
    place: &Place,
    wire: &Rc<Wire>,
    person: &Person,
    key: Option<&AcceptedKey>,
) -> Result<Handle, PamError> {
    let config = &place.config;
    let mut handle = Transaction::start(
        &config.pam_service,
        Some(person.name().as_bytes()),
        config.pam_confdir.as_deref(),
        Questioner::new(wire, person.admitted().is_ok()),
    )?;
    handle.set_item(Item::Rhost, place.source.ip().to_string().as_bytes())?;
    handle.set_item(Item::Tty, b"ssh")?;
    handle.put_env(&format!("SSH_CONNECTION={}", place.connection()))?;
    if let Some(key) = key {
        handle.put_env(&format!("SSH_AUTH_INFO_0={}", key.info))?;
    }
    Ok(handle)
}

/// Who may not log in is refused whatever PAM says, after the same questions.
fn judge(handle: &mut Handle, person: &Person) -> Result<(), Refusal> {
    let authenticated = handle.authenticate(flags::DISALLOW_NULL_AUTHTOK);
    person.admitted().map_err(Refusal::of)?;
    authenticated.map_err(|error| Refusal::from_pam("authentication", &error))?;
    check_account(handle)?;
    // A module may have turned them into somebody else, whom nobody here has judged.
    let user = handle.item(Item::User).ok().flatten();
    if user.as_deref() != Some(person.name().as_bytes()) {
        return Err(Refusal::of("user_changed"));
    }
    // The last round, which shows what is left to say. Its answer is not awaited in vain: `cut` tells.
    let answered = handle.conversation().ask(None);
    answered.map(|_| ()).ok_or(Refusal::of("abandoned"))
}

/// What an expired password, or an enrolment, needs is asked in the same dialogue. After that the account is
/// not asked again: as in sshd and login, pam_chauthtok's success is the modules' word that all is well.
fn check_account(handle: &mut Handle) -> Result<(), Refusal> {
    match handle.account(flags::DISALLOW_NULL_AUTHTOK) {
        Ok(()) => Ok(()),
        Err(error) if error.code == ReturnCode::NEW_AUTHTOK_REQD => handle
            .change_authtok(flags::CHANGE_EXPIRED_AUTHTOK)
            .map_err(|error| Refusal::from_pam("password_change", &error)),
        Err(error) => Err(Refusal::from_pam("account", &error)),
    }
}

impl Refusal {
    /// Before PAM, or beside it.
    #[must_use]
    pub fn of(reason: &'static str) -> Self {
        Self { reason, pam: None }
    }

    fn from_pam(reason: &'static str, error: &PamError) -> Self {
        Self {
            reason,
            pam: Some(error.code),
        }
    }
}
