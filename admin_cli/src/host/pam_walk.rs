//! Every way through a stack, as libpam walks it (`_pam_dispatch_aux` in libpam/pam_dispatch.c).
//!
//! Reading a pam.d file by eye goes wrong where it matters: `sufficient` inside an `include` ends the
//! whole login, inside a `substack` it does not, and `[success=1 ...]` is right or a hole depending on what
//! stands one line further down. So each module is taken to give each of its answers, and the walk
//! collects the ways that end in success without a right code.

use std::collections::{BTreeSet, HashSet};

use super::pam_control::{ANSWERS, Action};
use super::pam_library::{Step, What};
use super::pam_modules::decides_nothing;
use super::pamd::{Kind, Module};

/// The file name of our module.
pub const OUR_MODULE: &str = "pam_otpgate.so";

/// What can happen in a stack that holds our module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ways {
    /// Steps whose `done` or jump leads round our line to a success.
    pub round: BTreeSet<usize>,
    /// A login succeeds although our module refused.
    pub despite_refusal: bool,
    /// A login succeeds after our module accepted.
    pub accepted: bool,
    /// A login succeeds after our module answered PAM_IGNORE, as `nullok` makes it do.
    pub ignored: bool,
    /// On one way our module is asked a second time; the code of the first time is used up.
    pub asked_twice: bool,
}

/// Whether the module is ours, by plain name or by path.
#[must_use]
pub fn is_ours(step: &Step) -> bool {
    step.module()
        .is_some_and(|module| module.name() == OUR_MODULE)
}

/// Walks the stack in every way.
#[must_use]
pub fn walk(steps: &[Step], kind: Kind) -> Ways {
    let mut walker = Walker::new(steps, kind, Passwords::Any);
    walker.run();
    walker.ways
}

/// Walks an auth stack as somebody who knows no password: the first module that refused one on a way that asks
/// ours all the same. None where a wrong password ends the login before, or where ours lets nobody in: then the
/// line stands in the wrong place, and says nothing about the lines before it.
#[must_use]
pub fn asked_after_wrong_password(steps: &[Step]) -> Option<usize> {
    if !walk(steps, Kind::Auth).accepted {
        return None;
    }
    let mut walker = Walker::new(steps, Kind::Auth, Passwords::Wrong);
    walker.run();
    walker.asked_after.first().copied()
}

/// Where a jump of `count` from step `from` lands; `None` where libpam calls it a bad jump.
///
/// A substack counts as one line, and a jump never leaves the substack it stands in.
#[must_use]
pub fn jump_target(steps: &[Step], from: usize, count: usize) -> Option<usize> {
    let level = level_of(steps, from);
    let mut at = from;
    for _ in 0..count {
        if at + 1 >= steps.len() || level_of(steps, at + 1) < level {
            return None;
        }
        at += 1;
        while at + 1 < steps.len() && level_of(steps, at + 1) > level {
            at += 1;
        }
    }
    Some(at + 1)
}

fn level_of(steps: &[Step], at: usize) -> usize {
    steps.get(at).map_or(0, |step| step.level)
}

/// libpam's `impression`: what the stack looks like so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Impression {
    Undefined,
    Positive,
    Negative,
}

/// As much of an answer as matters for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    Success,
    Ignore,
    Failure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ours {
    NotAsked,
    Ignored,
    Accepted,
    Refused,
}

type Opinion = (Impression, Class);

const NO_OPINION: Opinion = (Impression::Undefined, Class::Failure);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    at: usize,
    last_level: usize,
    opinion: Opinion,
    /// What was thought when each substack was entered; `reset` goes back to it.
    entered_with: Vec<Opinion>,
    ours: Ours,
    led_round: Option<usize>,
    /// The first step that refused a password.
    refused_by: Option<usize>,
}

impl State {
    fn start() -> Self {
        Self {
            at: 0,
            last_level: 0,
            opinion: NO_OPINION,
            entered_with: vec![NO_OPINION],
            ours: Ours::NotAsked,
            led_round: None,
            refused_by: None,
        }
    }

    fn enter(&mut self, level: usize) {
        if self.last_level < level {
            self.entered_with.resize(level + 1, NO_OPINION);
            if let Some(slot) = self.entered_with.get_mut(level) {
                *slot = self.opinion;
            }
        }
        // What a substack was entered with is never read after it ended; forgetting it keeps states few.
        self.entered_with.truncate(level + 1);
        self.last_level = level;
    }

    fn succeed(&mut self, class: Class) {
        if matches!(
            self.opinion,
            (Impression::Undefined, _) | (Impression::Positive, Class::Success)
        ) {
            self.opinion = (Impression::Positive, class);
        }
    }

    fn fail(&mut self) {
        if self.opinion.0 != Impression::Negative {
            self.opinion = (Impression::Negative, Class::Failure);
        }
    }
}

/// What is typed at the modules that ask for a password, or for anything else that strangers do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passwords {
    Any,
    Wrong,
}

struct Walker<'a> {
    steps: &'a [Step],
    kind: Kind,
    passwords: Passwords,
    ways: Ways,
    /// The steps that refused a password before ours was asked.
    asked_after: BTreeSet<usize>,
}

impl<'a> Walker<'a> {
    fn new(steps: &'a [Step], kind: Kind, passwords: Passwords) -> Self {
        Self {
            steps,
            kind,
            passwords,
            ways: Ways::default(),
            asked_after: BTreeSet::new(),
        }
    }

    fn run(&mut self) {
        let mut waiting = vec![State::start()];
        let mut seen = HashSet::new();
        while let Some(state) = waiting.pop() {
            if seen.insert(state.clone()) {
                waiting.extend(self.advance(&state));
            }
        }
    }

