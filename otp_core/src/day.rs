//! A day of the calendar, for what ends on one: `enrol_until = "2027-03-31"`.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use toml::value::Datetime;

use crate::totp::UnixTime;

const SECONDS: u64 = 86_400;
/// What is not a day is answered with this.
const RULE: &str = "takes a day such as \"2027-03-31\"";

/// A day, from midnight to midnight UTC: a host's time zone would be one more thing that two hosts of one
/// name can disagree about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// Days since 1970-01-01.
    number: u64,
}

impl Day {
    /// Reads `YYYY-MM-DD`, from 1970 to 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let shape = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        if text.len() != 10 || !text.bytes().enumerate().all(shape) {
            return None;
        }
        let part = |from, to| text.get(from..to)?.parse::<u64>().ok();
        Self::new(part(0, 4)?, part(5, 7)?, part(8, 10)?)
    }

    /// The day of this date in the Gregorian calendar.
    fn new(year: u64, month: u64, day: u64) -> Option<Self> {
        let days = Self::before(year, month)?;
        let next = match month {
            12 => Self::before(year + 1, 1),
            _ => Self::before(year, month + 1),
        }?;
        let number = days + day.checked_sub(1)?;
        (number < next).then_some(Self { number })
    }

    /// Days from 1970 to the first of a month.
    fn before(year: u64, month: u64) -> Option<u64> {
        const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let in_year = BEFORE_MONTH.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
        let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
        let is_leap = leap_days(year) > leap_days(year.checked_sub(1)?);
        let days = (365 * year + leap_days(year - 1)).checked_sub(365 * 1970 + leap_days(1969))?;
        Some(days + in_year + u64::from(is_leap && month > 2))
    }

    /// Whether the day has passed at this moment.
    #[must_use]
    pub fn is_over(self, now: UnixTime) -> bool {
        now.0 / SECONDS > self.number
    }

    fn date(self) -> (u64, u64, u64) {
        // Years are at most a day longer than 365.2425 days say; so this is the year or the one after it.
        let guess = 1970 + self.number * 400 / 146_097;
        let began = |year: &u64| Self::before(*year, 1).is_some_and(|first| first <= self.number);
        let year = [guess + 1, guess, guess.saturating_sub(1)]
            .into_iter()
            .find(began)
            .unwrap_or(1970);
        let first_of = |month: u64| Self::before(year, month).filter(|first| *first <= self.number);
        let last = (1..=12)
            .rev()
            .find_map(|month| Some((month, first_of(month)?)));
        let (month, first) = last.unwrap_or((1, self.number));
        (year, month, self.number - first + 1)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// In quotes, or as TOML's own date. A date with a time is refused: it would be read as a moment.
impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Day;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a day such as \"2027-03-31\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Day, E> {
                Day::parse(text).ok_or_else(|| E::custom(RULE))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Day, A::Error> {
                let literal = Datetime::deserialize(MapAccessDeserializer::new(map))?;
                self.visit_str(&literal.to_string())
            }
        }
        from.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_by_date_and_by_number() {
        for (text, first_second) in [
            ("1970-01-01", 0),
            ("1972-02-29", 68_169_600),
            ("1999-12-31", 946_598_400),
            ("2000-03-01", 951_868_800),
            ("2026-11-25", 1_795_564_800),
            ("2100-03-01", 4_107_542_400),
            ("9999-12-31", 253_402_214_400),
        ] {
            let day = Day::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(day.to_string(), text);
            assert!(!day.is_over(UnixTime(first_second)), "{text}");
            assert!(!day.is_over(UnixTime(first_second + 86_399)), "{text}");
            assert!(day.is_over(UnixTime(first_second + 86_400)), "{text}");
        }
    }

    #[test]
    fn every_day_of_five_centuries_comes_back() {
        for number in 0..180_000 {
            let day = Day { number };
            assert_eq!(Day::parse(&day.to_string()), Some(day), "{number}");
        }
    }

    #[test]
    fn what_is_no_day() {
        for text in [
            "",
            "2027-02-29",
            "2100-02-29",
            "2027-00-01",
            "2027-13-01",
            "2027-04-31",
            "2027-04-00",
            "1969-12-31",
            "2027-4-1",
            "27-04-01",
            "2027/04/01",
            "2027-04-01T00:00:00",
            "+027-04-01",
        ] {
            assert_eq!(Day::parse(text), None, "{text:?}");
        }
    }
}
