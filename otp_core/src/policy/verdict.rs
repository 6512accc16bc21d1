//! What a decision says: let in by what, or refused why.

use crate::account::Kind;
use crate::answer::NotEvaluated;
use crate::invite::Unfit;
use crate::totp::UnixTime;

/// The decision. There is no way to read it as a bool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Let in.
    Accepted(Accepted),
    /// Not let in.
    Refused(Refusal),
}

/// What let somebody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The device or the recovery code.
    pub proof: Proof,
    /// Bytes of a combined answer that are the code; 0 for a plain answer.
    pub code_length: usize,
    /// How many recovery codes are left after this login; `None` for who never had any.
    pub recovery_left: Option<usize>,
}

/// Whose code it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A device's.
    Token {
        /// Its name.
        id: String,
        /// What kind of device.
        kind: Kind,
        /// Whether the code lay outside the window and taught us where the device stands: TOTP its skew,
        /// HOTP its counter.
        resynchronised: bool,
    },
    /// One of the recovery codes.
    Recovery {
        /// How many are left.
        left: usize,
    },
    /// An invite: they are in to enrol, and for nothing else.
    Invite {
        /// The account's generation: the enrolment is for this one.
        generation: u64,
        /// How often it can still let in.
        left: u8,
    },
}

/// Why somebody is not let in. The person sees none of this; the log does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Fits nothing.
    Wrong,
    /// Fits outside the window: the device's clock is off, or its button was pressed too often.
    OutOfWindow {
        /// The device it fits.
        token: String,
    },
    /// Was right, and is used up.
    Replayed,
    /// Was sent, and is too old.
    Expired {
        /// The device that it was sent to.
        token: String,
    },
    /// Was sent for another address, which alone may use it.
    OtherSource {
        /// The device that it was sent to.
        token: String,
    },
    /// Would be right, but a step far ahead was accepted earlier: the clock had been wrong then.
    WatermarkAhead {
        /// The device it fits.
        token: String,
    },
    /// Too many failures lately.
    Throttled {
        /// When the next attempt is evaluated.
        until: UnixTime,
    },
    /// Too many failures in all.
    Locked,
    /// An invite, and no longer or not here.
    Invite(Unfit),
    /// The account is disabled.
    Disabled,
    /// Not a guess.
    NotEvaluated(NotEvaluated),
    /// Nobody of this name is enrolled. Comes from the store's decoys, not from [`super::decide`].
    NotEnrolled,
}

impl Refusal {
    /// Whether the code was a right one, at another time or from another place: nothing was guessed.
    pub(super) fn is_no_guess(&self) -> bool {
        matches!(
            self,
            Self::Replayed
                | Self::Expired { .. }
                | Self::OtherSource { .. }
                | Self::WatermarkAhead { .. }
        )
    }

    /// The `reason=` of the log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::OutOfWindow { .. } => "out_of_window",
            Self::Replayed => "replayed",
            Self::Expired { .. } => "expired",
            Self::OtherSource { .. } => "other_source",
            Self::WatermarkAhead { .. } => "watermark_ahead",
            Self::Throttled { .. } => "throttled",
            Self::Locked => "locked",
            Self::Invite(Unfit::Elsewhere) => "invite_not_here",
            Self::Invite(Unfit::Expired) => "invite_expired",
            Self::Invite(Unfit::UsedUp) => "invite_used_up",
            Self::Disabled => "disabled",
            Self::NotEvaluated(reason) => reason.reason(),
            Self::NotEnrolled => "not_enrolled",
        }
    }
}
