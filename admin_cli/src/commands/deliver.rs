//! `otpgate deliver`: sends a code. The module starts it with a job on standard input; the help desk sends one
//! to a user; the administrator tries a channel.

use std::io::Read as _;
use std::time::Duration;

use otp_core::clock::SystemClock;
use otp_core::config::{Channel, Config};
use otp_core::delivered::Draw;
use otp_core::delivered::ask::{Ask, Occasion, Order};
use otp_core::delivered::job::{self, Job};
use otp_core::source::{Origin, Source};
use otp_core::store::{FilesStore, Record as _};
use otp_core::user_name::UserName;
use otp_core::verifier::Verifier;
use pam_ffi::{Priority, syslog};
use pam_login::log::Quoted;
use zeroize::Zeroizing;

use super::enroll::host_name;
use super::{Context, name, user_name};
use crate::cli::Deliver;
use crate::delivery::{self, Message, SendError};
use crate::error::{CliError, OK};

pub(super) fn run(context: &Context<'_>, arguments: &Deliver) -> Result<u8, CliError> {
    if arguments.job {
        return run_job(context);
    }
    match (&arguments.test[..], &arguments.user) {
        ([channel, address], _) => try_channel(context, channel, address),
        (_, Some(user)) => send_to(context, arguments, user),
        _ => Err(CliError::new("name a USER, or a channel with --test")),
    }
}

/// Sends a code that lets nobody in.
fn try_channel(context: &Context<'_>, name: &str, address: &str) -> Result<u8, CliError> {
    let config = context.config()?;
    let channel = channel(&config, name)?;
    let wrong = |why| CliError::new(format!("[channel.{name}] does not take the address: {why}"));
    delivery::check_address(channel, address).map_err(wrong)?;
    let message = Message {
        code: Draw::new()?.code(config.delivery.digits),
        user: "somebody".to_owned(),
        address: address.to_owned(),
        source: Origin::Local.to_string(),
        lifetime: config.parameters.delivery.lifetime,
        host: host_name(),
    };
    delivery::send(channel, &message, timeout(&config)).map_err(|error| failed(name, &error))?;
    let text = format!(
        "The channel {name} took the code {}, which lets nobody in. Has it arrived at {address}?",
        *message.code.expose()
    );
    let json = serde_json::json!({ "channel": name, "sent": true });
    context.print(&json, &format!("{text}\n"))?;
    Ok(OK)
}

/// Sends a code that a login of the user's would be sent, under the same rules.
fn send_to(context: &Context<'_>, arguments: &Deliver, typed: &str) -> Result<u8, CliError> {
    let config = context.config()?;
    let store = FilesStore::open(&config.state_dir)?;
    let user = user_name(typed);
    let wanted = destination(&store, &user, arguments.device.as_deref())?;
    let settings = channel(&config, &wanted)?;
    let ask = Ask {
        occasion: Occasion::Named(&wanted),
        channels: &config.channels,
        // Whoever it is for comes from elsewhere.
        source: Source::Opaque,
        service: &arguments.service,
        denied: false,
    };
    let order = Verifier::new(&store, &config.parameters).ask(&user, &ask, &SystemClock)?;
    let sending = match order {
        Order::Send(sending) => sending,
        Order::OverBudget(_) => {
            let rules = &config.parameters.delivery;
            return Err(CliError::no(format!(
                "{user} has had at least {} of the {} codes that [delivery] budget allows in an hour; others, if \
                 any, are kept for addresses of earlier logins",
                rules.budget_for(false),
                rules.budget
            )));
        }
        Order::Nothing => {
            return Err(CliError::no(format!(
                "nothing was sent: a code is on its way already, or {user} is disabled or has to wait, or the \
                 device is not for {}; see `otpgate show {user}`",
                arguments.service
            )));
        }
    };
    let message = Message {
        code: sending.code,
        user: name::typed(&user),
        address: sending.to.address,
        source: Origin::Opaque.to_string(),
        lifetime: sending.lifetime,
        host: host_name(),
    };
    delivery::send(settings, &message, timeout(&config))
        .map_err(|error| failed(&wanted, &error))?;
    let done = format!(
        "A code is on its way to {typed} by {wanted}; it is valid for {} s.",
        message.lifetime
    );
    context.changed(typed, &done)
}

