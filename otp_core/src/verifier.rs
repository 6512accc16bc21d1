//! Lock, load, decide, commit, only then answer.

use std::path::Path;

use crate::account::Account;
use crate::clock::Clock;
use crate::delivered::Draw;
use crate::delivered::ask::{self, Ask, Order};
use crate::policy::{self, Attempt, Parameters, Refusal, Verdict};
use crate::source::Source;
use crate::state::State;
use crate::store::{Problem, Record, Store, StoreError};
use crate::totp::UnixTime;
use crate::user_name::UserName;

/// Verifies attempts against one store.
pub struct Verifier<'a, S> {
    store: &'a S,
    parameters: &'a Parameters,
}

impl<'a, S: Store> Verifier<'a, S> {
    /// Over this store, with these numbers.
    #[must_use]
    pub fn new(store: &'a S, parameters: &'a Parameters) -> Self {
        Self { store, parameters }
    }

    /// Decides over one attempt. The verdict is returned only after the state that it leads to is on
    /// the disk. For a user who is not enrolled a decoy is decided over and committed, at the same cost.
    ///
    /// # Errors
    /// [`StoreError`] when the state cannot be locked, read or committed: nobody is let in.
    pub fn verify(
        &self,
        user: &UserName,
        attempt: &Attempt<'_>,
        clock: &impl Clock,
    ) -> Result<Verdict, StoreError> {
        let record = self.store.lock(user)?;
        // The clock is read under the lock: time spent waiting for it must not make a used step fresh.
        let (verdict, state) = self.decide(&record, attempt, clock.now());
        let decoy = record.is_decoy();
        record.commit(&state)?;
        Ok(if decoy {
            Verdict::Refused(Refusal::NotEnrolled)
        } else {
            verdict
        })
    }

    /// Decides whether a code is sent, commits that, and says what the program that sends is to be told. For a
    /// user who is not enrolled a decoy is committed, and there is nothing to send.
    ///
    /// # Errors
    /// [`StoreError`] when the state cannot be locked, read or committed: then nothing is sent.
    pub fn ask(
        &self,
        user: &UserName,
        ask: &Ask<'_>,
        clock: &impl Clock,
    ) -> Result<Order, StoreError> {
        let draw = Draw::new()
            .map_err(|_| StoreError::new(Path::new(user.file_name()), Problem::Random))?;
        let record = self.store.lock(user)?;
        let (order, state) = ask::decide(
            record.account(),
            record.state(),
            ask,
            &draw,
            clock.now(),
            self.parameters,
        );
        let decoy = record.is_decoy();
        record.commit(&state)?;
        Ok(if decoy { Order::Nothing } else { order })
    }

    /// What [`Verifier::verify`] would say, changing nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the state cannot be locked or read.
    pub fn dry_run(
        &self,
        user: &UserName,
        attempt: &Attempt<'_>,
        clock: &impl Clock,
    ) -> Result<Verdict, StoreError> {
        let record = self.store.lock(user)?;
        let (verdict, _) = self.decide(&record, attempt, clock.now());
        Ok(if record.is_decoy() {
            Verdict::Refused(Refusal::NotEnrolled)
        } else {
            verdict
        })
    }

    /// Whether the user may do without a code, `seconds` after a success from the same source at the same
    /// PAM service.
    ///
    /// # Errors
    /// [`StoreError`] when the state cannot be locked or read.
    pub fn in_grace(
        &self,
        user: &UserName,
        place: (Source, &str),
        seconds: u64,
        clock: &impl Clock,
    ) -> Result<bool, StoreError> {
        let record = self.store.lock(user)?;
        let granted = policy::in_grace(
            record.account(),
            record.state(),
            place,
            clock.now(),
            seconds,
        );
        Ok(granted && !record.is_decoy())
    }

    fn decide(
        &self,
        record: &impl Record,
        attempt: &Attempt<'_>,
        now: UnixTime,
    ) -> (Verdict, State) {
        let (account, state): (&Account, &State) = (record.account(), record.state());
        policy::decide(account, state, attempt, now, self.parameters)
    }
}
