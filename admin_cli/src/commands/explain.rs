//! `otpgate check --explain USER`: what would happen to a login, and which line is to blame.
//!
//! The order is that of `pam_login::authenticate`: the line in pam.d, the rules, whose store, and only then
//! the devices.

mod person;
mod rules;

use std::path::Path;

use otp_core::clock::{Clock as _, SystemClock};
use otp_core::config::Config;
use otp_core::rules::Then;
use otp_core::source::Origin;
use otp_core::totp::UnixTime;
use pam_login::options::Options;
use pam_login::unenrolled::Way;
use serde_json::{Value, json};

use super::setup::paths;
use super::{Context, name, user_name};
use crate::cli::Check;
use crate::error::{CliError, NO, OK};
use crate::host::pam_stack::{auth_options, services_that_ask};
use crate::output::when;
use person::Person;
use rules::Walk;

pub(super) fn run(context: &Context<'_>, user: &str, arguments: &Check) -> Result<u8, CliError> {
    let own_config = context.config()?;
    let library = paths(&arguments.places, &own_config.state_dir).library();
    let service = arguments.service.as_str();
    let words = auth_options(&library, service);
    let line = Line {
        asks: services_that_ask(&library).contains(service),
        options: Options::parse(words.iter().map(String::as_str))
            .map_err(|error| error.to_string()),
        words,
    };
    let named = line
        .options
        .as_ref()
        .ok()
        .and_then(|options| options.config.as_deref());
    let config = match named {
        Some(path) => Config::load(Some(path))?,
        None => own_config,
    };
    let origin = arguments.from.map_or(Origin::Local, |address| {
        Origin::Address(address.to_canonical())
    });
    let walk = Walk::new(&config, user, service, origin)?;
    let person = Person::look_up(&config, &line, user, service, origin)?;
    let explanation = Explanation {
        user,
        service,
        origin,
        config: named.unwrap_or(&context.cli.config),
        end: end(&line, &config, &walk, &person),
        line: &line,
        walk,
        person,
    };
    context.print(&explanation.as_json(), &explanation.as_text())?;
    Ok(if explanation.end.can_log_in { OK } else { NO })
}

/// All of it, in the order in which it is printed.
struct Explanation<'a> {
    user: &'a str,
    service: &'a str,
    origin: Origin,
    line: &'a Line,
    config: &'a Path,
    walk: Walk,
    person: Person,
    end: End,
}

impl Explanation<'_> {
    fn as_json(&self) -> Value {
        json!({
            "user": self.user,
            "service": self.service,
            "source": self.origin.to_string(),
            "module": self.line.asks,
            "options": self.line.words,
            "config": self.config.display().to_string(),
            "rules": self.walk.as_json(),
            "then": rules::name(self.walk.then),
            "nullok": self.line.nullok(),
            "person": self.person.as_json(),
            "asked": self.end.asked,
            "can_log_in": self.end.can_log_in,
            "outcome": self.end.text,
        })
    }

    fn as_text(&self) -> String {
        let from = match self.origin {
            Origin::Local => "a terminal of this host (or give --from)".to_owned(),
            other => other.to_string(),
        };
        format!(
            "{} at {} from {from}\n  pam.d        {}\n{}{}=> {}\n",
            name::shown(&user_name(self.user)),
            self.service,
            self.line.as_text(),
            self.walk.as_text(self.config),
            self.person.as_text(),
            // A name is in it as a shell takes it, which may be more than a terminal should.
            pam_ffi::syslog::printable(&self.end.text)
        )
    }
}

/// What the service's PAM stack says.
struct Line {
    /// Whether it has the module at all.
    asks: bool,
    words: Vec<String>,
    options: Result<Options, String>,
}

impl Line {
    fn nullok(&self) -> bool {
        self.options.as_ref().is_ok_and(|options| options.nullok)
    }

    fn has_own_file_options(&self) -> bool {
        self.options
            .as_ref()
            .is_ok_and(|options| options.files.any())
    }

    fn as_text(&self) -> String {
        match (&self.asks, self.words.as_slice()) {
            (false, _) => "does not use pam_otpgate.so".to_owned(),
            (true, []) => "pam_otpgate.so".to_owned(),
            (true, words) => format!("pam_otpgate.so {}", words.join(" ")),
        }
    }
}

/// How it ends.
struct End {
    /// What is asked, for scripts.
    asked: &'static str,
    /// Whether there is an answer that lets in.
    can_log_in: bool,
    /// The same for people.
    text: String,
}

impl End {
    fn lets_in(asked: &'static str, text: impl Into<String>) -> Self {
        Self {
            asked,
            can_log_in: true,
            text: text.into(),
        }
    }

