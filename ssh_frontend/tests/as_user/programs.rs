use super::*;

#[test]
fn a_command_reads_and_writes_its_three_descriptors_and_ends_with_its_status() {
    let user = User::new();
    let job = program(Some("cat; echo problem >&2; exit 7"), None);
    let ended = run(&user.account, job, "in and out");
    assert_eq!(ended.output, "in and out");
    assert_eq!(ended.error, "problem\n");
    assert_eq!(ended.status.code(), Some(7));
}

#[test]
fn without_a_command_it_is_a_login_shell() {
    let user = User::new();
    user.file(".profile", "echo profile of $0\n", 0o600);
    let mut job = program(None, None);
    if let Job::Run { environment, .. } = &mut job {
        let home = user.home.path().as_os_str().as_encoded_bytes().to_vec();
        environment.push(("HOME".to_owned(), home));
    }
    let ended = run(&user.account, job, "echo typed\n");
    assert_eq!(ended.output, "profile of -sh\ntyped\n");
    let command = run_command(&user.account, "echo $0");
    assert_eq!(command.output, "sh\n");
}

#[test]
fn the_environment_is_the_given_one_byte_for_byte() {
    let user = User::new();
    let environment = vec![
        ("ONE".to_owned(), b"a=b \xff".to_vec()),
        ("TWO".to_owned(), Vec::new()),
    ];
    let job = Job::Run {
        environment,
        // As it was handed over, before the shell added to it.
        command: Some(b"od -An -v -tx1 -w1000 /proc/$$/environ".to_vec()),
        terminal: None,
    };
    let ended = run(&user.account, job, "");
    let expected: String = b"ONE=a=b \xff\0TWO=\0"
        .iter()
        .map(|byte| format!(" {byte:02x}"))
        .collect();
    assert_eq!(ended.output.trim_end(), expected, "{}", ended.error);
}

#[test]
fn it_begins_in_the_home_and_says_so_where_it_cannot() {
    let user = User::new();
    let home = fs::canonicalize(user.home.path()).unwrap();
    let ended = run_command(&user.account, "pwd -P");
    assert_eq!(Path::new(ended.output.trim_end()), home);
    let mut account = user.account.clone();
    account.home = "/nonexistent".into();
    let ended = run_command(&account, "pwd");
    assert_eq!(ended.output, "/\n");
    let said = "Could not chdir to home directory /nonexistent: No such file or directory\n";
    assert_eq!(ended.error, said);
}

#[test]
fn a_shell_that_does_not_run_is_said_on_standard_error_with_a_status() {
    let user = User::new();
    let text = user.file("text", "no program", 0o600);
    let denied = user.file("denied", "no program", 0o000);
    let missing = user.home.path().join("missing");
    let cases = [
        (missing, 127, "No such file or directory"),
        (text, 126, "Permission denied"),
        (denied, 126, "Permission denied"),
        (PathBuf::from("/"), 126, "Permission denied"),
    ];
    for (shell, status, wording) in cases {
        let mut account = user.account.clone();
        account.shell.clone_from(&shell);
        let ended = run_command(&account, "true");
        let said = format!("{}: {wording}\n", shell.display());
        assert_eq!(ended.error, said);
        assert_eq!(ended.status.code(), Some(status), "{shell:?}");
    }
}

#[test]
fn a_shell_with_a_relative_path_is_not_looked_for() {
    let mut account = User::new().account;
    account.shell = "sh".into();
    let job = program(Some("true"), None);
    let null = fs::File::open("/dev/null").unwrap();
    let null = null.as_fd();
    let mut helper = spawn(
        &Task {
            account,
            groups: None,
            job,
        },
        &[null, null, null],
    );
    let (outcome, _) = helper.outcome(PATIENCE).unwrap();
    let Outcome::Failed(why) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("not absolute"), "{why}");
}

#[test]
fn descriptors_that_do_not_fit_the_program_are_refused() {
    let user = User::new();
    let (one, _) = io::pipe().unwrap();
    for count in 0..=2 {
        let beside = vec![one.as_fd(); count];
        let task = Task {
            groups: None,
            account: user.account.clone(),
            job: program(Some("true"), None),
        };
        let (outcome, _) = spawn(&task, &beside).outcome(PATIENCE).unwrap();
        assert!(
            matches!(outcome, Outcome::Failed(_)),
            "{count}: {outcome:?}"
        );
    }
    let task = Task {
        groups: None,
        account: user.account.clone(),
        job: program(Some("true"), Some(terminal())),
    };
    let (outcome, _) = spawn(&task, &[one.as_fd()]).outcome(PATIENCE).unwrap();
    assert!(matches!(outcome, Outcome::Failed(_)), "a pipe: {outcome:?}");
}

#[test]
fn it_leads_a_session_and_holds_no_descriptor_but_its_three() {
    let user = User::new();
    // As if a PAM module in the monitor had left something open across exec.
    let leak = fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let script = "set -- $(cat /proc/$$/stat); test $1 = $5 && test $1 = $6 && ls /proc/$$/fd";
    let ended = run_command(&user.account, script);
    drop(leak);
    assert_eq!(ended.output, "0\n1\n2\n", "{}", ended.error);
}

#[test]
fn no_signal_is_blocked_and_a_broken_pipe_ends_it() {
    let user = User::new();
    let ended = run_command(&user.account, "grep -E '^Sig(Blk|Ign)' /proc/self/status");
    let masks: Vec<&str> = ended.output.split_whitespace().collect();
    assert_eq!(masks[1], "0000000000000000");
    let ignored = u64::from_str_radix(masks[3], 16).unwrap();
    assert_eq!(ignored & (1 << (13 - 1)), 0, "SIGPIPE");
}

#[test]
fn a_program_whose_monitor_is_gone_is_not_begun() {
    let user = User::new();
    let trace = user.home.path().join("trace");
    let (ours, theirs) = Socket::pair().unwrap();
    let task = Task {
        groups: None,
        account: user.account.clone(),
        job: program(Some("touch trace"), None),
    };
    let null = fs::File::open("/dev/null").unwrap();
    let null = null.as_fd();
    ours.send(&task, &[null, null, null]).unwrap();
    drop(ours);
    let mut command = Command::new(env!("CARGO_BIN_EXE_otpgate-sshd"));
    command.arg("--role=as-user").stdin(Stdio::null());
    command.stdout(theirs.into_fd());
    let status = command.status().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(!trace.exists());
}
