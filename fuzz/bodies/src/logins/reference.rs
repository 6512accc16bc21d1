//! What has to be true of every verdict, by a model that only counts and remembers.
//!
//! Where it cannot know (which of many places was forgotten, say), it claims nothing.

use std::collections::{HashMap, HashSet};

use otp_core::account::{Account, Kind, Token};
use otp_core::hotp::MovingFactor;
use otp_core::matching::MAX_SKEW;
use otp_core::policy::{Accepted, Parameters, Proof, Refusal, Verdict};
use otp_core::source::Source;
use otp_core::state::{State, TokenState};
use otp_core::throttle::{KNOWN_FOR, MAX_KNOWN_SOURCES};
use otp_core::totp::UnixTime;

/// One login, seen from outside.
pub struct Seen<'a> {
    pub account: &'a Account,
    pub old: &'a State,
    pub new: &'a State,
    /// The code in it, if there is one.
    pub text: &'a str,
    pub combined: bool,
    pub source: Source,
    pub service: &'static str,
    pub now: UnixTime,
    pub parameters: &'a Parameters,
}

/// A success, as `grace=` may remember it.
#[derive(PartialEq, Eq, Hash)]
struct Success {
    source: Source,
    service: &'static str,
    at: UnixTime,
    generation: u64,
}

#[derive(Default)]
pub struct Reference {
    /// Device and position of every code that let somebody in.
    accepted: HashSet<(u64, MovingFactor)>,
    recovery_used: HashSet<String>,
    /// For each device, every code that was ever held against it, and those of the last attempt.
    typed: HashMap<u64, HashSet<String>>,
    typed_last: HashMap<u64, String>,
    /// Wrong guesses since anybody's last success.
    failures: u32,
    /// Those from places that never succeeded, since the last success from such a place.
    failures_of_strangers: u32,
    /// Since their own last success.
    failures_of: HashMap<Source, u32>,
    /// Places that guessed wrong although they had succeeded before.
    clumsy_friends: HashSet<Source>,
    last_success: HashMap<Source, UnixTime>,
    successes: HashSet<Success>,
    /// Until when each place was told to wait, as long as nothing happened since.
    told_to_wait: HashMap<Source, UnixTime>,
}

impl Reference {
    pub fn judge(&mut self, seen: &Seen<'_>, verdict: &Verdict) {
        nothing_falls(seen);
        self.friends_are_heard(seen, verdict);
        match verdict {
            Verdict::Accepted(accepted) => {
                self.accept(seen, accepted);
                self.succeeded(seen);
            }
            Verdict::Refused(refusal) => self.refuse(seen, refusal),
        }
        if was_evaluated(verdict) && is_digits(seen.text) {
            for token in serving(seen) {
                let text = text_for(seen, token).to_owned();
                self.typed_last.insert(token.serial.0, text.clone());
                self.typed.entry(token.serial.0).or_default().insert(text);
            }
        }
    }

    pub fn unlocked(&mut self) {
        (self.failures, self.failures_of_strangers) = (0, 0);
        self.failures_of.clear();
        self.clumsy_friends.clear();
        self.told_to_wait.clear();
    }

    pub fn may_be_in_grace(&self, place: (Source, &str), generation: u64, now: UnixTime) -> bool {
        self.successes.iter().any(|success| {
            (success.source, success.service) == place
                && success.generation == generation
                && success.at <= now
                && now.since(success.at) < 3_600
        })
    }

    /// A flood from elsewhere never keeps somebody out who came from there before and made no mistake since.
    fn friends_are_heard(&self, seen: &Seen<'_>, verdict: &Verdict) {
        let known = self.is_certainly_known(seen.source, seen.now);
        let failed = self
            .failures_of
            .get(&seen.source)
            .is_some_and(|count| *count > 0);
        let others = self
            .clumsy_friends
            .iter()
            .any(|source| *source != seen.source);
        if known && !failed && !others {
            let refused_unheard = matches!(
                verdict,
                Verdict::Refused(Refusal::Throttled { .. } | Refusal::Locked)
            );
            assert!(!refused_unheard, "{verdict:?} for {}", seen.source);
        }
    }

