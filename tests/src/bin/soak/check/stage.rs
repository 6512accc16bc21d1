//! Journals as they would be written, for the checker's own tests.

use crate::journal::{Answer, Change, Deed, Entry, History, Kind, Login, Sight, Typed};

/// A moment on the user's clock: the first second of a step.
pub const NOW: u64 = 2_000_000_010;

/// One user, to whom things happen one after the other.
pub struct Stage {
    history: History,
    at: u64,
    device: u32,
    kind: Kind,
    /// The user's clock.
    pub clock: u64,
    /// Whether logins are.
    pub by_owner: bool,
}

impl Stage {
    /// Somebody with a counter.
    pub fn hotp() -> Self {
        Self::enrolled(Kind::Hotp)
    }

    /// Somebody with this device, number 1, and set 1 of recovery codes.
    pub fn enrolled(kind: Kind) -> Self {
        let mut stage = Self {
            history: History::default(),
            at: 0,
            device: 0,
            kind,
            clock: NOW,
            by_owner: true,
        };
        stage.enrol(1);
        stage
    }

    pub fn enrol(&mut self, device: u32) {
        self.device = device;
        let (kind, set) = (self.kind, 1);
        self.change(Change::Enrol { device, kind, set }, Answer::Done);
    }

    pub fn login(&mut self, factor: u64, answer: Answer) -> Entry {
        let device = self.device;
        self.typed(Typed::Code { device, factor }, answer)
    }

    pub fn typed(&mut self, typed: Typed, answer: Answer) -> Entry {
        let deed = self.deed(typed);
        self.entry(deed, answer)
    }

    pub fn change(&mut self, change: Change, answer: Answer) -> Entry {
        let user = "alice".to_owned();
        self.entry(Deed::Change { user, change }, answer)
    }

    /// All at once.
    pub fn together(&mut self, logins: &[(u64, Answer)]) {
        let began = self.at;
        for (factor, answer) in logins {
            self.login(*factor, answer.clone());
        }
        let count = self.history.entries.len();
        for entry in &mut self.history.entries[count - logins.len()..] {
            (entry.began, entry.ended) = (began, self.at - 1);
        }
    }

    pub fn sight(&mut self, sight: Sight) {
        self.history.sights.push((self.at, sight));
        self.at += 10;
    }

    pub fn history(&self) -> History {
        self.history.clone()
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.history.entries.clone()
    }

    fn deed(&self, typed: Typed) -> Deed {
        Deed::Login(Login {
            user: "alice".into(),
            typed,
            by_owner: self.by_owner,
            clock: self.clock,
        })
    }

    fn entry(&mut self, deed: Deed, answer: Answer) -> Entry {
        let entry = Entry {
            actor: "alice".into(),
            began: self.at,
            ended: self.at + 5,
            deed,
            answer,
        };
        self.at += 10;
        self.history.entries.push(entry.clone());
        entry
    }
}
