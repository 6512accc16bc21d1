//! Secrets at rest: encrypted in the account files, under a key that is kept elsewhere.
//!
//! A backup of `/var/lib/otpgate` holds what every phone of the house holds. Sealed, it holds nothing that
//! makes a code without the key file, which stands outside of the state directory and is not to be in the
//! same backup. Against root on the running host it does not help, and does not pretend to.
//!
//! - [`key`]: the keys, their names, and the file that holds them
//! - [`envelope`]: one sealed secret, bound to its user and device
//!
//! The cipher is XChaCha20-Poly1305. Its nonces have 192 bits, so that random ones never meet, however often
//! a million accounts are sealed anew; it is as fast as needed and takes the same time for every key
//! without tables or special instructions of the processor.

pub mod envelope;
pub mod key;

pub use envelope::{Context, OpenError, Sealed, Stored};
pub use key::{KeyId, Keyring, SealKey};
