//! Connections for `direct-tcpip` channels.

use std::io::Write;
use std::os::fd::AsFd;

use ssh_frontend::protocol::ConnectFailure::{Failed, Prohibited};
use ssh_frontend::protocol::{ConnectFailure, Exit, Reply};

use super::desk::{Desk, command, connect, connect_slowly, read_all};

fn open() -> Desk {
    let desk = Desk::open(|_| ());
    desk.log_in();
    desk
}

/// Asserts that this is about the channel, and says that there is no connection.
pub fn assert_not_connected(reply: &Reply, number: u32, why: ConnectFailure) {
    match reply {
        Reply::NotConnected { channel, failure } => {
            assert_eq!((*channel, *failure), (number, why));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn connections_go_only_where_the_configuration_says() {
    let desk = open();
    desk.send(&connect(1, "inner"));
    let (reply, descriptors) = desk.receive();
    assert!(matches!(reply, Reply::Connected { channel: 1 }));
    assert_eq!(descriptors.len(), 1);
    let reply = desk.ask(&connect(2, "169.254.169.254"));
    assert_not_connected(&reply, 2, Prohibited);
    assert_eq!(desk.notes().len(), 1, "{:?}", desk.notes());
}

#[test]
fn a_host_that_does_not_answer_holds_up_neither_starts_nor_ends_of_programs() {
    let desk = open();
    let (_, descriptors) = desk.start(&command(1, "read line; exit 5"));
    desk.send(&connect_slowly(2));
    drop(descriptors);
    let (reply, _) = desk.receive();
    let five = Exit::Status(5);
    assert!(matches!(reply, Reply::Exited { session: 1, exit } if exit == five));
    let (_, mut descriptors) = desk.start(&command(3, "echo there"));
    assert_eq!(read_all(descriptors.remove(1)), "there\n");
    assert!(matches!(desk.receive().0, Reply::Exited { session: 3, .. }));
    desk.answer_connect(0, None);
    assert_not_connected(&desk.receive().0, 2, Failed);
}

#[test]
fn twenty_connections_at_once_come_each_to_its_own_channel() {
    let desk = open();
    for channel in 0..20 {
        desk.send(&connect_slowly(channel));
    }
    // Those are handled in order: once this has started, all of them are under way.
    let (_, _descriptors) = desk.start(&command(99, "cat"));
    for number in (0..20).rev() {
        if number % 5 == 0 {
            desk.answer_connect(number as usize, None);
            assert_not_connected(&desk.receive().0, number, Failed);
            continue;
        }
        let (reader, mut writer) = std::io::pipe().unwrap();
        write!(writer, "{number}").unwrap();
        drop(writer);
        desk.answer_connect(number as usize, Some(reader.as_fd()));
        let (reply, mut descriptors) = desk.receive();
        assert!(matches!(reply, Reply::Connected { channel } if channel == number));
        assert_eq!(read_all(descriptors.remove(0)), number.to_string());
    }
    // Each of these processes was ended and collected.
    for id in desk.connecting() {
        assert!(!exists(id));
    }
}

#[test]
fn there_is_a_limit_to_what_is_tried_at_once() {
    let desk = open();
    for channel in 0..100 {
        desk.send(&connect_slowly(channel));
    }
    assert_not_connected(&desk.ask(&connect_slowly(100)), 100, Failed);
    assert_eq!(desk.notes().len(), 100);
    desk.answer_connect(50, None);
    assert_not_connected(&desk.receive().0, 50, Failed);
    desk.send(&connect(101, "inner"));
    assert!(matches!(
        desk.receive().0,
        Reply::Connected { channel: 101 }
    ));
}

#[test]
fn a_channel_that_is_connecting_and_asks_again_ends_the_connection() {
    let desk = open();
    desk.send(&connect_slowly(1));
    desk.send(&connect_slowly(1));
    assert_eq!(desk.closed(), "connect.connecting_already");
}

#[test]
fn when_the_network_process_leaves_nobody_connects_any_more() {
    let desk = open();
    for channel in 0..5 {
        desk.send(&connect_slowly(channel));
    }
    let (_, _descriptors) = desk.start(&command(99, "cat"));
    let ids = desk.connecting();
    assert!(ids.len() == 5 && ids.iter().all(|id| exists(*id)));
    assert_eq!(desk.leave(), "gone");
    assert!(!ids.into_iter().any(exists));
}

fn exists(process: u32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}
