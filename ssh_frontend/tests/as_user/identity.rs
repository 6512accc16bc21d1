use super::*;

/// The program as somebody else starts it, from where they can reach it.
fn started_without_root(place: &TempDir) -> Command {
    let copy = place.path().join("otpgate-sshd");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Not by this process: another test's fork would inherit the file open for writing, and what is
    // being written cannot be executed.
    let mut install = Command::new("install");
    install.args(["-m", "755", env!("CARGO_BIN_EXE_otpgate-sshd")]);
    assert!(install.arg(&copy).status().unwrap().success());
    let mut command = Command::new(&copy);
    if is_root() {
        command.uid(SOMEBODY).gid(THEIR_GROUP);
    }
    command
}

#[test]
fn root_becomes_the_user_for_good_with_no_group_of_its_own_left() {
    if !has_root() {
        return;
    }
    let user = User::new();
    let script = "grep -E '^(Uid|Gid|Groups|CapPrm|CapEff|CapAmb):' /proc/self/status";
    let ended = run_command(&user.account, script);
    let lines: Vec<Vec<&str>> = ended
        .output
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let (uid, gid) = (SOMEBODY.to_string(), THEIR_GROUP.to_string());
    let none = "0000000000000000";
    let expected = [
        vec!["Uid:", &uid, &uid, &uid, &uid],
        vec!["Gid:", &gid, &gid, &gid, &gid],
        vec!["Groups:", &gid],
        vec!["CapPrm:", none],
        vec!["CapEff:", none],
        vec!["CapAmb:", none],
    ];
    assert_eq!(lines, expected);
}

#[test]
fn users_of_the_database_get_the_groups_that_it_lists() {
    if !has_root() {
        return;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    for line in passwd.lines().take(20) {
        let fields: Vec<&str> = line.split(':').collect();
        let mut account = User::new().account;
        account.name = fields[0].to_owned();
        account.uid = fields[2].parse().unwrap();
        account.gid = fields[3].parse().unwrap();
        let listed = Command::new("id").args(["-G", fields[0]]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        // What `id` says of itself is what the kernel says of the process.
        assert_eq!(run_command(&account, "id -G").output, listed, "{line}");
    }
}

#[test]
fn root_stays_root_where_root_logs_in() {
    if !has_root() {
        return;
    }
    let mut account = User::new().account;
    (account.name, account.uid, account.gid) = ("root".to_owned(), 0, 0);
    assert_eq!(run_command(&account, "id -u; id -g").output, "0\n0\n");
}

#[test]
fn ids_that_mean_leave_it_as_it_is_are_refused() {
    let mut cases = vec![(u32::MAX, THEIR_GROUP)];
    if has_root() {
        cases.push((SOMEBODY, u32::MAX));
    }
    for (uid, gid) in cases {
        let mut account = User::new().account;
        (account.uid, account.gid) = (uid, gid);
        let outcome = ask(account, find_key("keys"));
        assert!(matches!(outcome, Outcome::Failed(_)), "{uid} {gid}");
    }
}

#[test]
fn without_root_nobody_else_is_become() {
    let place = tempfile::tempdir().unwrap();
    for wanted in [0, SOMEBODY + 1] {
        let command = started_without_root(&place);
        let mut account = User::new().account;
        account.uid = wanted;
        let job = program(Some("id"), None);
        let mut helper = spawn_by(
            command,
            &Task {
                account,
                groups: None,
                job,
            },
            &[],
        );
        let (outcome, _) = helper.outcome(PATIENCE).unwrap();
        let Outcome::Failed(why) = outcome else {
            panic!("became uid {wanted}: {outcome:?}");
        };
        assert!(why.contains("start it as root"), "{why}");
    }
}

#[test]
fn without_root_the_servers_own_user_is_served() {
    let place = tempfile::tempdir().unwrap();
    let user = User::new();
    let command = started_without_root(&place);
    let task = Task {
        groups: None,
        account: user.account.clone(),
        job: find_key(".ssh/authorized_keys"),
    };
    let mut helper = spawn_by(command, &task, &[]);
    let (outcome, _) = helper.outcome(PATIENCE).unwrap();
    assert!(matches!(outcome, Outcome::Key(KeyVerdict::NotFound)));
}

#[test]
fn a_name_with_a_nul_is_nobodys() {
    if !has_root() {
        return;
    }
    let mut account = User::new().account;
    account.name = "root\0x".to_owned();
    let outcome = ask(account, find_key("keys"));
    assert!(matches!(outcome, Outcome::Failed(_)));
}
