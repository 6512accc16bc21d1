//! What a device's codes are worth, as far as it can be known from outside.

use super::account::Expected;
use crate::journal::Kind;
use std::collections::BTreeSet;

const STEP: u64 = 30;
const LOOK_AHEAD: u64 = 10;
const RESYNC: u64 = 100;

#[derive(Debug, Clone)]
pub struct Device {
    pub number: u32,
    pub kind: Kind,
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

impl Device {
    pub fn new(number: u32, kind: Kind) -> Self {
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

    /// What has to come of the code at this position, if it is looked at.
    pub fn expects(&self, factor: u64, clock: u64) -> Expected {
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

    /// Whether a refusal of this code was none of a guess, as far as the product can see.
    pub fn is_replay(&self, factor: u64, clock: u64) -> bool {
        match self.kind {
            Kind::Hotp => self.low == self.high && factor + 1 == self.low,
            Kind::Totp => factor < self.low && clock / STEP == factor,
            // Has no throttle.
            Kind::File => true,
        }
    }

    pub fn typed(&mut self, factor: u64) {
        self.typed.insert(factor);
    }

    pub fn accept(&mut self, factor: u64) {
        self.low = self.low.max(factor + 1);
        self.high = self.high.max(self.low);
        self.accepted.insert(factor);
        self.candidate = None;
    }

    pub fn may_have_accepted(&mut self, factor: u64) {
        self.high = self.high.max(factor + 1);
        self.candidate = None;
    }

    /// One of its codes was looked at and refused, or something else was typed.
    pub fn refuse(&mut self, factor: Option<u64>) {
        let ahead = self.low + LOOK_AHEAD + 1..=self.low + RESYNC;
        let near = |factor: &u64| self.kind == Kind::Hotp && ahead.contains(factor);
        self.candidate = factor.filter(near);
    }

    pub fn resynchronise(&mut self, factor: u64) {
        (self.low, self.high) = (factor + 1, factor + 1);
        (self.lost, self.candidate) = (false, None);
    }

    pub fn lose(&mut self) {
        self.lost = true;
    }
}
