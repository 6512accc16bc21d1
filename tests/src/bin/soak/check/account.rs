//! What a user may expect: the rules of the design, as short as they can be said.
//!
//! Where the order of things cannot be known from outside, it says so and expects nothing; everywhere else
//! it expects one answer.

use super::device::Device;
use crate::journal::{Answer, Change, Kind, Login, Typed};
use std::collections::BTreeSet;

const FREE_FAILURES: u32 = 3;
const FIRST_WAIT: u64 = 5;
const LONGEST_WAIT: u64 = 900;
/// Of the hundred that there are, with some to spare for what others did.
const FEW_FAILURES: u32 = 9;

/// What has to come of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    In,
    /// Because of this.
    Out(&'static str),
    Either,
}

/// One user.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Has a device.
    device: Option<Device>,
    disabled: bool,
    damaged: bool,
    /// A change was cut short, and nobody knows whether it was made.
    doubt: bool,
    /// The current set of recovery codes, which were used, and which may have been.
    set: Option<u32>,
    used: BTreeSet<u32>,
    doubtful: BTreeSet<u32>,
    /// At most so many failures count now, and no wait is longer.
    failures: u32,
    blocked_until: u64,
    /// Anything but right codes one after the other.
    disturbed: bool,
}

impl Account {
    /// What has to come of this login, if nothing else happens meanwhile.
    pub fn expects(&self, login: &Login) -> Expected {
        let Some(device) = &self.device else {
            return self.unless_in_doubt(Expected::Out("nobody is enrolled"));
        };
        if login.typed == Typed::Wrong {
            return Expected::Out("the code was wrong");
        }
        if self.damaged {
            return self.unless_in_doubt(Expected::Out("the state was damaged"));
        }
        if self.disabled {
            return self.unless_in_doubt(Expected::Out("the account was disabled"));
        }
        let expected = match login.typed {
            Typed::Code { device: number, .. } if number != device.number => {
                Expected::Out("the device had been replaced")
            }
            Typed::Code { factor, .. } => device.expects(factor, login.clock),
            Typed::Recovery { set, number } => self.expects_recovery(set, number),
            Typed::Wrong => Expected::Out("the code was wrong"),
        };
        match expected {
            Expected::In if !login.by_owner || !self.is_open(login.clock) => Expected::Either,
            expected => self.unless_in_doubt(expected),
        }
    }

    fn unless_in_doubt(&self, expected: Expected) -> Expected {
        if self.doubt {
            Expected::Either
        } else {
            expected
        }
    }

    fn expects_recovery(&self, set: u32, number: u32) -> Expected {
        if self.set != Some(set) {
            Expected::Out("the recovery codes had been replaced")
        } else if self.used.contains(&number) {
            Expected::Out("the recovery code was used")
        } else if self.doubtful.contains(&number) {
            Expected::Either
        } else {
            Expected::In
        }
    }

    /// Whether a code typed at this moment is looked at.
    fn is_open(&self, clock: u64) -> bool {
        self.failures <= FEW_FAILURES && self.wait_at(clock) <= clock
    }

    fn wait_at(&self, clock: u64) -> u64 {
        self.blocked_until.min(clock + LONGEST_WAIT)
    }

    /// Whether there is no verdict while this lasts.
    pub fn may_be_broken(&self) -> bool {
        self.damaged || self.doubt
    }

    /// Whether anything ever happened to this user.
    pub fn is_disturbed(&self) -> bool {
        self.disturbed
    }

    /// Whether an account has to be there, if that can be known.
    pub fn is_enrolled(&self) -> Option<bool> {
        let in_store = |device: &Device| device.kind != Kind::File;
        (!self.doubt).then(|| self.device.as_ref().is_some_and(in_store))
    }

    /// After logins that ran side by side, those that were let in first.
    pub fn follow(&mut self, login: &Login, answer: &Answer) {
        if !login.by_owner {
            return;
        }
        self.blocked_until = self.wait_at(login.clock);
        match answer {
            Answer::Accepted => self.succeed(login),
            Answer::Refused => self.be_refused(login),
            _ => self.may_have_succeeded(login),
        }
        if let Some((device, factor)) = self.shown(login.typed) {
            device.typed(factor);
        }
    }

