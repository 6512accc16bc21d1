//! What a user may expect: the rules of the design, as short as they can be said.
//!
//! Where the order of things cannot be known from outside, it says so and expects nothing; everywhere else
//! it expects one answer.

use crate::journal::{Answer, Change, Kind, Login, Typed};
use std::collections::BTreeSet;

const STEP: u64 = 30;
const FREE_FAILURES: u32 = 3;
const FIRST_WAIT: u64 = 5;
const LONGEST_WAIT: u64 = 900;
/// Of the hundred that there are, with some to spare for what others did.
const FEW_FAILURES: u32 = 9;
const LOOK_AHEAD: u64 = 10;
const RESYNC: u64 = 100;

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

#[derive(Debug, Clone)]
struct Device {
    number: u32,
    kind: Kind,
    /// Below is used up for certain.
    low: u64,
    /// From here on nothing is used up, except what was typed.
    high: u64,
    /// Positions that were typed, whatever came of it.
    typed: BTreeSet<u64>,
    /// Those that let somebody in.
    accepted: BTreeSet<u64>,
    /// A repair knew nothing of it; it counts again after a resynchronisation.
    lost: bool,
    /// A position too far ahead, typed by the last attempt.
    candidate: Option<u64>,
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
            Answer::Refused => {
                self.disturbed = true;
                if !self.is_replay(login) && self.is_open(login.clock) {
                    self.fail(login.clock);
                }
                self.forget_candidate(login);
            }
            _ => {
                self.disturbed = true;
                if login.typed == Typed::Wrong {
                    self.fail(login.clock);
                }
                self.may_be_used(login);
            }
        }
        if let (
            Some(device),
            Typed::Code {
                device: number,
                factor,
            },
        ) = (&mut self.device, login.typed)
            && device.number == number
        {
            device.typed.insert(factor);
        }
    }

    fn succeed(&mut self, login: &Login) {
        (self.failures, self.blocked_until) = (0, 0);
        match login.typed {
            Typed::Code { factor, .. } => {
                if let Some(device) = &mut self.device {
                    device.low = device.low.max(factor + 1);
                    device.high = device.high.max(device.low);
                    device.accepted.insert(factor);
                    device.candidate = None;
                }
            }
            Typed::Recovery { number, .. } => drop(self.used.insert(number)),
            Typed::Wrong => {}
        }
    }

    fn fail(&mut self, clock: u64) {
        self.failures += 1;
        let doublings = self.failures.checked_sub(FREE_FAILURES + 1);
        let wait = doublings.map_or(0, |doublings| FIRST_WAIT << doublings.min(20));
        self.blocked_until = self.blocked_until.max(clock + wait.min(LONGEST_WAIT));
    }

    /// A code that is used up is no guess, if the product can see that it is.
    fn is_replay(&self, login: &Login) -> bool {
        match (login.typed, &self.device) {
            (
                Typed::Code {
                    device: number,
                    factor,
                },
                Some(device),
            ) if device.number == number => {
                match device.kind {
                    Kind::Hotp => device.low == device.high && factor + 1 == device.low,
                    Kind::Totp => factor < device.low && login.clock / STEP == factor,
                    // Has no throttle.
                    Kind::File => true,
                }
            }
            (Typed::Recovery { set, number }, _) => {
                self.set == Some(set) && self.used.contains(&number)
            }
            _ => false,
        }
    }

    fn forget_candidate(&mut self, login: &Login) {
        let Some(device) = &mut self.device else {
            return;
        };
        let ahead = device.low + LOOK_AHEAD + 1..=device.low + RESYNC;
        device.candidate = match login.typed {
            Typed::Code { factor, .. } if device.kind == Kind::Hotp => {
                Some(factor).filter(|factor| ahead.contains(factor))
            }
            _ => None,
        };
    }

    fn may_be_used(&mut self, login: &Login) {
        match (login.typed, &mut self.device) {
            (
                Typed::Code {
                    device: number,
                    factor,
                },
                Some(device),
            ) if device.number == number => {
                device.high = device.high.max(factor + 1);
                device.candidate = None;
            }
            (Typed::Recovery { number, .. }, _) => drop(self.doubtful.insert(number)),
            _ => {}
        }
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
                    (device.low, device.high) = (factor + 1, factor + 1);
                    (device.lost, device.candidate) = (false, None);
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
            device.lost = true;
        }
    }
}

impl Device {
    fn new(number: u32, kind: Kind) -> Self {
        Self {
            number,
            kind,
            low: 0,
            high: 0,
            typed: BTreeSet::new(),
            accepted: BTreeSet::new(),
            lost: false,
            candidate: None,
        }
    }

    fn expects(&self, factor: u64, clock: u64) -> Expected {
        let used = match self.kind {
            Kind::File => self.accepted.contains(&factor),
            Kind::Totp | Kind::Hotp => factor < self.low,
        };
        if self.lost {
            return Expected::Out("the state had been lost");
        }
        if used {
            return Expected::Out("the code was used");
        }
        let untouched = factor >= self.high || self.kind == Kind::File;
        let follows = self.candidate.is_some_and(|first| first + 1 == factor);
        let in_window = match self.kind {
            Kind::Hotp => factor <= self.low + LOOK_AHEAD || follows,
            // One step early, on time; late is what a slow machine makes of it.
            Kind::Totp | Kind::File => factor == clock / STEP || factor == clock / STEP + 1,
        };
        if untouched && in_window && !self.typed.contains(&factor) {
            Expected::In
        } else {
            Expected::Either
        }
    }
}