    /// All states that can follow this one.
    fn advance(&mut self, state: &State) -> Vec<State> {
        let Some(step) = self.steps.get(state.at) else {
            self.end(state);
            return Vec::new();
        };
        let mut entered = state.clone();
        entered.enter(step.level);
        match &step.what {
            What::Substack => {
                entered.at += 1;
                vec![entered]
            }
            What::MustFail => {
                entered.fail();
                entered.at += 1;
                vec![entered]
            }
            What::Module(module) => self.ask(&entered, step, module),
        }
    }

    fn ask(&mut self, state: &State, step: &Step, module: &Module) -> Vec<State> {
        let ours = is_ours(step);
        if ours && state.ours == Ours::Accepted {
            self.ways.asked_twice = true;
        }
        if ours {
            self.asked_after.extend(state.refused_by);
        }
        let wrong = self.passwords == Passwords::Wrong && !ours && !decides_nothing(step);
        outcomes(module, self.kind, ours, wrong)
            .into_iter()
            .map(|(action, class, refuses)| {
                let mut next = state.clone();
                if refuses && next.refused_by.is_none() {
                    next.refused_by = Some(state.at);
                }
                if ours && next.ours != Ours::Refused {
                    next.ours = match class {
                        Class::Success => Ours::Accepted,
                        Class::Ignore => Ours::Ignored,
                        Class::Failure => Ours::Refused,
                    };
                }
                self.act(&mut next, action, class);
                next
            })
            .collect()
    }

    fn act(&self, state: &mut State, action: Action, class: Class) {
        let from = state.at;
        state.at = from + 1;
        match action {
            Action::Ignore => {}
            Action::Ok => state.succeed(class),
            Action::Bad => state.fail(),
            Action::Reset => {
                state.opinion = state.entered_with.last().copied().unwrap_or(NO_OPINION);
            }
            Action::Done => {
                state.succeed(class);
                if state.opinion.0 == Impression::Positive {
                    state.at = self.end_of_level(from);
                }
            }
            Action::Die => {
                state.fail();
                state.at = self.end_of_level(from);
            }
            Action::Jump(count) => match jump_target(self.steps, from, count) {
                Some(target) => state.at = target,
                None => {
                    state.fail();
                    state.at = self.end_of_level(from);
                }
            },
        }
        if state.led_round.is_none() && self.passes_ours(from + 1, state.at) {
            state.led_round = Some(from);
        }
    }

    /// Where the login goes on after `done` or `die`: behind the substack, or at the very end.
    fn end_of_level(&self, from: usize) -> usize {
        let level = level_of(self.steps, from);
        let mut at = from + 1;
        while at < self.steps.len() && level_of(self.steps, at) >= level {
            at += 1;
        }
        at
    }

    fn passes_ours(&self, from: usize, to: usize) -> bool {
        self.steps
            .get(from..to)
            .is_some_and(|passed| passed.iter().any(is_ours))
    }

    fn end(&mut self, state: &State) {
        if state.opinion != (Impression::Positive, Class::Success) {
            return;
        }
        match state.ours {
            Ours::NotAsked => self.ways.round.extend(state.led_round),
            Ours::Ignored => self.ways.ignored = true,
            Ours::Accepted => self.ways.accepted = true,
            Ours::Refused => self.ways.despite_refusal = true,
        }
    }
}

/// What can follow from a module: one entry for each action and class its answers lead to, and whether the answer
/// was that the password is wrong.
fn outcomes(
    module: &Module,
    kind: Kind,
    ours: bool,
    wrong: bool,
) -> HashSet<(Action, Class, bool)> {
    let can = answers(module, kind, ours);
    let refusing = can.iter().filter(|answer| WRONG.contains(answer));
    let given: Vec<_> = match wrong {
        true if can.len() > 1 => refusing.copied().collect(),
        _ => can,
    };
    let outcome = |answer: &str| {
        let refuses = wrong && answer == WRONG_PASSWORD;
        (module.control.action(answer), class(answer), refuses)
    };
    given.into_iter().map(outcome).collect()
}

const WRONG_PASSWORD: &str = "auth_err";
/// What a wrong password leads to. Of several modules for several kinds of users, some do not know the user.
const WRONG: [&str; 2] = [WRONG_PASSWORD, "user_unknown"];

fn class(answer: &str) -> Class {
    match answer {
        "success" => Class::Success,
        "ignore" => Class::Ignore,
        _ => Class::Failure,
    }
}

/// The answers a module can give. Unknown modules can give all of them.
fn answers(module: &Module, kind: Kind, ours: bool) -> Vec<&str> {
    match module.name() {
        // A missing or unloadable module answers module_unknown in its place, a panic system_err.
        _ if ours => vec![
            "success",
            "ignore",
            "auth_err",
            "authinfo_unavail",
            "service_err",
            "system_err",
            "perm_denied",
            "conv_err",
            "module_unknown",
            "abort",
            "user_unknown",
            "maxtries",
        ],
        "pam_permit.so" => vec!["success"],
        "pam_deny.so" => vec![match kind {
            Kind::Auth => "auth_err",
            Kind::Account => "acct_expired",
            Kind::Password => "authtok_err",
            Kind::Session => "session_err",
        }],
        "pam_debug.so" => vec![debug_answer(module, kind)],
        "pam_faildelay.so" | "pam_warn.so" => vec!["ignore"],
        _ => ANSWERS.to_vec(),
    }
}

/// pam_debug(8) answers what its option says.
fn debug_answer(module: &Module, kind: Kind) -> &str {
    let key = match kind {
        Kind::Auth => "auth=",
        Kind::Account => "acct=",
        Kind::Password => "chauthtok=",
        Kind::Session => "open_session=",
    };
    module
        .options
        .iter()
        .find_map(|option| option.strip_prefix(key))
        .unwrap_or("success")
}