/// The channel of the device that is named, or of the only one.
fn destination(
    store: &FilesStore,
    user: &UserName,
    device: Option<&str>,
) -> Result<String, CliError> {
    let record = store.lock_enrolled(user)?;
    let sent = record.account().tokens.iter();
    let sent = sent.filter_map(|token| Some((token.id.as_str(), token.destination()?.0)));
    let mut named = sent.clone();
    let found = match device {
        Some(id) => named.find(|(known, _)| *known == id),
        None => named.next().filter(|_| named.next().is_none()),
    };
    let names: Vec<&str> = sent.map(|(id, _)| id).collect();
    let (_, channel) = found.ok_or_else(|| match &names[..] {
        [] => CliError::new(format!(
            "{user} has no device whose codes are sent; `otpgate enroll {user} --delivered CHANNEL:ADDRESS` makes \
             one"
        )),
        names => CliError::new(format!(
            "add --device with one of: {}",
            names.join(", ")
        )),
    })?;
    Ok(channel.to_owned())
}

/// The channel of this name.
pub(super) fn channel<'a>(config: &'a Config, name: &str) -> Result<&'a Channel, CliError> {
    config.channels.get(name).ok_or_else(|| {
        let names: Vec<&str> = config.channels.keys().map(String::as_str).collect();
        let known = match &names[..] {
            [] => "there is none at all".to_owned(),
            names => format!("there are: {}", names.join(", ")),
        };
        CliError::new(format!(
            "there is no [channel.{name}] in the configuration; {known}"
        ))
    })
}

pub(super) fn timeout(config: &Config) -> Duration {
    Duration::from_secs(config.delivery.timeout)
}

/// On a terminal, with what the other side said.
pub(super) fn failed(channel: &str, error: &SendError) -> CliError {
    CliError::no(format!("[channel.{channel}]: {}", error.in_full()))
}

/// What the module starts. Nobody waits for it or reads what it prints: all it has to say goes to the log.
fn run_job(context: &Context<'_>) -> Result<u8, CliError> {
    let mut text = Zeroizing::new(String::with_capacity(job::LONGEST));
    let most = u64::try_from(job::LONGEST).unwrap_or(u64::MAX);
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_string(&mut text)?;
    let job = Job::parse(&text).inspect_err(|why| {
        syslog::open(c"otpgate");
        let detail = Quoted(why);
        let line = format!("otpgate: result=not_sent reason=job detail={detail}");
        syslog::write(Priority::Error, &line);
    });
    let Some(job) = job.map_err(CliError::new)? else {
        // Nobody to send to. That is the usual thing, and says nothing to anybody.
        return Ok(OK);
    };
    syslog::open(c"otpgate");
    let about = Report::of(&job);
    match &job.order {
        Order::Nothing => {}
        Order::OverBudget(_) => about.not_sent(Priority::Notice, "over_budget", None),
        Order::Send(sending) => match send_job(context, &job, sending) {
            Ok(()) => about.sent(),
            Err((reason, why)) => {
                about.not_sent(Priority::Error, reason, Some(&why));
                return Err(CliError::no(why));
            }
        },
    }
    Ok(OK)
}

fn send_job(
    context: &Context<'_>,
    job: &Job,
    sending: &otp_core::delivered::ask::Sending,
) -> Result<(), (&'static str, String)> {
    let config = context.config();
    let config = config.map_err(|error| ("bad_configuration", error.to_string()))?;
    let channel = channel(&config, &sending.to.channel);
    let channel = channel.map_err(|error| ("channel", error.to_string()))?;
    let user = UserName::from_file_name(&job.user);
    let message = Message {
        code: sending.code.clone(),
        user: user.map_or_else(|| job.user.clone(), |user| name::typed(&user)),
        address: sending.to.address.clone(),
        source: job.source.clone(),
        lifetime: sending.lifetime,
        host: host_name(),
    };
    delivery::check_address(channel, &message.address).map_err(|why| ("channel", why))?;
    delivery::send(channel, &message, timeout(&config))
        .map_err(|error| ("channel", error.to_string()))
}

/// The line of the log about one job.
struct Report(String);

impl Report {
    fn of(job: &Job) -> Self {
        let to = match &job.order {
            Order::Send(sending) => &sending.to,
            Order::OverBudget(to) => to,
            Order::Nothing => return Self(String::new()),
        };
        Self(format!(
            "user={} source={} service={} token={} channel={}",
            job.user, job.source, job.service, to.token, to.channel
        ))
    }

    fn sent(&self) {
        let line = format!("otpgate: result=sent {}", self.0);
        syslog::write(Priority::Info, &line);
    }

    fn not_sent(&self, priority: Priority, reason: &str, detail: Option<&str>) {
        let mut line = format!("otpgate: result=not_sent {} reason={reason}", self.0);
        if let Some(detail) = detail {
            line.push_str(&format!(" detail={}", Quoted(&detail)));
        }
        syslog::write(priority, &line);
    }
}
