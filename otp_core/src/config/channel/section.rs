//! A `[channel.NAME]` as it is written, and what no single key can tell.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::{
    Body, Channel, CommandLine, Http, Json, Method, Security, ServerLogin, Smtp, Template, Way,
};
use crate::account::check_channel;
use crate::config::template::Value;

const SUBJECT: &str = "Your verification code for {host}";
const BODY: &str = "{code} is your verification code for {user} on {host}.\n\n\
    It is valid for {lifetime} seconds. If it was not you who asked for it, somebody knows your password.\n";

/// A key, and what is wrong with it.
type Wrong = (&'static str, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Smtp,
    Http,
    Command,
}

/// Every key of every kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ChannelSection {
    kind: Kind,
    on_demand: Option<bool>,
    server: Option<String>,
    security: Option<Security>,
    from: Option<String>,
    subject: Option<Template>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    url: Option<Template>,
    method: Option<Method>,
    headers: Option<BTreeMap<String, Template>>,
    form: Option<BTreeMap<String, Template>>,
    json: Option<toml::Table>,
    body: Option<Template>,
    success: Option<Vec<u16>>,
    argv: Option<Vec<String>>,
}

/// All channels, checked.
pub(in crate::config) fn check_all(
    sections: BTreeMap<String, ChannelSection>,
) -> Result<BTreeMap<String, Channel>, Wrong> {
    let checked = sections.into_iter().map(|(name, section)| {
        check_channel(&name).map_err(|why| ("[channel.", format!("[channel.{name}]: {why}")))?;
        let channel = section.check();
        let channel =
            channel.map_err(|(key, why)| (key, format!("[channel.{name}] {key}: {why}")))?;
        Ok((name, channel))
    });
    checked.collect()
}

