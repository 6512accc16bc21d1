use super::*;

fn pair() -> (fs::File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&master).unwrap();
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    if is_root() {
        rustix::fs::fchown(&slave, Some(rustix::process::Uid::from_raw(SOMEBODY)), None).unwrap();
    }
    (fs::File::from(master), slave)
}

fn start(user: &User, command: &str) -> (fs::File, Child) {
    let (master, slave) = pair();
    let task = Task {
        groups: None,
        account: user.account.clone(),
        job: program(Some(command), Some(terminal())),
    };
    let mut helper = spawn(&task, &[slave.as_fd()]);
    let (outcome, _) = helper.outcome(PATIENCE).unwrap();
    assert!(matches!(outcome, Outcome::Ready), "{outcome:?}");
    (master, helper.into_child())
}

/// To the end, which a terminal shows as an error once nobody holds the other side.
fn read_all(master: &mut fs::File) -> String {
    let mut text = Vec::new();
    let _ = master.read_to_end(&mut text);
    String::from_utf8(text).unwrap().replace('\r', "")
}

#[test]
fn it_is_the_controlling_one_with_the_clients_size_and_modes() {
    let user = User::new();
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size < /dev/tty; stty -a";
    let (mut master, mut child) = start(&user, script);
    let text = read_all(&mut master);
    assert!(child.wait().unwrap().success(), "{text}");
    for expected in ["50 132\n", "intr = ^X", "-echo ", "speed 38400"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn its_interrupt_character_interrupts_the_program() {
    let user = User::new();
    let (mut master, mut child) = start(&user, "echo ready; exec sleep 60");
    let mut ready = [0; 5];
    master.read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready");
    master.write_all(b"\x18").unwrap();
    let interrupted = rustix::process::Signal::INT.as_raw();
    assert_eq!(child.wait().unwrap().signal(), Some(interrupted));
}

#[test]
fn a_shell_that_does_not_run_is_said_there() {
    let mut user = User::new();
    user.account.shell = "/nonexistent".into();
    let (mut master, mut child) = start(&user, "true");
    let text = read_all(&mut master);
    assert_eq!(text, "/nonexistent: No such file or directory\n");
    assert_eq!(child.wait().unwrap().code(), Some(127));
}
