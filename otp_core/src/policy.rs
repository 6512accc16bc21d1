//! Whether an attempt is let in. Pure: account, state, attempt and time in, verdict and new state out.
//!
//! The order matters to an auditor: a disabled account and an answer that is no guess are refused
//! first, then the throttle speaks, and only then is a code looked at. What is not looked at is not
//! used up. The caller commits the new state before it tells anybody the verdict.

mod verdict;

use crate::account::Account;
use crate::answer::{Answer, Combined, NotEvaluated};
use crate::delivered::{self, Place};
use crate::hotp::{Code, Digits};
use crate::invite::Unfit;
use crate::matching::{Device, Reach, Work};
use crate::recovery::{PRINTED_LENGTH, RecoveryCode, RecoveryId};
use crate::scratch;
use crate::source::Source;
use crate::state::{Event, GraceEntry, State, service_key};
use crate::throttle::{Admission, Limits};
use crate::totp::UnixTime;
pub use verdict::{Accepted, Proof, Refusal, Verdict};

/// The numbers of the policy, from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parameters {
    /// How far a code may be off.
    pub reach: Reach,
    /// How often one may guess.
    pub limits: Limits,
    /// What a code that is sent is worth.
    pub delivery: delivered::Rules,
}

/// One answer to the code prompt.
#[derive(Debug, Clone)]
pub struct Attempt<'a> {
    /// What was typed.
    pub answer: Answer,
    /// From where.
    pub source: Source,
    /// The PAM service.
    pub service: &'a str,
    /// Whether a success is remembered for `grace=`.
    pub remember: bool,
    /// Whether an invite counts: only where an enrolment follows.
    pub invites: bool,
}

/// Decides over one attempt. The returned state is to be committed whatever the verdict is.
pub fn decide(
    account: &Account,
    state: &State,
    attempt: &Attempt<'_>,
    now: UnixTime,
    parameters: &Parameters,
) -> (Verdict, State) {
    let mut state = state.clone();
    state.pending = false;
    state.throttle.clamp(now, &parameters.limits);
    let mut judge = Judge {
        account,
        attempt,
        now,
        parameters,
        work: Work::default(),
        looked_for_scratch: false,
    };
    let mut verdict = judge.verdict(&mut state);
    if let Verdict::Accepted(accepted) = &mut verdict
        && account.recovery_ids().next().is_some()
    {
        accepted.recovery_left = Some(state.recovery_left(account));
    }
    // After an acceptance too: should the commit then fail, the time must not tell what was decided.
    judge.work.pad(&parameters.reach);
    judge.pad_scratch();
    (verdict, state)
}

/// Whether a login from this source at this PAM service may do without a code, by the successes that are
/// remembered.
#[must_use]
pub fn in_grace(
    account: &Account,
    state: &State,
    place: (Source, &str),
    now: UnixTime,
    seconds: u64,
) -> bool {
    let (source, service) = (place.0, service_key(place.1));
    let counts = |entry: &GraceEntry| {
        entry.source == source
            && entry.service == service
            && entry.generation == account.generation
            && state.generation == account.generation
            // An entry from the future is a clock's mistake, and no success.
            && entry.at <= now
            && now.since(entry.at) < seconds
    };
    let address = matches!(source, Source::V4(_) | Source::V6Net(_));
    address && account.enabled && state.grace.iter().any(counts)
}

/// What one attempt may be: a code or a recovery code, and how many bytes at the end of a combined
/// answer it takes.
enum Guess {
    Code(Code, usize),
    Recovery(RecoveryCode, usize),
}

struct Judge<'a> {
    account: &'a Account,
    attempt: &'a Attempt<'a>,
    now: UnixTime,
    parameters: &'a Parameters,
    work: Work,
    /// Whether the slow hash of a scratch code was computed.
    looked_for_scratch: bool,
}

