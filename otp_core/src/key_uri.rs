//! Key URIs: `otpauth://totp/Issuer:account?secret=...`, the text inside the QR code.
//!
//! Apps disagree about everything that is optional, so what we write is the narrowest form: `%20` and
//! never `+`, no base32 padding, the issuer both as prefix and as parameter.

use std::fmt::{self, Write as _};

use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::Zeroizing;

use crate::account::Kind;
use crate::hotp::{Algorithm, Digits};
use crate::secret::{Secret, SecretError};
use crate::totp::Period;

/// Everything that a phone needs to make the codes of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUri {
    /// Who issues the codes; shown above the account name. No colon.
    pub issuer: Option<String>,
    /// Whose codes they are. No colon.
    pub account: String,
    /// The shared key.
    pub secret: Secret,
    /// The hash.
    pub algorithm: Algorithm,
    /// Digits of a code.
    pub digits: Digits,
    /// Time based with its period, or counter based with its next counter.
    pub kind: Kind,
}

/// Why a text is not a key URI. Never repeats the text, which holds the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUriError {
    /// Does not start with `otpauth://totp/` or `otpauth://hotp/`.
    Scheme,
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8.
    Encoding,
    /// The label is empty or holds more than one colon.
    Label,
    /// A parameter that has to be there is not.
    Missing(&'static str),
    /// A parameter stands twice.
    Repeated(&'static str),
    /// A parameter's value is outside what it takes.
    Value(&'static str),
    /// The issuer before the account and the issuer parameter differ.
    IssuerMismatch,
    /// The secret.
    Secret(SecretError),
}

impl fmt::Display for KeyUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("a key URI starts with otpauth://totp/ or otpauth://hotp/"),
            Self::Encoding => {
                f.write_str("a percent sign needs two hexadecimal digits behind it, of UTF-8 text")
            }
            Self::Label => {
                f.write_str("the label is ISSUER:ACCOUNT or ACCOUNT, with one colon at most")
            }
            Self::Missing(name) => write!(f, "the parameter {name} is missing"),
            Self::Repeated(name) => write!(f, "the parameter {name} stands twice"),
            Self::Value(name) => {
                write!(f, "the parameter {name} has a value that it does not take")
            }
            Self::IssuerMismatch => {
                f.write_str("the issuer in the label and the issuer parameter differ")
            }
            Self::Secret(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeyUriError {}

impl KeyUri {
    /// The URI as text. Whoever reads it can make codes.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mut uri = Zeroizing::new(String::with_capacity(512));
        let kind = if matches!(self.kind, Kind::Hotp { .. }) {
            "hotp"
        } else {
            "totp"
        };
        // Writing to a String cannot fail.
        let _ = write!(uri, "otpauth://{kind}/");
        if let Some(issuer) = &self.issuer {
            let _ = write!(uri, "{}:", Escaped(issuer));
        }
        let _ = write!(
            uri,
            "{}?secret={}",
            Escaped(&self.account),
            *self.secret.to_base32()
        );
        if let Some(issuer) = &self.issuer {
            let _ = write!(uri, "&issuer={}", Escaped(issuer));
        }
        let algorithm = self.algorithm.name().to_ascii_uppercase();
        let _ = write!(uri, "&algorithm={algorithm}&digits={}", self.digits.count());
        let _ = match &self.kind {
            Kind::Totp { period } => write!(uri, "&period={}", period.seconds()),
            Kind::Hotp { counter } => write!(uri, "&counter={counter}"),
            // No app makes its codes.
            Kind::Delivered { .. } => Ok(()),
        };
        uri
    }

    /// Reads a key URI. Parameters that this host has no use for (`image`, say) are passed over.
    ///
    /// # Errors
    /// [`KeyUriError`] names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyUriError> {
        let (scheme, rest) = text
            .trim()
            .split_at_checked("otpauth://".len())
            .ok_or(KeyUriError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("otpauth://") {
            return Err(KeyUriError::Scheme);
        }
        let (kind, rest) = rest.split_once('/').ok_or(KeyUriError::Scheme)?;
        let (label, query) = rest.split_once('?').ok_or(KeyUriError::Missing("secret"))?;
        let parameters = Parameters::parse(query)?;
        let (issuer, account) = label_parts(label, parameters.issuer.clone())?;
        Ok(Self {
            issuer,
            account,
            secret: Secret::from_base32(
                &parameters
                    .secret
                    .clone()
                    .ok_or(KeyUriError::Missing("secret"))?,
            )
            .map_err(KeyUriError::Secret)?,
            algorithm: parameters.algorithm()?,
            digits: parameters.digits()?,
            kind: parameters.kind(kind)?,
        })
    }
}

/// Splits the label, and holds its issuer against the parameter's.
fn label_parts(
    label: &str,
    parameter: Option<String>,
) -> Result<(Option<String>, String), KeyUriError> {
    let label = unescape(label)?;
    let (prefix, account) = match label.split_once(':') {
        Some((prefix, account)) => (Some(prefix.trim().to_owned()), account.trim()),
        None => (None, label.trim()),
    };
    if account.is_empty() || account.contains(':') {
        return Err(KeyUriError::Label);
    }
    let prefix = prefix.filter(|text| !text.is_empty());
    match (&prefix, &parameter) {
        (Some(prefix), Some(parameter)) if prefix != parameter => Err(KeyUriError::IssuerMismatch),
        _ => Ok((parameter.or(prefix), account.to_owned())),
    }
}

#[derive(Default)]
struct Parameters {
    secret: Option<Zeroizing<String>>,
    issuer: Option<String>,
    algorithm: Option<String>,
    digits: Option<String>,
    period: Option<String>,
    counter: Option<String>,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, KeyUriError> {
        let mut found = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (slot, name) = match name.to_ascii_lowercase().as_str() {
                "secret" => {
                    let value = Zeroizing::new(unescape(value)?);
                    if found.secret.replace(value).is_some() {
                        return Err(KeyUriError::Repeated("secret"));
                    }
                    continue;
                }
                "issuer" => (&mut found.issuer, "issuer"),
                "algorithm" => (&mut found.algorithm, "algorithm"),
                "digits" => (&mut found.digits, "digits"),
                "period" => (&mut found.period, "period"),
                "counter" => (&mut found.counter, "counter"),
                _ => continue,
            };
            if slot.replace(unescape(value)?).is_some() {
                return Err(KeyUriError::Repeated(name));
            }
        }
        // As before the account: without blanks around it, and without the colon that would end it there.
        let issuer = found.issuer.as_deref().map(str::trim);
        if issuer.is_some_and(|issuer| issuer.contains(':')) {
            return Err(KeyUriError::Value("issuer"));
        }
        found.issuer = issuer
            .filter(|issuer| !issuer.is_empty())
            .map(str::to_owned);
        Ok(found)
    }

    fn algorithm(&self) -> Result<Algorithm, KeyUriError> {
        let Some(text) = &self.algorithm else {
            return Ok(Algorithm::default());
        };
        let mut known = Algorithm::ALL.into_iter();
        known
            .find(|algorithm| text.eq_ignore_ascii_case(algorithm.name()))
            .ok_or(KeyUriError::Value("algorithm"))
    }

    fn digits(&self) -> Result<Digits, KeyUriError> {
        let Some(text) = &self.digits else {
            return Ok(Digits::SIX);
        };
        let count = text
            .parse::<u8>()
            .map_err(|_| KeyUriError::Value("digits"))?;
        Digits::try_from(count).map_err(|_| KeyUriError::Value("digits"))
    }

    fn kind(&self, kind: &str) -> Result<Kind, KeyUriError> {
        if kind.eq_ignore_ascii_case("totp") {
            let Some(text) = &self.period else {
                return Ok(Kind::Totp {
                    period: Period::default(),
                });
            };
            let seconds = text
                .parse::<u32>()
                .map_err(|_| KeyUriError::Value("period"))?;
            let period = Period::try_from(seconds).map_err(|_| KeyUriError::Value("period"))?;
            Ok(Kind::Totp { period })
        } else if kind.eq_ignore_ascii_case("hotp") {
            let text = self
                .counter
                .as_ref()
                .ok_or(KeyUriError::Missing("counter"))?;
            let counter = text.parse().map_err(|_| KeyUriError::Value("counter"))?;
            Ok(Kind::Hotp { counter })
        } else {
            Err(KeyUriError::Scheme)
        }
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 section 2.3 and `@`.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

fn unescape(text: &str) -> Result<String, KeyUriError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let (pair, after) = rest.split_first_chunk::<2>().ok_or(KeyUriError::Encoding)?;
            bytes.extend(
                HEXLOWER_PERMISSIVE
                    .decode(pair)
                    .map_err(|_| KeyUriError::Encoding)?,
            );
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).map_err(|_| KeyUriError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> KeyUri {
        KeyUri {
            issuer: Some("Example Corp".into()),
            account: "alice@host.example".into(),
            secret: Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(),
            algorithm: Algorithm::Sha1,
            digits: Digits::SIX,
            kind: Kind::Totp {
                period: Period::default(),
            },
        }
    }

    #[test]
    fn the_uri_is_the_narrowest_form() {
        assert_eq!(
            *sample().expose(),
            "otpauth://totp/Example%20Corp:alice@host.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Example%20Corp&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let hotp = KeyUri {
            kind: Kind::Hotp { counter: 7 },
            issuer: None,
            ..sample()
        };
        let umlaut = KeyUri {
            issuer: Some("Büro & Söhne?".into()),
            account: "ä%+ b".into(),
            ..sample()
        };
        for uri in [sample(), hotp, umlaut] {
            assert_eq!(KeyUri::parse(&uri.expose()).unwrap(), uri);
        }
    }

    #[test]
    fn an_issuer_that_is_only_a_parameter_has_no_colon_and_no_blanks_around_it() {
        let issuer = |text: &str| {
            let uri = KeyUri::parse(&format!("otpauth://totp/a?secret=MY&issuer={text}"));
            uri.map(|uri| {
                assert_eq!(KeyUri::parse(&uri.expose()).unwrap(), uri, "{text}");
                uri.issuer
            })
        };
        assert_eq!(issuer("%20b%20"), Ok(Some("b".into())));
        assert_eq!(issuer("%20"), Ok(None));
        assert_eq!(issuer("b%3Ac"), Err(KeyUriError::Value("issuer")));
    }

    #[test]
    fn an_independent_reader_agrees() {
        let read = totp_rs::Totp::from_url(&*sample().expose());
        let read = read.map_err(|error| format!("{error:?}")).unwrap();
        assert_eq!(read.generate(59).to_string(), "287082");
    }

    #[test]
    fn errors_name_the_part() {
        for (uri, expected) in [
            ("http://totp/a?secret=MY", KeyUriError::Scheme),
            ("otpauth://motp/a?secret=MY", KeyUriError::Scheme),
            ("otpauth://totp/a", KeyUriError::Missing("secret")),
            ("otpauth://totp/a?issuer=b", KeyUriError::Missing("secret")),
            (
                "otpauth://hotp/a?secret=MY",
                KeyUriError::Missing("counter"),
            ),
            ("otpauth://totp/?secret=MY", KeyUriError::Label),
            ("otpauth://totp/a:b:c?secret=MY", KeyUriError::Label),
            (
                "otpauth://totp/a:b?secret=MY&issuer=c",
                KeyUriError::IssuerMismatch,
            ),
            (
                "otpauth://totp/a?secret=MY&secret=MY",
                KeyUriError::Repeated("secret"),
            ),
            (
                "otpauth://totp/a?secret=MY&digits=9",
                KeyUriError::Value("digits"),
            ),
            (
                "otpauth://totp/a?secret=MY&period=0",
                KeyUriError::Value("period"),
            ),
            (
                "otpauth://totp/a?secret=MY&algorithm=MD5",
                KeyUriError::Value("algorithm"),
            ),
            ("otpauth://totp/a%2?secret=MY", KeyUriError::Encoding),
            ("otpauth://totp/a%ff?secret=MY", KeyUriError::Encoding),
            (
                "otpauth://totp/a?secret=M1",
                KeyUriError::Secret(SecretError::NotBase32),
            ),
        ] {
            assert_eq!(KeyUri::parse(uri).unwrap_err(), expected, "{uri}");
        }
    }
}
