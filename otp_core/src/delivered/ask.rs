//! Whether a code is sent now, and to whom. Pure, as the policy is.
//!
//! Asking must tell nothing: whoever is asked about, the state is committed and the program is started, with
//! or without something to send. Only what the program then does differs, and nobody waits for that.

use std::collections::BTreeMap;

use super::{Draw, Pending};
use crate::account::{Account, Token};
use crate::config::Channel;
use crate::hotp::Code;
use crate::policy::Parameters;
use crate::source::Source;
use crate::state::State;
use crate::throttle::Admission;
use crate::totp::UnixTime;

/// What makes us ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// The prompt is about to appear.
    Prompt,
    /// The name of this channel was typed instead of a code.
    Named(&'a str),
}

/// One question whether a code is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Why now.
    pub occasion: Occasion<'a>,
    /// The channels of the configuration.
    pub channels: &'a BTreeMap<String, Channel>,
    /// From where.
    pub source: Source,
    /// The PAM service.
    pub service: &'a str,
    /// Whether a rule denies this login, whatever code it had.
    pub denied: bool,
}

/// What the program that sends is told.
#[derive(Debug, Clone)]
pub enum Order {
    /// Nothing: there is nobody to send to, one is under way, or too many failures.
    Nothing,
    /// This code.
    Send(Sending),
    /// Nothing, but the log should say that this device's hour has had its codes, or those for such a source.
    OverBudget(Destination),
}

/// A device whose codes are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name.
    pub token: String,
    /// The channel.
    pub channel: String,
    /// The address there.
    pub address: String,
}

/// A code on its way.
#[derive(Debug, Clone)]
pub struct Sending {
    /// Where to.
    pub to: Destination,
    /// Which one.
    pub code: Code,
    /// Valid for so many seconds.
    pub lifetime: u64,
}

/// Decides. The returned state is to be committed whatever the order is.
#[must_use]
pub fn decide(
    account: &Account,
    state: &State,
    ask: &Ask<'_>,
    draw: &Draw,
    now: UnixTime,
    parameters: &Parameters,
) -> (Order, State) {
    let mut state = state.clone();
    state.pending = false;
    state.throttle.clamp(now, &parameters.limits);
    let admission = state.throttle.admit(ask.source, now, &parameters.limits);
    let may = account.enabled && !ask.denied && admission == Admission::Open;
    let device = device(account, ask).filter(|_| may);
    let order = match device {
        Some((token, to)) => order(token, to, &mut state, ask.source, draw, now, parameters),
        None => Order::Nothing,
    };
    (order, state)
}

fn order(
    token: &Token,
    to: Destination,
    state: &mut State,
    source: Source,
    draw: &Draw,
    now: UnixTime,
    parameters: &Parameters,
) -> Order {
    let rules = &parameters.delivery;
    let enrolled = |pending: &&Pending| {
        // Of a device that is gone, nobody can use it.
        let mut serials = state.tokens.iter().map(|known| known.serial);
        serials.any(|serial| serial == pending.serial)
    };
    let waiting = state.sent.pending.as_ref().filter(enrolled);
    let known = state.throttle.knows(source, now);
    // A code that only the stranger who asked may use is in the way of strangers only. What replaced it is in
    // everybody's: two in a lifetime. Any other code that waits is as good for the owner as a new one.
    let gives_way = |pending: &Pending| {
        known && pending.is_shared(rules) && !state.throttle.knows(pending.source, now)
    };
    if waiting.is_some_and(|pending| pending.is_waiting(now, rules) && !gives_way(pending)) {
        return Order::Nothing;
    }
    if !state.sent.budget.take(rules.budget_for(known), now) {
        return Order::OverBudget(to);
    }
    let (pending, code) = Pending::new(token, draw, source, now, rules);
    state.sent.pending = Some(pending);
    Order::Send(Sending {
        to,
        code,
        lifetime: rules.lifetime,
    })
}

/// The device that is meant: one on the channel that was named; or, before the prompt, the first one whose
/// channel sends without being asked.
fn device<'a>(account: &'a Account, ask: &Ask<'_>) -> Option<(&'a Token, Destination)> {
    let served = || {
        let tokens = account.tokens.iter();
        tokens.filter(|token| token.serves(ask.service))
    };
    let has_another = served().any(|token| !token.kind.is_delivered());
    let is_meant = |channel: &str, settings: &Channel| match ask.occasion {
        Occasion::Named(name) => channel == name,
        Occasion::Prompt => !settings.on_demand.unwrap_or(has_another),
    };
    served().find_map(|token| {
        let (channel, address) = token.destination()?;
        let settings = ask.channels.get(channel)?;
        is_meant(channel, settings).then(|| {
            let to = Destination {
                token: token.id.clone(),
                channel: channel.to_owned(),
                address: address.to_owned(),
            };
            (token, to)
        })
    })
}

/// Whether anybody at all may be sent a code without asking for it. Where nobody is, nothing has to be done
/// before the prompt.
#[must_use]
pub fn before_the_prompt(channels: &BTreeMap<String, Channel>) -> bool {
    let mut all = channels.values();
    all.any(|channel| channel.on_demand != Some(true))
}

/// The channel that was named instead of a code: any case, space around it.
#[must_use]
pub fn named<'a>(channels: &'a BTreeMap<String, Channel>, typed: &[u8]) -> Option<&'a str> {
    let typed = typed.trim_ascii();
    let mut names = channels.keys().map(String::as_str);
    names.find(|name| name.as_bytes().eq_ignore_ascii_case(typed))
}

#[cfg(test)]
mod tests;
