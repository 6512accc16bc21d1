//! Enrolments that the user made: stored only if nobody changed anything since they were let in for it.

use super::administration::Administration;
use super::error::StoreError;
use crate::account::{Account, Token};
use crate::recovery::StoredRecoveryCode;
use crate::source::Source;
use crate::state::{Event, State, TokenState};
use crate::totp::UnixTime;
use crate::user_name::UserName;

/// What was there of the user when they were let in to enrol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    NoAccount,
    /// An account with an invite, of this generation.
    Invited {
        /// The account's.
        generation: u64,
    },
}

/// A device that has proved its key, and what comes with it.
#[derive(Debug)]
pub struct FirstDevice {
    /// The device.
    pub token: Token,
    /// Its state, in which the code that proved it is used up.
    pub used: TokenState,
    /// The recovery codes.
    pub recovery: Vec<StoredRecoveryCode>,
    /// From where.
    pub source: Source,
    /// When.
    pub now: UnixTime,
}

impl Administration<'_> {
    /// Stores the first device of a user. The invite, if there was one, is used up with it for good. Of two
    /// dialogues at once the second finds another generation, or an account where there was none.
    ///
    /// # Errors
    /// [`Problem::AlreadyEnrolled`](super::Problem::AlreadyEnrolled) and
    /// [`Problem::Refused`](super::Problem::Refused) when somebody was faster, and whatever cannot be
    /// written: then nothing of it is stored.
    pub fn enrol(
        &self,
        user: &UserName,
        before: Before,
        device: FirstDevice,
    ) -> Result<(), StoreError> {
        match before {
            Before::NoAccount => {
                let mut account = Account::new(user, device.now);
                account.tokens.push(device.token.clone());
                let mut state = State::new(&account);
                install(&mut account, &mut state, device);
                self.create(user, account, state)
            }
            Before::Invited { generation } => self.update(user, |account, state| {
                let unchanged = account.generation == generation
                    && account.enabled
                    && account.invite().is_some();
                if !unchanged {
                    return Err("was changed while the dialogue ran; nothing was stored".into());
                }
                account.tokens.push(device.token.clone());
                install(account, state, device);
                Ok(())
            }),
        }
    }
}

fn install(account: &mut Account, state: &mut State, device: FirstDevice) {
    account.invite = None;
    account.recovery = device.recovery;
    state.set_token(device.used);
    // How often the invite has let in stays written: a crash before the account is replaced leaves it in force.
    // They are in with it: the next login from there is one from a usual place.
    state.throttle.succeed(device.source, device.now);
    state.failures_since_success = 0;
    state.last_success = Some(Event {
        at: device.now,
        source: device.source,
    });
}
