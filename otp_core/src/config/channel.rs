//! `[channel.NAME]`: one way to send a code.
//!
//! All keys of all kinds are read into one table first, and sorted out afterwards: so a key that belongs to
//! another kind is an error that names it, and errors know their lines.

mod section;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub(super) use section::{ChannelSection, check_all};
use serde::Deserialize;

use super::template::Template;

/// One way to send a code.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Whether a code is sent only when the channel's name is typed; otherwise whether there is another kind of
    /// device decides.
    pub on_demand: Option<bool>,
    /// How.
    pub way: Way,
}

/// How a code is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// By mail.
    Smtp(Box<Smtp>),
    /// By a request to somebody who sends it on.
    Http(Box<Http>),
    /// By a program of the administrator's.
    Command(CommandLine),
}

impl Way {
    /// The `kind =` of the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Smtp(_) => "smtp",
            Self::Http(_) => "http",
            Self::Command(_) => "command",
        }
    }

    /// The files with its secrets, and those with certificates.
    #[must_use]
    pub fn files(&self) -> (Vec<&PathBuf>, Option<&PathBuf>) {
        match self {
            Self::Smtp(smtp) => (
                Vec::from_iter(smtp.login.as_ref().map(|login| &login.password_file)),
                smtp.ca_file.as_ref(),
            ),
            Self::Http(http) => {
                let password = http.login.iter().map(|login| &login.password_file);
                (
                    password.chain(&http.token_file).collect(),
                    http.ca_file.as_ref(),
                )
            }
            Self::Command(_) => (Vec::new(), None),
        }
    }
}

/// Who we are to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLogin {
    /// The user name there.
    pub user: String,
    /// The file with the password.
    pub password_file: PathBuf,
}

/// What protects the way to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS after STARTTLS, or nothing is sent (RFC 3207).
    Starttls,
    /// TLS from the start (RFC 8314).
    Tls,
    /// Nothing; for a relay on this host only.
    Plain,
}

/// A channel of mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What protects the way there.
    pub security: Security,
    /// Who we are there.
    pub login: Option<ServerLogin>,
    /// The sender.
    pub from: String,
    /// The subject.
    pub subject: Template,
    /// The text.
    pub body: Template,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// A channel of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// POST, PUT or GET.
    pub method: Method,
    /// Where to; values are percent-encoded.
    pub url: Template,
    /// Header lines.
    pub headers: BTreeMap<String, Template>,
    /// What is sent.
    pub body: Body,
    /// Basic authentication.
    pub login: Option<ServerLogin>,
    /// The file with what `{token}` stands for.
    pub token_file: Option<PathBuf>,
    /// Status codes that mean "sent"; all of 200 to 299 when empty.
    pub success: Vec<u16>,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Methods of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET, without a body.
    Get,
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
}

/// What a request holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, Template>),
    /// `application/json`.
    Json(Json),
    /// Text as it is.
    Text(Template),
}

/// A JSON value with templates for texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// A text.
    Text(Template),
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Table(BTreeMap<String, Json>),
}

impl Json {
    /// All texts in it.
    pub(super) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Text(template) => vec![template],
            Self::Number(_) | Self::Flag(_) => Vec::new(),
            Self::List(items) => items.iter().flat_map(Self::templates).collect(),
            Self::Table(items) => items.values().flat_map(Self::templates).collect(),
        }
    }
}

/// A channel of one's own: the code on standard input, and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<Template>,
}

#[cfg(test)]
mod tests;
