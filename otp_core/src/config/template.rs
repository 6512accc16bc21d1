//! Texts with places for values: `Your code is {code}.` Checked when the configuration is read, so that a
//! misspelt `{cdoe}` is not found out by somebody who waits for a message.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

/// A value that a text may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The code.
    Code,
    /// The user.
    User,
    /// Where it is sent.
    Address,
    /// Where the login comes from.
    Source,
    /// How long it is valid, in seconds.
    Lifetime,
    /// This host's name.
    Host,
    /// What stands in `token_file`.
    Token,
}

impl Value {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Code,
        Self::User,
        Self::Address,
        Self::Source,
        Self::Lifetime,
        Self::Host,
        Self::Token,
    ];

    /// As it stands between braces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::User => "user",
            Self::Address => "address",
            Self::Source => "source",
            Self::Lifetime => "lifetime",
            Self::Host => "host",
            Self::Token => "token",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Value),
}

/// A text with places for values; `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Piece>);

impl Template {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(position) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(position);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else {
                let (name, after) = from
                    .strip_prefix('{')
                    .and_then(|from| from.split_once('}'))
                    .ok_or("a single brace; write it twice for a brace in the text")?;
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(Piece::Value(value(name)?));
                rest = after;
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }

    /// The text with the values in their places, each as `write` gives it.
    #[must_use]
    pub fn expand<'a>(&self, write: impl Fn(Value) -> Zeroizing<String> + 'a) -> Zeroizing<String> {
        // Growing leaves copies behind; texts are short.
        let mut text = Zeroizing::new(String::with_capacity(4096));
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Value(value) => text.push_str(&write(*value)),
            }
        }
        text
    }

    /// Whether this value has a place in it.
    #[must_use]
    pub fn uses(&self, value: Value) -> bool {
        self.0.contains(&Piece::Value(value))
    }

    /// What stands before the first value.
    #[must_use]
    pub fn beginning(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(plain)) => plain,
            _ => "",
        }
    }
}

fn value(name: &str) -> Result<Value, String> {
    let known = Value::ALL.iter().find(|value| value.name() == name);
    known.copied().ok_or_else(|| {
        let nearest = Value::ALL
            .iter()
            .min_by_key(|value| strsim::damerau_levenshtein(name, value.name()));
        let all: Vec<String> = Value::ALL
            .iter()
            .map(|value| format!("{{{}}}", value.name()))
            .collect();
        format!(
            "unknown place {{{name}}}; the nearest is {{{}}} (all: {})",
            nearest.map_or("code", |value| value.name()),
            all.join(", ")
        )
    })
}

impl TryFrom<String> for Template {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

/// As it is written in the configuration.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => {
                    f.write_str(&plain.replace('{', "{{").replace('}', "}}"))?;
                }
                Piece::Value(value) => write!(f, "{{{}}}", value.name())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let names = |value: Value| Zeroizing::new(value.name().to_ascii_uppercase());
        Template::parse(text).unwrap().expand(names).to_string()
    }

    #[test]
    fn values_stand_in_their_places_and_double_braces_are_braces() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{code}", "CODE"),
            ("a{code}b{user}{address}", "aCODEbUSERADDRESS"),
            ("{{code}} {{{code}}}", "{code} {CODE}"),
            (
                "{source} {lifetime} {host} {token}",
                "SOURCE LIFETIME HOST TOKEN",
            ),
        ] {
            assert_eq!(expanded(text), expected, "{text:?}");
            let template = Template::parse(text).unwrap();
            assert_eq!(template.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_place_is_said_so() {
        for (text, expected) in [
            ("{cdoe}", "unknown place {cdoe}; the nearest is {code}"),
            ("{", "a single brace"),
            ("a}b", "a single brace"),
            ("{code", "a single brace"),
            ("{}", "unknown place {}"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
