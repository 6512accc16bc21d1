//! One user as a source describes them, before the store is asked.

use otp_core::account::{Account, Kind, MAX_TOKENS, Serial, Token, check_text};
use otp_core::clock::{Clock as _, SystemClock};
use otp_core::config::Config;
use otp_core::hotp::{Algorithm, Code, Digits};
use otp_core::scratch::ScratchCodes;
use otp_core::secret::{Secret, SecretError};
use otp_core::state::{State, TokenState};
use otp_core::store::bulk::Enrolment;
use otp_core::totp::UnixTime;
use otp_core::user_name::UserName;

use super::super::enroll::host_name;
use super::super::name;

/// A device, and what is used up of it.
#[derive(Debug)]
pub(super) struct Device {
    pub token: Token,
    pub state: TokenState,
}

impl Device {
    /// Whether both make the same codes.
    pub fn same_key(&self, other: &Token) -> bool {
        let same_clock = match (&self.token.kind, &other.kind) {
            (Kind::Totp { period }, Kind::Totp { period: other }) => period == other,
            (Kind::Hotp { .. }, Kind::Hotp { .. }) => true,
            _ => false,
        };
        same_clock
            && self.token.secret == other.secret
            && self.token.algorithm == other.algorithm
            && self.token.digits == other.digits
    }

    /// Takes over what is used up of the same key elsewhere. What either has used stays used.
    pub fn use_up_as(&mut self, other: &TokenState) {
        self.state.next = self.state.next.max(other.next);
        let next = self.state.next;
        self.state.burnt.forget_below(next);
        for position in next..next.saturating_add(otp_core::state::burnt::REACH) {
            if other.burnt.contains(position) {
                self.state.burn(position);
            }
        }
    }
}

/// Everything that a source says of one user.
#[derive(Debug)]
pub(super) struct Candidate {
    pub user: UserName,
    /// Where it stands: a file, or a file and a line.
    pub place: String,
    pub devices: Vec<Device>,
    pub scratch: Vec<Code>,
    /// What cannot be carried over, in words.
    pub notes: Vec<String>,
}

impl Candidate {
    pub fn new(user: UserName, place: String) -> Self {
        Self {
            user,
            place,
            devices: Vec::new(),
            scratch: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a device under a name of its own; a key that is there already is the same device. What is more
    /// than one too many is not kept: the user is refused anyway, and a file of nothing but one user's keys
    /// would take hours.
    pub fn add(&mut self, mut device: Device) {
        if self.devices.len() > MAX_TOKENS {
            return;
        }
        let known = self
            .devices
            .iter_mut()
            .find(|known| known.same_key(&device.token));
        if let Some(known) = known {
            known.use_up_as(&device.state);
            return;
        }
        let base = match device.token.kind {
            Kind::Totp { .. } => "phone",
            Kind::Hotp { .. } | Kind::Delivered { .. } => "token",
        };
        let taken = |id: &String| self.devices.iter().any(|known| known.token.id == *id);
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let mut names = std::iter::once(base.to_owned()).chain(numbered);
        device.token.id = names.find(|id| !taken(id)).unwrap_or_default();
        self.devices.push(device);
    }

    /// As an account with its state.
    pub fn into_enrolment(self) -> Result<Enrolment, SecretError> {
        let mut account = Account::new(&self.user, SystemClock.now());
        account.scratch = scratch(&self.scratch)?;
        account.tokens = self
            .devices
            .iter()
            .map(|device| device.token.clone())
            .collect();
        let mut state = State::new(&account);
        for device in self.devices {
            state.set_token(device.state);
        }
        Ok(Enrolment {
            user: self.user,
            account,
            state,
        })
    }
}

/// The scratch codes as they are stored; `None` for none.
pub(super) fn scratch(codes: &[Code]) -> Result<Option<ScratchCodes>, SecretError> {
    if codes.is_empty() {
        return Ok(None);
    }
    ScratchCodes::new(codes).map(Some)
}

/// Makes devices, with the texts that this host shows on phones.
pub(super) struct Maker {
    host: String,
    issuer: String,
    now: UnixTime,
}

impl Maker {
    pub fn new(config: &Config) -> Self {
        let host = host_name();
        Self {
            issuer: config.issuer.clone().unwrap_or_else(|| host.clone()),
            host,
            now: SystemClock.now(),
        }
    }

    /// A device of which nothing is used up; its name comes with [`Candidate::add`].
    pub fn device(
        &self,
        user: &UserName,
        kind: Kind,
        secret: Secret,
        digits: Digits,
    ) -> Result<Device, SecretError> {
        let serial = Serial::generate()?;
        let label = format!("{}@{}", name::typed(user), self.host);
        let token = Token {
            id: String::new(),
            serial,
            kind,
            secret,
            algorithm: Algorithm::Sha1,
            digits,
            // For people only: a name that does not do as a label leaves it empty.
            label: Some(label)
                .filter(|text| check_text("", text).is_ok())
                .unwrap_or_default(),
            issuer: self.issuer.clone(),
            created: self.now,
            services: None,
            enabled: true,
        };
        let state = TokenState::new(serial, &token.kind);
        Ok(Device { token, state })
    }
}
