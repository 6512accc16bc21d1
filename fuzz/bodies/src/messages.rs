//! What processes of a connection send each other, over a real socket: a letter for the kind of message,
//! then its bytes, which an attacker may have made.

use std::fmt::Debug;
use std::os::fd::AsFd as _;

use rustix::net::{SendFlags, send};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ssh_frontend::as_user::{Outcome, Task};
use ssh_frontend::ipc::Socket;
use ssh_frontend::monitor::table::Gate;
use ssh_frontend::protocol::{MonitorSetup, NetworkSetup, Progress, Reply, Request};

pub fn messages(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind {
        b'q' => {
            if let Some(request) = received::<Request>(bytes) {
                // No request is too odd for the table to look at.
                let _ = Gate::default().admit(&request);
            }
        }
        b'r' => drop(received::<Reply>(bytes)),
        b'm' => drop(received::<MonitorSetup>(bytes)),
        b'n' => drop(received::<NetworkSetup>(bytes)),
        b't' => drop(received::<Task>(bytes)),
        b'o' => drop(received::<Outcome>(bytes)),
        b'p' => drop(received::<Progress>(bytes)),
        _ => {}
    }
}

/// What arrives; sent on, it arrives as the same.
fn received<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) -> Option<T> {
    let (one, other) = Socket::pair().unwrap();
    send(one.as_fd(), bytes, SendFlags::NOSIGNAL).unwrap();
    let (message, descriptors) = other.receive::<T>(0).ok()??;
    assert!(descriptors.is_empty());
    let encoded = postcard::to_stdvec(&message).unwrap();
    other.send(&message, &[]).unwrap();
    let (again, _) = one.receive::<T>(0).unwrap().unwrap();
    assert_eq!(postcard::to_stdvec(&again).unwrap(), encoded);
    // Whatever it is, it can be logged.
    assert!(!format!("{message:?}").is_empty());
    Some(message)
}
