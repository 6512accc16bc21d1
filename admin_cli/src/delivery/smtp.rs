//! Mail: RFC 5321 to a server that passes it on, with TLS (RFC 8314, RFC 3207) unless it is this host.

use std::time::Duration;

use lettre::address::AddressError;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, SmtpTransport, Transport as _};
use otp_core::config::{Security, Smtp};

use super::{Message, SendError, files};

/// Hands the mail to the server.
///
/// # Errors
/// When it does not take it.
pub fn send(smtp: &Smtp, message: &Message, timeout: Duration) -> Result<(), SendError> {
    let mail = mail(smtp, message)?;
    let server = transport(smtp, message, timeout)?;
    match server.send(&mail) {
        Ok(_) => Ok(()),
        Err(error) => {
            let place = format!("{} port {}", smtp.host, smtp.port);
            Err(SendError::new(format!("{place}: {}", reasons(&error))))
        }
    }
}

/// What went wrong, and why.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

fn transport(
    smtp: &Smtp,
    message: &Message,
    timeout: Duration,
) -> Result<SmtpTransport, SendError> {
    let tls = match smtp.security {
        Security::Plain => Tls::None,
        Security::Starttls => Tls::Required(parameters(smtp)?),
        Security::Tls => Tls::Wrapper(parameters(smtp)?),
    };
    let server = SmtpTransport::builder_dangerous(&smtp.host)
        .port(smtp.port)
        .tls(tls)
        .timeout(Some(timeout))
        .hello_name(ClientId::Domain(message.host.clone()));
    let Some(login) = &smtp.login else {
        return Ok(server.build());
    };
    let password = files::secret(&login.password_file)?;
    let credentials = Credentials::new(login.user.clone(), password.to_string());
    Ok(server.credentials(credentials).build())
}

fn parameters(smtp: &Smtp) -> Result<TlsParameters, SendError> {
    let wrong = |error: lettre::transport::smtp::Error| SendError::new(reasons(&error));
    let roots = files::roots(smtp.ca_file.as_deref())?;
    let mut builder =
        TlsParameters::builder(smtp.host.clone()).certificate_store(CertificateStore::None);
    for root in roots {
        let root = Certificate::from_der(root.to_vec()).map_err(wrong)?;
        builder = builder.add_root_certificate(root);
    }
    builder.build().map_err(wrong)
}

fn mail(smtp: &Smtp, message: &Message) -> Result<Mail, SendError> {
    let wrong = |error: &dyn std::fmt::Display| SendError::new(format!("the mail: {error}"));
    let to = recipient(&message.address).map_err(|error| wrong(&error))?;
    // RFC 3834: nobody's holiday notice shall come back.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let automatic = HeaderValue::new(automatic, "auto-generated".to_owned());
    Mail::builder()
        .from(sender(smtp)?)
        .to(Mailbox::new(None, to))
        .subject(message.text(&smtp.subject).as_str())
        .raw_header(automatic)
        .header(ContentType::TEXT_PLAIN)
        .body(message.text(&smtp.body).to_string())
        .map_err(|error| wrong(&error))
}

/// The sender of the configuration.
///
/// # Errors
/// When it is no address.
pub fn sender(smtp: &Smtp) -> Result<Mailbox, SendError> {
    let sender = smtp.from.parse::<Mailbox>();
    sender.map_err(|error| {
        SendError::new(format!(
            "from: {error}; write \"otpgate@example.org\" or \"Name <otpgate@example.org>\""
        ))
    })
}

/// A recipient.
///
/// # Errors
/// When it is no mail address.
pub fn recipient(address: &str) -> Result<Address, AddressError> {
    address.parse()
}
