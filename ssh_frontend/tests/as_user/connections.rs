use super::*;

fn connect(user: &User, port: u16) -> (Outcome, Vec<OwnedFd>) {
    let job = Job::Connect {
        host: "127.0.0.1".to_owned(),
        port,
    };
    let account = user.account.clone();
    let mut helper = spawn(
        &Task {
            account,
            groups: None,
            job,
        },
        &[],
    );
    helper.outcome(CONNECT_PATIENCE).unwrap()
}

#[test]
fn a_connection_comes_back_as_a_descriptor_that_works() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (outcome, descriptors) = connect(&User::new(), port);
    assert!(matches!(outcome, Outcome::Connected), "{outcome:?}");
    let stream = descriptors.into_iter().next().unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    accepted
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    fs::File::from(stream).write_all(b"hello").unwrap();
    let mut text = String::new();
    accepted.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn a_port_where_nobody_listens_is_not_connected() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let (outcome, descriptors) = connect(&User::new(), port);
    let failed = Outcome::NotConnected(ConnectFailure::Failed);
    assert_eq!(format!("{outcome:?}"), format!("{failed:?}"));
    assert!(descriptors.is_empty());
}
