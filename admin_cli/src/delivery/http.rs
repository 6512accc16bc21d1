//! Requests to somebody who sends the code on: gateways for text messages, push services, chats.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use otp_core::config::{Body, Http, Json, Method, Template, Value};
use rustls::crypto::ring;
use serde_json::Value as JsonValue;
use ureq::http::{HeaderValue, Request, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, config::Config};
use zeroize::Zeroizing;

use super::{Message, SendError, files};

/// How much of an answer is read, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Sends the request, and judges the answer by its status alone. Redirects are not followed: they would take
/// the code to somewhere that the configuration does not name.
///
/// # Errors
/// When the server does not answer, or not with success.
pub fn send(http: &Http, message: &Message, timeout: Duration) -> Result<(), SendError> {
    let values = Values::new(http, message)?;
    let request = values.request(http)?;
    let host = request.uri().host().unwrap_or_default().to_owned();
    let agent = agent(http, timeout)?;
    let answer = agent.run(request);
    let mut answer = answer.map_err(|error| {
        SendError::new(values.struck_from(&format!("{host}: {}", told(&error))))
    })?;
    let status = answer.status().as_u16();
    let success = if http.success.is_empty() {
        (200..=299).contains(&status)
    } else {
        http.success.contains(&status)
    };
    if success {
        return Ok(());
    }
    let body = answer.body_mut().with_config().limit(LONGEST_ANSWER);
    let said = values.struck_from(&body.read_to_string().unwrap_or_default());
    let what = format!("{host} answered with status {status}");
    Err(SendError::saying(what, &said))
}

/// ureq's own words, without the address, which may hold the code.
fn told(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) => "the url is none".to_owned(),
        error => error.to_string(),
    }
}

fn agent(http: &Http, timeout: Duration) -> Result<Agent, SendError> {
    let roots = files::roots(http.ca_file.as_deref())?;
    let roots: Vec<Certificate<'static>> = roots
        .iter()
        .map(|root| Certificate::from_der(root).to_owned())
        .collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build();
    let config: Config = Agent::config_builder()
        .tls_config(tls)
        // Neither the environment's proxy nor anybody's redirect.
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(timeout))
        .user_agent("otpgate")
        .build();
    Ok(config.new_agent())
}

/// The values of the texts, with the token.
struct Values<'a> {
    message: &'a Message,
    token: Option<Zeroizing<String>>,
    password: Option<Zeroizing<String>>,
}

impl<'a> Values<'a> {
    fn new(http: &Http, message: &'a Message) -> Result<Self, SendError> {
        let token = http.token_file.as_deref().map(files::secret).transpose()?;
        let login = http.login.as_ref();
        let password = login.map(|login| files::secret(&login.password_file));
        Ok(Self {
            message,
            token,
            password: password.transpose()?,
        })
    }

    fn value(&self, value: Value) -> Zeroizing<String> {
        match (value, &self.token) {
            (Value::Token, Some(token)) => token.clone(),
            (value, _) => self.message.value(value),
        }
    }

    fn plain(&self, template: &Template) -> Zeroizing<String> {
        template.expand(|value| self.value(value))
    }

    /// Secrets do not come back in what a server says.
    fn struck_from(&self, text: &str) -> String {
        let secrets = self.token.iter().chain(&self.password);
        let struck = secrets.fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "SECRET")
        });
        self.message.struck_from(&struck)
    }

    fn request(&self, http: &Http) -> Result<Request<Vec<u8>>, SendError> {
        // Only the values: what stands around them is the administrator's.
        let url = http.url.expand(|value| escaped(&self.value(value)));
        let (kind, body) = self.body(&http.body);
        let method = match http.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
        };
        let mut request = Request::builder().method(method).uri(url.as_str());
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        if let (Some(login), Some(password)) = (&http.login, &self.password) {
            let pair = Zeroizing::new(format!("{}:{}", login.user, **password));
            let line = format!("Basic {}", BASE64.encode(pair.as_bytes()));
            request = request.header(header::AUTHORIZATION, sensitive("user", &line)?);
        }
        for (name, template) in &http.headers {
            let value = sensitive(name, &self.plain(template))?;
            request = request.header(name, value);
        }
        let wrong = |_| SendError::new("url or headers are no request");
        request.body(body.to_vec()).map_err(wrong)
    }

    /// What is sent, and what it is.
    fn body(&self, body: &Body) -> (Option<&'static str>, Zeroizing<Vec<u8>>) {
        let (kind, text) = match body {
            Body::Empty => return (None, Zeroizing::default()),
            Body::Text(template) => ("text/plain; charset=utf-8", self.plain(template)),
            Body::Form(fields) => {
                let pair = |(name, template): (&String, &Template)| {
                    let (name, value) = (escaped(name), escaped(&self.plain(template)));
                    format!("{}={}", *name, *value)
                };
                let pairs: Vec<String> = fields.iter().map(pair).collect();
                let form = Zeroizing::new(pairs.join("&"));
                ("application/x-www-form-urlencoded", form)
            }
            Body::Json(json) => {
                let text = Zeroizing::new(self.json(json).to_string());
                ("application/json", text)
            }
        };
        (Some(kind), Zeroizing::new(text.as_bytes().to_vec()))
    }

    fn json(&self, json: &Json) -> JsonValue {
        match json {
            Json::Text(template) => self.plain(template).as_str().into(),
            Json::Number(number) => (*number).into(),
            Json::Flag(flag) => (*flag).into(),
            Json::List(items) => items.iter().map(|item| self.json(item)).collect(),
            Json::Table(items) => {
                let items = items.iter();
                JsonValue::Object(
                    items
                        .map(|(key, item)| (key.clone(), self.json(item)))
                        .collect(),
                )
            }
        }
    }
}

/// A header line that no message of ureq's repeats. A line's end in it is refused.
fn sensitive(name: &str, text: &str) -> Result<HeaderValue, SendError> {
    let value = HeaderValue::from_str(text);
    let mut value = value.map_err(|_| SendError::new(format!("the header {name} is none")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 section 2.3.
fn escaped(text: &str) -> Zeroizing<String> {
    let mut escaped = Zeroizing::new(String::with_capacity(text.len() * 3));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
