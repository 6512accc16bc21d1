use super::*;

/// A program in a group of its own, of root's where this is root.
fn sleeper(command: &mut Command) -> Child {
    command.arg("60").process_group(0).spawn().unwrap()
}

fn signal(child: &Child) -> Job {
    Job::Signal {
        group: i32::try_from(child.id()).unwrap(),
        name: "TERM".to_owned(),
    }
}

#[test]
fn a_program_of_the_users_is_signalled() {
    let user = User::new();
    let mut command = Command::new("sleep");
    if is_root() {
        command.uid(SOMEBODY).gid(THEIR_GROUP);
    }
    let mut child = sleeper(&mut command);
    let outcome = user.asks(signal(&child));
    assert!(matches!(outcome, Outcome::Ready), "{outcome:?}");
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

#[test]
fn a_program_of_somebody_elses_is_not() {
    if !has_root() {
        return;
    }
    let user = User::new();
    let mut child = sleeper(&mut Command::new("sleep"));
    let outcome = user.asks(signal(&child));
    let alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(alive);
    assert!(matches!(outcome, Outcome::Failed(why) if why == "Operation not permitted"));
}
