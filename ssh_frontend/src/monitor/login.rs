//! From the first request to the login: which methods, how many tries, and one person at a time.

use std::rc::Rc;

use super::dialogue::{self, Cut, Handle, Refusal, Verdict};
use super::helpers::Helpers;
use super::keys::{self, AcceptedKey};
use super::methods::Methods;
use super::person::Person;
use super::place::Place;
use super::wire::{Lost, Wire};
use crate::as_user::{Account, KeyVerdict};
use crate::protocol::{Reply, Request};

/// Somebody who is who they say and may log in.
pub struct LoggedIn {
    /// PAM's handle, before credentials and session.
    pub handle: Handle,
    /// Whose session it will be.
    pub account: Account,
    /// The key that was shown before.
    pub key: Option<AcceptedKey>,
}

/// One connection until then.
pub struct Login<'a> {
    place: &'a Place,
    wire: &'a Rc<Wire>,
    helpers: &'a dyn Helpers,
    methods: Methods,
    failures: u32,
    person: Option<Rc<Person>>,
    /// Of the person above, and gone with them.
    key: Option<AcceptedKey>,
}

/// What to do after a request.
enum Next {
    Wait,
    Handle(Request),
    Done(LoggedIn),
}

impl<'a> Login<'a> {
    /// A connection on which nobody has asked for anything.
    pub fn new(place: &'a Place, wire: &'a Rc<Wire>, helpers: &'a dyn Helpers) -> Self {
        Self {
            place,
            wire,
            helpers,
            methods: Methods::of(&place.config.authentication_methods),
            failures: 0,
            person: None,
            key: None,
        }
    }

    /// Serves requests until one of them leads to a login.
    ///
    /// # Errors
    /// When there are no more requests.
    pub fn run(&mut self) -> Result<LoggedIn, Lost> {
        let mut kept = None;
        loop {
            let request = match kept.take() {
                Some(request) => request,
                None => self.wire.next()?,
            };
            match self.handle(request)? {
                Next::Wait => {}
                Next::Handle(request) => kept = Some(request),
                Next::Done(logged_in) => return Ok(logged_in),
            }
        }
    }

    /// Whom the log may name.
    pub fn shown(&self) -> Option<&str> {
        self.person.as_ref().and_then(|person| person.shown())
    }

    fn handle(&mut self, request: Request) -> Result<Next, Lost> {
        match request {
            Request::Begin { user } => self.begin(&user),
            Request::KeyOffered {
                user,
                algorithm,
                key,
            } => self.key_offered(&user, &algorithm, &key),
            Request::KeyVerified {
                user,
                algorithm,
                key,
            } => self.key_verified(&user, &algorithm, &key),
            // The table lets none of these through; answers are taken where they are asked for.
            Request::Answer { .. }
            | Request::Start { .. }
            | Request::Signal { .. }
            | Request::Connect { .. } => Ok(Next::Wait),
        }
    }

    /// The person of this name. Another name than before begins anew: nothing that the one before has shown
    /// counts for the next.
    fn meet(&mut self, name: &str) -> Rc<Person> {
        match &self.person {
            Some(person) if person.is(name) => Rc::clone(person),
            _ => {
                self.key = None;
                let person = Rc::new(Person::look_up(name, &self.place.config));
                self.person = Some(Rc::clone(&person));
                person
            }
        }
    }

    fn begin(&mut self, user: &str) -> Result<Next, Lost> {
        let person = self.meet(user);
        if !self.methods.may_begin(self.key.is_some()) {
            return self.refuse(&person, Refusal::of("key_first"), None);
        }
        match dialogue::hold(self.place, self.wire, &person, self.key.as_ref()) {
            Verdict::In(handle) => match person.admitted() {
                Ok(account) => Ok(Next::Done(LoggedIn {
                    handle,
                    account: account.clone(),
                    key: self.key.take(),
                })),
                Err(reason) => self.refuse(&person, Refusal::of(reason), None),
            },
            Verdict::Refused(refusal) => self.refuse(&person, refusal, None),
            Verdict::Cut(Cut::Lost(lost)) => Err(lost),
            Verdict::Cut(Cut::By(request)) => {
                self.count(&person, Refusal::of("abandoned"), None)?;
                Ok(Next::Handle(request))
            }
        }
    }

    fn key_offered(&mut self, user: &str, algorithm: &str, key: &[u8]) -> Result<Next, Lost> {
        let person = self.meet(user);
        let acceptable = self.methods.key_and_dialogue
            && matches!(
                keys::find(self.place, self.helpers, &person, algorithm, key),
                KeyVerdict::Found(_)
            );
        self.wire.reply(&Reply::KeyAcceptable(acceptable), &[])?;
        Ok(Next::Wait)
    }

    fn key_verified(&mut self, user: &str, algorithm: &str, key: &[u8]) -> Result<Next, Lost> {
        let person = self.meet(user);
        let verdict = keys::find(self.place, self.helpers, &person, algorithm, key);
        match verdict {
            KeyVerdict::Found(limits) if self.methods.key_and_dialogue => {
                self.key = Some(AcceptedKey::new(limits, algorithm, key));
                let methods = self.methods.next(true);
                let partial = true;
                self.wire.reply(&Reply::Refused { methods, partial }, &[])?;
                Ok(Next::Wait)
            }
            KeyVerdict::Found(_) => self.refuse(&person, Refusal::of("method_not_allowed"), None),
            KeyVerdict::NotFound => {
                let reason = person.admitted().err().unwrap_or("key_not_found");
                self.refuse(&person, Refusal::of(reason), None)
            }
            KeyVerdict::Refused(why) => {
                self.refuse(&person, Refusal::of("key_refused"), Some(&why))
            }
        }
    }

    fn refuse(
        &mut self,
        person: &Person,
        refusal: Refusal,
        detail: Option<&str>,
    ) -> Result<Next, Lost> {
        self.count(person, refusal, detail)?;
        let methods = self.methods.next(self.key.is_some());
        let partial = false;
        self.wire.reply(&Reply::Refused { methods, partial }, &[])?;
        Ok(Next::Wait)
    }

    /// Notes a failure; the last one that is allowed ends the connection.
    fn count(
        &mut self,
        person: &Person,
        refusal: Refusal,
        detail: Option<&str>,
    ) -> Result<(), Lost> {
        let pam = refusal.pam.map(|code| code.to_string());
        let mut details = vec![("reason", refusal.reason)];
        details.extend(pam.as_deref().map(|pam| ("pam", pam)));
        details.extend(detail.map(|detail| ("detail", detail)));
        let line = self.place.line("refused", person.shown(), &details);
        self.place.log.info(&line);
        self.failures += 1;
        if self.failures >= self.place.config.max_auth_tries {
            self.place.refused(person.shown(), "too_many_tries");
            return Err(self.wire.dismiss("Too many authentication failures"));
        }
        Ok(())
    }
}