    fn refuses(asked: &'static str, text: impl Into<String>) -> Self {
        Self {
            can_log_in: false,
            ..Self::lets_in(asked, text)
        }
    }
}

fn end(line: &Line, config: &Config, walk: &Walk, person: &Person) -> End {
    if !line.asks {
        return End::lets_in("nothing", "No code: the service does not use the module.");
    }
    let options = match &line.options {
        Ok(options) => options,
        Err(problem) => {
            return End::refuses("nothing", format!("Every login is refused: {problem}."));
        }
    };
    match walk.then {
        Then::Skip => return End::lets_in("nothing", "No code: the rule says skip."),
        Then::Deny => {
            return End::refuses(
                "code",
                "A code is asked for, and refused whatever it is: the rule says deny. A key is refused too where \
                 the account part has a line of the module's.",
            );
        }
        Then::Require | Then::Optional => {}
    }
    if line.has_own_file_options() || (!person.enrolled() && person.own_file.is_some()) {
        let may_pass = walk.then == Then::Optional || options.nullok;
        return end_by_file(person, may_pass);
    }
    match &person.enrolment {
        None => {
            let about = config.unenrolled(walk.position());
            let way = Way::of(walk.then, about, options, SystemClock.now());
            end_unenrolled(way, person)
        }
        Some(enrolment) => end_by_store(enrolment, person, options),
    }
}

fn end_unenrolled(way: Way, person: &Person) -> End {
    match way {
        Way::Pass => End::lets_in(
            "nothing",
            "No code: not enrolled, and that is allowed here.",
        ),
        Way::PassUntil(day) => End::lets_in(
            "nothing",
            format!("No code until the end of {day}: not enrolled, and enrol_until says so."),
        ),
        Way::Enrol => End::lets_in(
            "enrolment",
            "No code, but the enrolment: the rule says enrol = \"open\".",
        ),
        Way::Asked => End::refuses(
            "code",
            format!(
                "A code is asked for, and refused: not enrolled. `otpgate enroll {0}`, or `otpgate invite {0}`",
                person.quoted
            ),
        ),
    }
}

fn end_by_file(person: &Person, may_pass: bool) -> End {
    match &person.own_file {
        Some(path) => End::lets_in(
            "own_file",
            format!("A code of the user's own file: {path}."),
        ),
        None if may_pass => End::lets_in(
            "nothing",
            "No code: the user has no file of their own, and that is allowed here.",
        ),
        None => End::refuses(
            "code",
            "A code is asked for, and refused: the user has no file of their own.",
        ),
    }
}

fn end_by_store(enrolment: &person::Enrolment, person: &Person, options: &Options) -> End {
    let user = &person.quoted;
    if !enrolment.enabled {
        return End::refuses(
            "code",
            format!("A code is asked for, and refused: disabled. `otpgate enable {user}`"),
        );
    }
    if enrolment.locked {
        return End::refuses(
            "code",
            format!("A code is asked for, and refused: too many failures. `otpgate unlock {user}`"),
        );
    }
    if let Some(until) = enrolment.blocked_until {
        return End::refuses("code", throttled(until, user));
    }
    if let Some(invite) = enrolment.invite {
        return end_invited(invite, user, options);
    }
    let devices: Vec<&str> = enrolment.serving().collect();
    match (devices.as_slice(), enrolment.recovery_left) {
        ([], 0) => End::refuses(
            "code",
            format!(
                "A code is asked for, and refused: no device serves this service. `otpgate show {user}`"
            ),
        ),
        ([], left) => End::lets_in(
            "code",
            format!("A recovery code ({left} left): no device serves this service."),
        ),
        (devices, left) => End::lets_in(
            "code",
            format!(
                "A code of {}, or a recovery code ({left} left).",
                devices.join(" or ")
            ),
        ),
    }
}

fn end_invited(invite: person::Invite, user: &str, options: &Options) -> End {
    let over = SystemClock.now() >= invite.expires || invite.admissions_left == 0;
    match (options.enrol, over) {
        (true, false) => End::lets_in(
            "invite",
            format!(
                "The invite, valid until {}, and then the enrolment.",
                when(Some(invite.expires))
            ),
        ),
        (true, true) => End::refuses(
            "invite",
            format!("The invite, and it is refused: over or used up. `otpgate invite {user}`"),
        ),
        (false, _) => End::refuses(
            "code",
            "A code is asked for, and refused: invited, and the line in pam.d has no `enrol`.",
        ),
    }
}

fn throttled(until: UnixTime, user: &str) -> String {
    format!(
        "A code is asked for, and refused until {}: failures from this address, or from unknown ones. \
         `otpgate unlock {user}` ends the wait.",
        when(Some(until))
    )
}