impl ChannelSection {
    fn check(mut self) -> Result<Channel, Wrong> {
        let on_demand = self.on_demand;
        let ca_file = self.ca_file.take();
        if ca_file.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(absolute("ca_file"));
        }
        let way = match self.kind {
            Kind::Smtp => Way::Smtp(Box::new(self.smtp(ca_file)?)),
            Kind::Http => Way::Http(Box::new(self.http(ca_file)?)),
            Kind::Command if ca_file.is_some() => return Err(foreign("ca_file", "command")),
            Kind::Command => Way::Command(self.command()?),
        };
        self.refuse_the_rest(way.name())?;
        Ok(Channel { on_demand, way })
    }

    /// What is left when a kind has taken its keys belongs to another.
    fn refuse_the_rest(&self, kind: &'static str) -> Result<(), Wrong> {
        let left = [
            ("server", self.server.is_some()),
            ("security", self.security.is_some()),
            ("from", self.from.is_some()),
            ("subject", self.subject.is_some()),
            ("user", self.user.is_some()),
            ("password_file", self.password_file.is_some()),
            ("token_file", self.token_file.is_some()),
            ("url", self.url.is_some()),
            ("method", self.method.is_some()),
            ("headers", self.headers.is_some()),
            ("form", self.form.is_some()),
            ("json", self.json.is_some()),
            ("body", self.body.is_some()),
            ("success", self.success.is_some()),
            ("argv", self.argv.is_some()),
        ];
        match left.iter().find(|(_, is_there)| *is_there) {
            Some((key, _)) => Err(foreign(key, kind)),
            None => Ok(()),
        }
    }

    fn smtp(&mut self, ca_file: Option<PathBuf>) -> Result<Smtp, Wrong> {
        let security = self.security.take().unwrap_or(Security::Starttls);
        let server = self.server.take();
        let server = server.ok_or_else(|| missing("server", "smtp", "mail.example.org:587"))?;
        let (host, port) = host_and_port(&server, security)?;
        if security == Security::Plain && !is_this_host(&host) {
            let why = "\"plain\" is for a relay on this host only (127.0.0.1, ::1 or localhost): the code would \
                pass the network in clear";
            return Err(("security", why.to_owned()));
        }
        let from = self.from.take();
        let from = from.ok_or_else(|| missing("from", "smtp", "otpgate@example.org"))?;
        let default = |text: &str| Template::parse(text).map_err(|why| ("body", why));
        let subject = self.subject.take().map_or_else(|| default(SUBJECT), Ok)?;
        let body = self.body.take().map_or_else(|| default(BODY), Ok)?;
        one_holds_the_code([&subject, &body].into_iter(), "body")?;
        for (key, template) in [("subject", &subject), ("body", &body)] {
            if template.uses(Value::Token) {
                return Err((key, "{token} is for requests (kind http)".to_owned()));
            }
        }
        Ok(Smtp {
            host,
            port,
            security,
            login: self.login()?,
            from,
            subject,
            body,
            ca_file,
        })
    }

    fn http(&mut self, ca_file: Option<PathBuf>) -> Result<Http, Wrong> {
        let url = self.url.take();
        let url = url.ok_or_else(|| missing("url", "http", "https://api.example.org/send"))?;
        check_url(&url)?;
        let headers = self.headers.take().unwrap_or_default();
        let body = self.content()?;
        let method = self.method.take().unwrap_or_default();
        if method == Method::Get && body != Body::Empty {
            return Err((
                "method",
                "GET has no body; write \"POST\" or \"PUT\"".to_owned(),
            ));
        }
        let token_file = self.token_file.take();
        if token_file.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(absolute("token_file"));
        }
        let in_body: Vec<&Template> = match &body {
            Body::Empty => Vec::new(),
            Body::Text(template) => vec![template],
            Body::Form(fields) => fields.values().collect(),
            Body::Json(json) => json.templates(),
        };
        let all = || {
            let others = headers.values().chain([&url]);
            in_body.iter().copied().chain(others)
        };
        one_holds_the_code(all(), "url")?;
        let uses_token = all().any(|template| template.uses(Value::Token));
        if uses_token != token_file.is_some() {
            let why = "{token} in a text and token_file belong together";
            return Err(("token_file", why.to_owned()));
        }
        let success = self.success.take().unwrap_or_default();
        if success.iter().any(|status| !(200..=399).contains(status)) {
            return Err(("success", "takes status codes from 200 to 399".to_owned()));
        }
        Ok(Http {
            method,
            login: self.login()?,
            url,
            headers,
            body,
            token_file,
            success,
            ca_file,
        })
    }

    fn content(&mut self) -> Result<Body, Wrong> {
        match (self.form.take(), self.json.take(), self.body.take()) {
            (None, None, None) => Ok(Body::Empty),
            (Some(form), None, None) => Ok(Body::Form(form)),
            (None, Some(json), None) => json_table(json).map(Body::Json),
            (None, None, Some(text)) => Ok(Body::Text(text)),
            _ => Err(("body", "only one of form, json and body".to_owned())),
        }
    }

    fn command(&mut self) -> Result<CommandLine, Wrong> {
        let argv = self.argv.take().unwrap_or_default();
        let Some((program, arguments)) = argv.split_first() else {
            return Err(missing("argv", "command", "/usr/local/sbin/page"));
        };
        if !program.starts_with('/') {
            let why = "the program is an absolute path";
            return Err(("argv", why.to_owned()));
        }
        let templates = arguments.iter().map(|text| {
            let template = Template::parse(text).map_err(|why| ("argv", why))?;
            let secret = [Value::Code, Value::Token];
            match secret.into_iter().find(|value| template.uses(*value)) {
                Some(value) => {
                    let name = value.name();
                    let why = format!(
                        "{{{name}}} would stand in every list of processes; the code is on standard input"
                    );
                    Err(("argv", why))
                }
                None => Ok(template),
            }
        });
        Ok(CommandLine {
            program: program.into(),
            arguments: templates.collect::<Result<_, Wrong>>()?,
        })
    }

    fn login(&mut self) -> Result<Option<ServerLogin>, Wrong> {
        match (self.user.take(), self.password_file.take()) {
            (None, None) => Ok(None),
            (Some(_), Some(file)) if !file.is_absolute() => Err(absolute("password_file")),
            (Some(user), Some(password_file)) => Ok(Some(ServerLogin {
                user,
                password_file,
            })),
            _ => Err((
                "password_file",
                "user and password_file belong together".to_owned(),
            )),
        }
    }
}