impl Judge<'_> {
    fn verdict(&mut self, state: &mut State) -> Verdict {
        if !self.account.enabled {
            return Verdict::Refused(Refusal::Disabled);
        }
        let guesses = match self.guesses() {
            Ok(guesses) => guesses,
            Err(reason) => return Verdict::Refused(Refusal::NotEvaluated(reason)),
        };
        let Parameters { limits, .. } = self.parameters;
        match state.throttle.admit(self.attempt.source, self.now, limits) {
            Admission::Wait(until) => return Verdict::Refused(Refusal::Throttled { until }),
            Admission::Locked => return Verdict::Refused(Refusal::Locked),
            Admission::Open => {}
        }
        // A combined answer may hold several guesses; never more than the account has left.
        let left = state
            .throttle
            .guesses_left(self.attempt.source, self.now, limits);
        let verdict = self.evaluate(&guesses, left, state);
        self.record(&verdict, guesses.len(), left, state);
        verdict
    }

    /// What there is to evaluate. An answer that looks like nothing is one guess that fits nothing.
    fn guesses(&self) -> Result<Vec<Guess>, NotEvaluated> {
        match &self.attempt.answer {
            Answer::Code(code) => Ok(vec![Guess::Code(code.clone(), 0)]),
            Answer::Recovery(code) => Ok(vec![Guess::Recovery(code.clone(), 0)]),
            Answer::Unrecognised => Ok(Vec::new()),
            Answer::Combined(combined) => self.combined_guesses(combined),
            Answer::NotEvaluated(reason) => Err(*reason),
        }
    }

    fn combined_guesses(&self, combined: &Combined) -> Result<Vec<Guess>, NotEvaluated> {
        let served = |digits: &Digits| {
            let mut tokens = self.account.tokens.iter();
            tokens.any(|token| token.serves(self.attempt.service) && token.digits == *digits)
                || self.account.scratch.is_some() && *digits == scratch::DIGITS
        };
        let lengths = Digits::ALL.into_iter().filter(served);
        let codes = lengths.filter_map(|digits| {
            combined
                .code(digits)
                .map(|code| Guess::Code(code, digits.count()))
        });
        let recovery = combined
            .recovery_code()
            .map(|code| Guess::Recovery(code, PRINTED_LENGTH));
        let guesses: Vec<Guess> = codes.chain(recovery).collect();
        if guesses.is_empty() {
            Err(NotEvaluated::NoCode)
        } else {
            Ok(guesses)
        }
    }

    fn evaluate(&mut self, guesses: &[Guess], left: u16, state: &mut State) -> Verdict {
        let mut refusal = Refusal::Wrong;
        for guess in guesses.iter().take(usize::from(left)) {
            let result = match guess {
                Guess::Code(code, length) => {
                    match self.evaluate_scratch(code, *length, state) {
                        Ok(accepted) => Ok(accepted),
                        // No scratch code, or one that is used up: it may still be a device's.
                        Err(refusal) => {
                            let result = self.evaluate_code(code, *length, state);
                            result.map_err(|other| match other {
                                Refusal::Wrong => refusal,
                                telling => telling,
                            })
                        }
                    }
                }
                Guess::Recovery(code, length) => self.evaluate_recovery(code, *length, state),
            };
            match result {
                Ok(accepted) => return Verdict::Accepted(accepted),
                Err(Refusal::Wrong) => {}
                Err(telling) => refusal = telling,
            }
        }
        Verdict::Refused(refusal)
    }

    /// Compares with every device of the service, and uses up every position that fits.
    fn evaluate_code(
        &mut self,
        code: &Code,
        length: usize,
        state: &mut State,
    ) -> Result<Accepted, Refusal> {
        let Self {
            account,
            attempt,
            now,
            ..
        } = *self;
        let reach = &self.parameters.reach;
        let sent = self.evaluate_sent(code, state);
        let served = account
            .tokens
            .iter()
            .filter(|token| token.serves(attempt.service) && !token.kind.is_delivered());
        let mut devices: Vec<Device<'_>> = served
            .map(|token| Device::new(token, state.token(token.serial, &token.kind)))
            .collect();

        let hits: Vec<_> = devices
            .iter()
            .map(|device| device.hits(code, now, reach, &mut self.work))
            .collect();
        let (mut proof, mut spent) = match sent {
            Some(Ok(proof)) => (Some(proof), None),
            Some(Err(refusal)) => (None, Some(refusal)),
            None => (None, None),
        };
        for (device, hits) in devices.iter_mut().zip(&hits) {
            if hits.fresh.is_some() {
                let resynchronised = device.accept(*hits, code, now, reach);
                proof.get_or_insert(Proof::Token {
                    id: device.token.id.clone(),
                    kind: device.token.kind.clone(),
                    resynchronised,
                });
            } else if hits.used {
                spent.get_or_insert(if device.watermark_is_ahead(now) {
                    Refusal::WatermarkAhead {
                        token: device.token.id.clone(),
                    }
                } else {
                    Refusal::Replayed
                });
            }
        }
        let near = if proof.is_none() && spent.is_none() {
            self.remember_near_hits(code, &mut devices)
        } else {
            None
        };
        for device in &mut devices {
            // A candidate is for the next attempt only.
            if near.is_none() {
                device.state.candidate = None;
            }
            state.set_token(device.state.clone());
        }
        match (proof, spent, near) {
            (Some(proof), ..) => Ok(Accepted {
                proof,
                code_length: length,
                recovery_left: None,
            }),
            (None, Some(refusal), _) => Err(refusal),
            (None, None, Some(token)) => Err(Refusal::OutOfWindow { token }),
            (None, None, None) => Err(Refusal::Wrong),
        }
    }

    /// Compares with the code that was sent, and uses it up.
    fn evaluate_sent(&self, code: &Code, state: &mut State) -> Option<Result<Proof, Refusal>> {
        let (source, service) = (self.attempt.source, self.attempt.service);
        let place = Place { source, service };
        let rules = &self.parameters.delivery;
        let sent = &mut state.sent;
        let found = delivered::evaluate(self.account, sent, code, place, self.now, rules)?;
        Some(found.map(|token| Proof::Token {
            id: token.id.clone(),
            kind: token.kind.clone(),
            resynchronised: false,
        }))
    }

    /// RFC 4226 section 7.4 without a prompt of its own: a prompt would tell a guesser how near they are.
    fn remember_near_hits(&mut self, code: &Code, devices: &mut [Device<'_>]) -> Option<String> {
        let mut first = None;
        for device in devices {
            let reach = &self.parameters.reach;
            let hits = device.near_hits(code, self.now, reach, &mut self.work);
            device.remember(hits, code, self.now, reach);
            if hits.fresh.is_some() {
                first.get_or_insert_with(|| device.token.id.clone());
            }
        }
        first
    }

    fn evaluate_recovery(
        &self,
        code: &RecoveryCode,
        length: usize,
        state: &mut State,
    ) -> Result<Accepted, Refusal> {
        let mut found = None;
        for stored in &self.account.recovery {
            if bool::from(stored.matches(code)) {
                found = Some(stored.id());
            }
        }
        match found {
            Some(id) => self.use_up(id, length, state),
            None => self.evaluate_invite(code, length, state),
        }
    }

    /// Counts the admission; whoever cannot enrol after all has a few of them.
    fn evaluate_invite(
        &self,
        code: &RecoveryCode,
        code_length: usize,
        state: &mut State,
    ) -> Result<Accepted, Refusal> {
        let invite = self.account.invite().ok_or(Refusal::Wrong)?;
        if !bool::from(invite.matches(code)) {
            return Err(Refusal::Wrong);
        }
        if !self.attempt.invites {
            return Err(Refusal::Invite(Unfit::Elsewhere));
        }
        let admitted = invite.admit(state.admissions, self.now);
        state.admissions = Some(admitted.map_err(Refusal::Invite)?);
        let proof = Proof::Invite {
            generation: self.account.generation,
            left: invite.admissions_left(state.admissions),
        };
        Ok(Accepted {
            proof,
            code_length,
            recovery_left: None,
        })
    }

    /// Accepts a recovery or scratch code that is not used up.
    fn use_up(
        &self,
        id: RecoveryId,
        code_length: usize,
        state: &mut State,
    ) -> Result<Accepted, Refusal> {
        if state.used_recovery.contains(&id) {
            return Err(Refusal::Replayed);
        }
        state.used_recovery.push(id);
        let left = state.recovery_left(self.account);
        Ok(Accepted {
            proof: Proof::Recovery { left },
            code_length,
            recovery_left: None,
        })
    }

    /// Eight digits may be a scratch code.
    fn evaluate_scratch(
        &mut self,
        code: &Code,
        length: usize,
        state: &mut State,
    ) -> Result<Accepted, Refusal> {
        let stored = self.account.scratch.as_ref();
        let stored = stored.filter(|_| code.digits() == scratch::DIGITS);
        let stored = stored.ok_or(Refusal::Wrong)?;
        self.looked_for_scratch = true;
        let id = stored.find(code).ok_or(Refusal::Wrong)?;
        self.use_up(id, length, state)
    }

    /// One slow hash for every answer that may be a scratch code, whoever types it.
    fn pad_scratch(&self) {
        let code = match &self.attempt.answer {
            Answer::Code(code) => Some(code.clone()),
            Answer::Combined(combined) => combined.code(scratch::DIGITS),
            Answer::Recovery(_) | Answer::Unrecognised | Answer::NotEvaluated(_) => None,
        };
        let may_be = code.filter(|code| code.digits() == scratch::DIGITS);
        if let Some(code) = may_be.filter(|_| !self.looked_for_scratch) {
            scratch::same_work(&code);
        }
    }

    fn record(&self, verdict: &Verdict, guesses: usize, left: u16, state: &mut State) {
        let Self {
            now,
            attempt,
            account,
            ..
        } = *self;
        let event = Event {
            at: now,
            source: attempt.source,
        };
        match verdict {
            // No login yet: without a device there is nothing to remember for `grace=`, which would let in
            // next time.
            Verdict::Accepted(Accepted {
                proof: Proof::Invite { .. },
                ..
            }) => {
                state.throttle.succeed(attempt.source, now);
                state.failures_since_success = 0;
            }
            Verdict::Accepted(_) => {
                state.throttle.succeed(attempt.source, now);
                state.last_success = Some(event);
                state.failures_since_success = 0;
                if attempt.remember {
                    let generation = account.generation;
                    state.remember_grace(GraceEntry {
                        source: attempt.source,
                        service: service_key(attempt.service),
                        at: now,
                        generation,
                    });
                }
            }
            Verdict::Refused(refusal) => {
                let evaluated = u16::try_from(guesses)
                    .unwrap_or(u16::MAX)
                    .clamp(1, left.max(1));
                state.last_failure = Some(event);
                state.failures_since_success = state
                    .failures_since_success
                    .saturating_add(u32::from(evaluated));
                // A code that is used up is no guess: counting it would throttle the owner of an SFTP
                // client that opens eight connections with one code. Nothing can be won by it either.
                if !refusal.is_no_guess() {
                    state
                        .throttle
                        .fail(attempt.source, evaluated, now, &self.parameters.limits);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