    fn is_certainly_known(&self, source: Source, now: UnixTime) -> bool {
        let last = self.last_success.get(&source);
        // With more places than there is room for, the oldest is forgotten, and clocks jump.
        self.last_success.len() <= MAX_KNOWN_SOURCES
            && last.is_some_and(|last| now.since(*last) <= KNOWN_FOR)
    }

    fn accept(&mut self, seen: &Seen<'_>, accepted: &Accepted) {
        let length = if seen.combined { seen.text.len() } else { 0 };
        match &accepted.proof {
            Proof::Recovery { left } => {
                assert!(self.recovery_used.insert(seen.text.to_owned()), "twice");
                assert_eq!(left + self.recovery_used.len(), 3);
                assert_eq!(accepted.code_length, length);
            }
            Proof::Token {
                id, resynchronised, ..
            } => {
                let token = seen.account.token(id).expect("a device of the account");
                assert!(token.serves(seen.service));
                assert!(!seen.combined || accepted.code_length == token.digits.count());
                self.accept_code(seen, token, *resynchronised);
            }
            Proof::Invite { .. } => panic!("nobody is invited here"),
        }
    }

    /// One code, one login; and only from a position that may be looked at.
    fn accept_code(&mut self, seen: &Seen<'_>, token: &Token, resynchronised: bool) {
        let serial = token.serial.0;
        let (old, new) = (state_of(seen.old, token), state_of(seen.new, token));
        let position = new.next - 1;
        assert!(position >= old.next, "the position was used up");
        assert!(
            fits(token, position, text_for(seen, token)),
            "another code than typed"
        );
        assert!(self.accepted.insert((serial, position)), "accepted twice");
        let furthest = match token.kind {
            Kind::Totp { period } => {
                let step = period.step(seen.now);
                assert!(position.abs_diff(step) <= MAX_SKEW + 1, "an hours-old code");
                old.skew.unsigned_abs() as u64 + seen.parameters.reach.totp_window
            }
            Kind::Hotp { .. } => {
                assert!(position - old.next <= seen.parameters.reach.hotp_resync);
                seen.parameters.reach.hotp_look_ahead
            }
            Kind::Delivered { .. } => panic!("nothing is sent here"),
        };
        let ahead = match token.kind {
            Kind::Totp { period } => position.abs_diff(period.step(seen.now)),
            Kind::Hotp { .. } | Kind::Delivered { .. } => position - old.next,
        };
        assert!(ahead <= furthest || resynchronised, "too far");
        if resynchronised {
            // RFC 4226 section 7.4: the one right behind the one that was typed before.
            let before = self.typed_last.get(&serial).expect("two codes in a row");
            assert!(fits(token, position - 1, before));
        }
    }

    fn succeeded(&mut self, seen: &Seen<'_>) {
        if !self.is_certainly_known(seen.source, seen.now) {
            self.failures_of_strangers = 0;
        }
        self.failures = 0;
        self.failures_of.remove(&seen.source);
        self.clumsy_friends.remove(&seen.source);
        self.told_to_wait.clear();
        if seen.source != Source::Opaque {
            self.last_success.insert(seen.source, seen.now);
        }
        self.successes.insert(Success {
            source: seen.source,
            service: seen.service,
            at: seen.now,
            generation: seen.account.generation,
        });
    }

    fn refuse(&mut self, seen: &Seen<'_>, refusal: &Refusal) {
        match refusal {
            Refusal::Wrong | Refusal::OutOfWindow { .. } => self.failed(seen),
            // Right once: no guess, and no success either.
            Refusal::Replayed | Refusal::WatermarkAhead { .. } => {}
            Refusal::Expired { .. } | Refusal::OtherSource { .. } | Refusal::Invite(_) => {
                panic!("nothing is sent here, and nobody is invited")
            }
            Refusal::Throttled { until } => {
                let longest = seen.parameters.limits.longest_wait;
                assert!(*until > seen.now && until.since(seen.now) <= longest);
                let told = self.told_to_wait.get(&seen.source);
                assert!(told.is_none_or(|told| seen.now < *told), "it waited");
                self.told_to_wait.insert(seen.source, *until);
                untouched(seen);
            }
            Refusal::Locked => {
                // Nobody is locked out by less than the foreign share of failures.
                assert!(seen.old.throttle.failures() >= 90, "locked too early");
                untouched(seen);
            }
            Refusal::Disabled => {
                assert!(!seen.account.enabled);
                untouched(seen);
            }
            Refusal::NotEvaluated(_) => untouched(seen),
            Refusal::NotEnrolled => panic!("alice is enrolled"),
        }
        if was_evaluated(&Verdict::Refused(refusal.clone())) {
            self.no_fresh_code_is_refused(seen);
        }
    }

