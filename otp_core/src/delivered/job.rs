//! What the module tells the program that sends: lines of `key value`, on its standard input, where no list
//! of processes shows them.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::ask::{Destination, Order, Sending};
use crate::hotp::Code;
use crate::source::Origin;
use crate::user_name::UserName;

/// Longest job, in bytes. Less than a pipe holds, so that it can be written before anybody reads.
pub const LONGEST: usize = 2048;
const SEND: &str = "send";
const OVER_BUDGET: &str = "over_budget";
const END: &str = "end\n";

/// What there is to do for whom.
#[derive(Debug, Clone)]
pub struct Job {
    /// The user, as a file name.
    pub user: String,
    /// The PAM service.
    pub service: String,
    /// From where: an address, `local` or `opaque`.
    pub source: String,
    /// What.
    pub order: Order,
}

impl Job {
    /// For this user, who logs in there, from there.
    #[must_use]
    pub fn new(user: &UserName, service: &str, origin: Origin, order: Order) -> Self {
        // Whoever starts the service chooses its name.
        let service = service.chars().take(64);
        let plain = |letter: char| {
            let graphic = letter.is_ascii_graphic() && !"\"=\\".contains(letter);
            if graphic { letter } else { '_' }
        };
        Self {
            user: user.file_name().to_owned(),
            service: service.map(plain).collect(),
            source: origin.to_string(),
            order,
        }
    }

    /// As text. Nothing to do is an empty line.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(LONGEST));
        let (order, to) = match &self.order {
            Order::Nothing => {
                text.push('\n');
                return text;
            }
            Order::Send(sending) => (SEND, &sending.to),
            Order::OverBudget(to) => (OVER_BUDGET, to),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{order}");
        for (key, value) in [
            ("user", &self.user),
            ("service", &self.service),
            ("source", &self.source),
            ("token", &to.token),
            ("channel", &to.channel),
            ("address", &to.address),
        ] {
            let _ = writeln!(text, "{key} {value}");
        }
        if let Order::Send(Sending { code, lifetime, .. }) = &self.order {
            let _ = writeln!(text, "code {}", *code.expose());
            let _ = writeln!(text, "lifetime {lifetime}");
        }
        text.push_str(END);
        text
    }

    /// Reads it back; `Ok(None)` for nothing to do.
    ///
    /// # Errors
    /// The key that is missing, unknown or wrong.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text == "\n" {
            return Ok(None);
        }
        let whole = text.strip_suffix(END).ok_or("the job is cut short")?;
        let mut fields = Fields(whole.lines());
        let order = fields.0.next();
        let user = fields.take("user")?;
        let (service, source) = (fields.take("service")?, fields.take("source")?);
        let to = Destination {
            token: fields.take("token")?,
            channel: fields.take("channel")?,
            address: fields.take("address")?,
        };
        crate::account::check_address(&to.address)?;
        let order = match order {
            Some(SEND) => Order::Send(fields.sending(to)?),
            Some(OVER_BUDGET) => Order::OverBudget(to),
            _ => return Err("the job's first line is no order".to_owned()),
        };
        fields.end()?;
        Ok(Some(Self {
            user,
            service,
            source,
            order,
        }))
    }
}

/// The lines that are not read yet.
struct Fields<'a>(std::str::Lines<'a>);

impl<'a> Fields<'a> {
    fn next(&mut self, key: &str) -> Result<&'a str, String> {
        let line = self.0.next().and_then(|line| line.strip_prefix(key));
        let value = line.and_then(|rest| rest.strip_prefix(' '));
        value.ok_or_else(|| format!("the job has no line \"{key}\" where it belongs"))
    }

    fn take(&mut self, key: &str) -> Result<String, String> {
        self.next(key).map(ToOwned::to_owned)
    }

    fn sending(&mut self, to: Destination) -> Result<Sending, String> {
        let code = Code::parse(self.next("code")?.as_bytes());
        let code = code.ok_or("the job's code is none")?;
        let lifetime = self.next("lifetime")?.parse();
        let lifetime = lifetime.map_err(|_| "the job's lifetime is no number")?;
        Ok(Sending { to, code, lifetime })
    }

    fn end(&mut self) -> Result<(), String> {
        match self.0.next() {
            None => Ok(()),
            Some(_) => Err("the job goes on where it should end".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending() -> Sending {
        Sending {
            to: Destination {
                token: "sms".into(),
                channel: "sms".into(),
                address: "+44 1632 960123".into(),
            },
            code: Code::parse(b"012345").unwrap(),
            lifetime: 60,
        }
    }

    fn job(order: Order) -> Job {
        let origin = Origin::from_pam(Some(b"192.0.2.7"), None, None);
        Job::new(&UserName::from("al\nice"), "ss\nhd", origin, order)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let about = "user al%0Aice\nservice ss_hd\nsource 192.0.2.7\ntoken sms\nchannel sms\naddress +44 1632 960123\n";
        let to = sending().to;
        for (order, head, tail) in [
            (
                Order::Send(sending()),
                "send",
                "code 012345\nlifetime 60\nend\n",
            ),
            (Order::OverBudget(to), "over_budget", "end\n"),
        ] {
            let text = job(order).to_text();
            assert_eq!(*text, format!("{head}\n{about}{tail}"));
            let read = Job::parse(&text).unwrap().unwrap();
            assert_eq!(*read.to_text(), *text);
        }
        let text = job(Order::Nothing).to_text();
        assert_eq!(*text, "\n");
        assert!(Job::parse(&text).unwrap().is_none());
    }

    #[test]
    fn the_longest_fits() {
        let mut longest = job(Order::Send(Sending {
            to: Destination {
                token: "t".repeat(32),
                channel: "c".repeat(16),
                address: "a".repeat(128),
            },
            ..sending()
        }));
        longest.user = UserName::new(&[0xff; 66]).file_name().to_owned();
        longest.service = "s".repeat(64);
        assert!(longest.to_text().len() < LONGEST);
    }

    #[test]
    fn what_is_no_job_is_refused() {
        let whole = job(Order::Send(sending())).to_text();
        for cut in 0..whole.len() {
            assert!(Job::parse(&whole[..cut]).is_err(), "{:?}", &whole[..cut]);
        }
        for (right, wrong) in [
            ("end\n", "more\nend\n"),
            ("012345", "01234x"),
            ("lifetime 60", "lifetime x"),
            ("address +", "address -"),
            ("send\n", "sent\n"),
            ("channel sms\n", ""),
        ] {
            assert!(Job::parse(&whole.replace(right, wrong)).is_err(), "{wrong}");
        }
    }
}
