//! What clients know of a server, whichever program it is.

use crate::users::KeyPair;

/// Where a server listens and how it is recognised.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// `ssh-ed25519 AAAA...`
    pub host_key: String,
    /// `SHA256:...`
    pub fingerprint: String,
}

impl Endpoint {
    /// A server on this port that holds this key.
    pub fn new(port: u16, key: &KeyPair) -> Self {
        Self {
            port,
            host_key: key.public.clone(),
            fingerprint: key.fingerprint.clone(),
        }
    }

    /// The same server by another way: through a proxy, say.
    pub fn at(&self, port: u16) -> Self {
        Self {
            port,
            ..self.clone()
        }
    }
}