    fn failed(&mut self, seen: &Seen<'_>) {
        self.failures += 1;
        // NIST SP 800-63B section 5.2.2.
        assert!(self.failures <= 100, "more guesses than 100");
        *self.failures_of.entry(seen.source).or_default() += 1;
        if self.last_success.contains_key(&seen.source) {
            self.clumsy_friends.insert(seen.source);
        } else {
            self.failures_of_strangers += 1;
            assert!(
                self.failures_of_strangers <= 90,
                "the owner's share is gone"
            );
        }
        self.told_to_wait.clear();
    }

    /// A code that was never typed, in the window, is right.
    fn no_fresh_code_is_refused(&self, seen: &Seen<'_>) {
        for token in serving(seen) {
            let (text, typed) = (text_for(seen, token), self.typed.get(&token.serial.0));
            if typed.is_some_and(|typed| typed.contains(text)) {
                continue;
            }
            let state = state_of(seen.old, token);
            let reach = &seen.parameters.reach;
            let window = match token.kind {
                Kind::Totp { period } => {
                    let step = period.step(seen.now);
                    let middle = step.saturating_add_signed(state.skew.into());
                    middle.saturating_sub(reach.totp_window)..=middle + reach.totp_window
                }
                Kind::Hotp { .. } | Kind::Delivered { .. } => {
                    state.next..=state.next + reach.hotp_look_ahead
                }
            };
            let mut fresh = window.filter(|position| *position >= state.next);
            let right = fresh.any(|position| fits(token, position, text));
            assert!(!right, "a right code of {} is refused", token.id);
        }
    }
}

fn was_evaluated(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Accepted(_) => true,
        Verdict::Refused(refusal) => matches!(
            refusal,
            Refusal::Wrong
                | Refusal::OutOfWindow { .. }
                | Refusal::Replayed
                | Refusal::WatermarkAhead { .. }
        ),
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn serving<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a Token> {
    let service = seen.service;
    let tokens = seen.account.tokens.iter();
    tokens.filter(move |token| token.serves(service))
}

fn state_of(state: &State, token: &Token) -> TokenState {
    state.token(token.serial, &token.kind)
}

/// Behind a password, each length of code is a guess of its own.
fn text_for<'a>(seen: &Seen<'a>, token: &Token) -> &'a str {
    let longer = seen.text.len().checked_sub(token.digits.count());
    match longer.filter(|_| seen.combined && is_digits(seen.text)) {
        Some(longer) => &seen.text[longer..],
        None => seen.text,
    }
}

fn fits(token: &Token, position: MovingFactor, text: &str) -> bool {
    token.digits.count() == text.len() && *token.generator().code(position).expose() == *text
}

/// Counters never fall, and skew stays within its bound.
fn nothing_falls(seen: &Seen<'_>) {
    for token in &seen.account.tokens {
        let (old, new) = (state_of(seen.old, token), state_of(seen.new, token));
        assert!(new.next >= old.next, "{} fell back", token.id);
        assert!(u64::from(new.skew.unsigned_abs()) <= MAX_SKEW);
    }
    let used = &seen.new.used_recovery;
    assert!(seen.old.used_recovery.iter().all(|id| used.contains(id)));
    assert!(!seen.new.pending);
}

/// What is not looked at is not used up, and counts for nothing.
fn untouched(seen: &Seen<'_>) {
    assert_eq!(seen.new.tokens, seen.old.tokens);
    assert_eq!(seen.new.used_recovery, seen.old.used_recovery);
    assert_eq!(seen.new.throttle.failures(), seen.old.throttle.failures());
    assert_eq!(seen.new.throttle.known.len(), seen.old.throttle.known.len());
}
