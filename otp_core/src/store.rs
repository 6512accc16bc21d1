//! Where accounts and state live. [`Store`] is all that the verifier knows of it.
//!
//! The store keeps two files per user, so that no login ever rewrites a secret:
//!
//! - [`files`]: which files a user has, and the record that is locked, read and committed
//! - [`slots`]: the two-slot state file, which survives a torn write
//! - [`safe_open`]: opening without following, waiting or trusting
//! - [`lock`]: flock with a deadline
//! - [`listing`]: everybody, by the thousand
//! - [`decoys`]: the same work for users who are not enrolled
//! - [`administration`], [`bulk`], [`repair`]: everything that logins do not do
//! - [`sealing`], [`reseal`]: which key the secrets are sealed with, and sealing them all anew
//! - [`enrolment`]: the one thing of these that a login does, on a user's behalf
//! - [`error`]: what went wrong, where, and the cure
//!
//! Beside it stands [`google_authenticator`]: the files that users of pam_google_authenticator have at home.

pub mod administration;
pub mod bulk;
pub mod decoys;
pub mod enrolment;
pub mod error;
pub mod files;
pub mod google_authenticator;
pub mod listing;
pub mod lock;
pub mod repair;
pub mod reseal;
pub mod safe_open;
pub mod sealing;
pub mod slots;

pub use error::{Problem, StoreError};
pub use files::FilesStore;

use crate::account::Account;
use crate::state::State;
use crate::user_name::UserName;

/// A place that keeps accounts and their state.
pub trait Store {
    /// What is locked.
    type Record: Record;

    /// Whether the user has an account. Damage is an error, never "no".
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be said for certain.
    fn is_enrolled(&self, user: &UserName) -> Result<bool, StoreError>;

    /// Locks the user's record, and reads it under the lock. A user without an account gets a decoy,
    /// by the same calls in the same order.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be locked before the deadline, or not be read.
    fn lock(&self, user: &UserName) -> Result<Self::Record, StoreError>;
}

/// A locked account with its state. Dropping it releases the lock and changes nothing.
pub trait Record {
    /// Whether it stands in for a user who is not enrolled.
    fn is_decoy(&self) -> bool;
    /// What was enrolled.
    fn account(&self) -> &Account;
    /// What logins changed.
    fn state(&self) -> &State;
    /// Makes the new state durable, then releases the lock.
    ///
    /// # Errors
    /// [`StoreError`] when it is not certain that the state is on the disk.
    fn commit(self, state: &State) -> Result<(), StoreError>;
}
