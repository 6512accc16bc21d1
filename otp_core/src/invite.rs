//! Invites: a ticket with which somebody enrols at their first login (NIST SP 800-63B section 6.1.2.1 calls
//! the like an enrolment code).
//!
//! It is typed where a code is asked for, has the form of a recovery code and its 125 random bits, and is
//! stored the same way. It admits a few times and not once, for a dialogue can break off: a dead laptop
//! battery should not cost a call to the help desk. It admits only a few times, for an application that does
//! not mind being told "enrol first" would otherwise have a standing second factor in it.

use serde::{Deserialize, Serialize};
use subtle::Choice;

use crate::recovery::{CODES_PER_SET, RecoveryCode, RecoveryId, StoredRecoveryCode};
use crate::secret::SecretError;
use crate::totp::UnixTime;

/// How often an invite lets somebody in to enrol.
pub const MOST_ADMISSIONS: u8 = 3;
/// Longest validity, in seconds: thirty days.
pub const LONGEST_LIFETIME: u64 = 30 * 86_400;

/// What is stored of an invite, in an account without devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// From this moment on it is worth nothing.
    pub expires: UnixTime,
    ticket: StoredRecoveryCode,
    /// Codes that nobody was ever told. Reading and hashing a set of recovery codes takes time, and
    /// somebody who is invited is to take as long as everybody else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filler: Vec<StoredRecoveryCode>,
}

/// How often an invite has let somebody in: what logins change about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admissions {
    /// Which invite.
    pub invite: RecoveryId,
    /// How often.
    pub times: u8,
}

/// Why an invite that fits does not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The line in pam.d enrols nobody.
    Elsewhere,
    /// Too late.
    Expired,
    /// It has let in [`MOST_ADMISSIONS`] times.
    UsedUp,
}

impl Invite {
    /// A new invite, and the ticket in clear for the person.
    ///
    /// # Errors
    /// [`SecretError::Random`] when the kernel has no random bytes to give.
    pub fn generate(expires: UnixTime) -> Result<(Self, RecoveryCode), SecretError> {
        let code = RecoveryCode::generate()?;
        let ticket = StoredRecoveryCode::new(&code)?;
        let unknown = |_| StoredRecoveryCode::new(&RecoveryCode::generate()?);
        let filler = (1..CODES_PER_SET).map(unknown).collect::<Result<_, _>>()?;
        let invite = Self {
            expires,
            ticket,
            filler,
        };
        Ok((invite, code))
    }

    /// Compares in constant time, at the cost of a whole set of recovery codes.
    #[must_use]
    pub fn matches(&self, code: &RecoveryCode) -> Choice {
        for stored in &self.filler {
            std::hint::black_box(stored.matches(code));
        }
        self.ticket.matches(code)
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> RecoveryId {
        self.ticket.id()
    }

    /// How often it can still let in, by what the state knows of it.
    #[must_use]
    pub fn admissions_left(&self, admissions: Option<Admissions>) -> u8 {
        let times = admissions
            .filter(|admissions| admissions.invite == self.id())
            .map_or(0, |admissions| admissions.times);
        MOST_ADMISSIONS.saturating_sub(times)
    }

    /// Lets in once more, or says why not. What is returned is to be stored.
    ///
    /// # Errors
    /// [`Unfit::Expired`], [`Unfit::UsedUp`].
    pub fn admit(&self, known: Option<Admissions>, now: UnixTime) -> Result<Admissions, Unfit> {
        if now >= self.expires {
            return Err(Unfit::Expired);
        }
        let left = self.admissions_left(known);
        if left == 0 {
            return Err(Unfit::UsedUp);
        }
        Ok(Admissions {
            invite: self.id(),
            times: MOST_ADMISSIONS - left + 1,
        })
    }

    /// What the state has to say so that it never lets in again.
    #[must_use]
    pub fn used_up(&self) -> Admissions {
        Admissions {
            invite: self.id(),
            times: MOST_ADMISSIONS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRES: UnixTime = UnixTime(1_800_000_000);
    const BEFORE: UnixTime = UnixTime(1_799_999_999);

    #[test]
    fn an_invite_admits_three_times_and_until_it_expires() {
        let (invite, code) = Invite::generate(EXPIRES).unwrap();
        assert!(bool::from(invite.matches(&code)));
        assert!(!bool::from(
            invite.matches(&RecoveryCode::generate().unwrap())
        ));
        let mut known = None;
        for left in [3, 2, 1] {
            assert_eq!(invite.admissions_left(known), left);
            assert_eq!(invite.admit(known, EXPIRES), Err(Unfit::Expired));
            known = Some(invite.admit(known, BEFORE).unwrap());
        }
        assert_eq!(invite.admit(known, BEFORE), Err(Unfit::UsedUp));
        assert_eq!(known, Some(invite.used_up()));
    }

    #[test]
    fn what_is_known_of_another_invite_says_nothing() {
        let [old, new] = [0; 2].map(|_: i32| Invite::generate(EXPIRES).unwrap().0);
        assert_eq!(new.admissions_left(Some(old.used_up())), MOST_ADMISSIONS);
        let known = new.admit(Some(old.used_up()), BEFORE).unwrap();
        assert_eq!((known.invite, known.times), (new.id(), 1));
    }
}