    /// The current device, if it is its code that was typed.
    fn shown(&mut self, typed: Typed) -> Option<(&mut Device, u64)> {
        let Typed::Code { device, factor } = typed else {
            return None;
        };
        let current = self.device.as_mut();
        let current = current.filter(|current| current.number == device);
        current.map(|current| (current, factor))
    }

    fn succeed(&mut self, login: &Login) {
        (self.failures, self.blocked_until) = (0, 0);
        if let Some((device, factor)) = self.shown(login.typed) {
            device.accept(factor);
        }
        if let Typed::Recovery { number, .. } = login.typed {
            self.used.insert(number);
        }
    }

    fn be_refused(&mut self, login: &Login) {
        self.disturbed = true;
        let open = self.is_open(login.clock);
        if open && !self.is_replay(login) {
            self.fail(login.clock);
        }
        let shown = self.shown(login.typed).map(|(_, factor)| factor);
        if let Some(device) = &mut self.device {
            device.refuse(shown.filter(|_| open));
        }
    }

    /// Killed, or without a verdict.
    fn may_have_succeeded(&mut self, login: &Login) {
        self.disturbed = true;
        if login.typed == Typed::Wrong {
            self.fail(login.clock);
        }
        if let Some((device, factor)) = self.shown(login.typed) {
            device.may_have_accepted(factor);
        }
        if let Typed::Recovery { number, .. } = login.typed {
            self.doubtful.insert(number);
        }
    }

    fn fail(&mut self, clock: u64) {
        self.failures += 1;
        let doublings = self.failures.checked_sub(FREE_FAILURES + 1);
        let wait = doublings.map_or(0, |doublings| FIRST_WAIT << doublings.min(20));
        self.blocked_until = self.blocked_until.max(clock + wait.min(LONGEST_WAIT));
    }

    /// A code that is used up is no guess, if the product can see that it is.
    fn is_replay(&mut self, login: &Login) -> bool {
        if let Typed::Recovery { set, number } = login.typed {
            return self.set == Some(set) && self.used.contains(&number);
        }
        let shown = self.shown(login.typed);
        shown.is_some_and(|(device, factor)| device.is_replay(factor, login.clock))
    }

    /// After a change.
    pub fn change(&mut self, change: Change, answer: &Answer) {
        if !matches!(change, Change::Enrol { .. }) {
            self.disturbed = true;
        }
        match answer {
            Answer::Done => {
                self.doubt = false;
                self.make(change);
            }
            Answer::NotDone(_) => {}
            _ => self.doubt = true,
        }
    }

    fn make(&mut self, change: Change) {
        match change {
            Change::Enrol { device, kind, set } => {
                if self.device.is_none() {
                    *self = Self {
                        disturbed: self.disturbed,
                        ..Self::default()
                    };
                }
                self.device = Some(Device::new(device, kind));
                self.take_set(set);
            }
            Change::Remove => {
                *self = Self {
                    disturbed: true,
                    ..Self::default()
                }
            }
            Change::Disable => self.disabled = true,
            Change::Enable => self.disabled = false,
            Change::Unlock => (self.failures, self.blocked_until) = (0, 0),
            Change::Recovery { set } => self.take_set(set),
            Change::Resync { factor } => {
                if let Some(device) = &mut self.device {
                    device.resynchronise(factor);
                }
            }
            Change::Damage => self.damaged = true,
            Change::Repair => self.repair(),
        }
    }

    fn take_set(&mut self, set: u32) {
        if self.set != Some(set) {
            self.set = Some(set);
            self.used.clear();
            self.doubtful.clear();
        }
    }

    fn repair(&mut self) {
        if !self.damaged {
            return;
        }
        self.damaged = false;
        self.set = None;
        if let Some(device) = &mut self.device {
            device.lose();
        }
    }
}
