//! One code on its way, and the values of the texts around it.

use otp_core::config::{Template, Value};
use otp_core::hotp::Code;
use zeroize::Zeroizing;

/// Shortest address that is struck out, in bytes.
const SHORTEST_ADDRESS: usize = 4;

/// A code, for whom, and what the texts may say about it.
#[derive(Clone)]
pub struct Message {
    /// The code.
    pub code: Code,
    /// The user, as the user types it.
    pub user: String,
    /// Where to.
    pub address: String,
    /// Where the login comes from.
    pub source: String,
    /// How long it is valid, in seconds.
    pub lifetime: u64,
    /// This host.
    pub host: String,
}

impl Message {
    /// A value as it is. A token is known to one kind of channel only, which has it by itself.
    #[must_use]
    pub fn value(&self, value: Value) -> Zeroizing<String> {
        let plain = |text: &str| Zeroizing::new(text.to_owned());
        match value {
            Value::Code => self.code.expose(),
            Value::User => plain(&self.user),
            Value::Address => plain(&self.address),
            Value::Source => plain(&self.source),
            Value::Lifetime => plain(&self.lifetime.to_string()),
            Value::Host => plain(&self.host),
            Value::Token => plain(""),
        }
    }

    /// A text with the values in it.
    #[must_use]
    pub fn text(&self, template: &Template) -> Zeroizing<String> {
        template.expand(|value| self.value(value))
    }

    /// A text that somebody else wrote, without what it should not repeat.
    #[must_use]
    pub fn struck_from(&self, text: &str) -> String {
        let text = text.replace(self.code.expose().as_str(), "CODE");
        // A letter or two are nobody's address, and part of every word.
        if self.address.len() < SHORTEST_ADDRESS {
            return text;
        }
        text.replace(&self.address, "ADDRESS")
    }
}