fn missing(key: &'static str, kind: &str, example: &str) -> Wrong {
    let why = format!("is missing; kind \"{kind}\" needs it, such as \"{example}\"");
    // The line is that of the section: the key has none.
    (key, why)
}

fn absolute(key: &'static str) -> Wrong {
    (key, "takes an absolute path".to_owned())
}

fn foreign(key: &'static str, kind: &str) -> Wrong {
    (key, format!("is no key of kind \"{kind}\""))
}

fn one_holds_the_code<'a>(
    mut templates: impl Iterator<Item = &'a Template>,
    key: &'static str,
) -> Result<(), Wrong> {
    if templates.any(|template| template.uses(Value::Code)) {
        return Ok(());
    }
    Err((key, "no text has a place for {code}".to_owned()))
}

fn host_and_port(server: &str, security: Security) -> Result<(String, u16), Wrong> {
    let usual = match security {
        Security::Starttls => 587,
        Security::Tls => 465,
        Security::Plain => 25,
    };
    let wrong = || {
        let why = "takes a host, or a host and a port: \"mail.example.org:587\", \"[::1]:25\"";
        ("server", why.to_owned())
    };
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !server.ends_with(']') => {
            (host, port.parse::<u16>().map_err(|_| wrong())?)
        }
        _ => (server, usual),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let host = match bare {
        Some(bare) if bare.parse::<std::net::Ipv6Addr>().is_ok() => bare,
        None if !host.is_empty() && host.bytes().all(plain) => host,
        _ => return Err(wrong()),
    };
    if port == 0 {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

fn is_this_host(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = address
        .parse()
        .is_ok_and(|address: IpAddr| address.is_loopback());
    loopback || host.eq_ignore_ascii_case("localhost")
}

/// Scheme and host are the administrator's, whatever an address holds; without TLS to this host only.
fn check_url(url: &Template) -> Result<(), Wrong> {
    let beginning = url.beginning();
    let secure = beginning.strip_prefix("https://");
    let rest = secure.or_else(|| beginning.strip_prefix("http://"));
    let end = |rest: &str| rest.find(['/', '?']);
    let Some((rest, end)) = rest.and_then(|rest| Some((rest, end(rest)?))) else {
        let why = "begins with https://, a host and a slash, before the first value";
        return Err(("url", why.to_owned()));
    };
    let authority = rest.get(..end).unwrap_or_default();
    if authority.contains('@') {
        let why = "a password does not stand in the configuration; write user and password_file";
        return Err(("url", why.to_owned()));
    }
    let host = match authority.rsplit_once(':') {
        Some((host, _)) if !authority.ends_with(']') => host,
        _ => authority,
    };
    if secure.is_none() && !is_this_host(host) {
        let why = "http:// is for this host only (127.0.0.1, [::1] or localhost): the code would pass the \
            network in clear; write https://";
        return Err(("url", why.to_owned()));
    }
    Ok(())
}

fn json_table(table: toml::Table) -> Result<Json, Wrong> {
    let items = table
        .into_iter()
        .map(|(key, value)| Ok((key, json(value)?)));
    items.collect::<Result<_, Wrong>>().map(Json::Table)
}

fn json(value: toml::Value) -> Result<Json, Wrong> {
    match value {
        toml::Value::String(text) => Template::parse(&text)
            .map(Json::Text)
            .map_err(|why| ("json", why)),
        toml::Value::Integer(number) => Ok(Json::Number(number)),
        toml::Value::Boolean(flag) => Ok(Json::Flag(flag)),
        toml::Value::Array(items) => {
            let items = items.into_iter().map(json);
            items.collect::<Result<_, Wrong>>().map(Json::List)
        }
        toml::Value::Table(table) => json_table(table),
        toml::Value::Float(_) | toml::Value::Datetime(_) => Err((
            "json",
            "takes texts, whole numbers, true and false, lists and tables".to_owned(),
        )),
    }
}
