//! What a session of otpgate-sshd is: programs with their exits, signals, streams and surroundings.

use serde_json::json;
use std::fs;
use tests::clients::openssh::{Way, script, shared, ssh};
use tests::clients::python::Python;
use tests::clients::{ClientRun, Login};
use tests::host::Host;
use tests::sandbox;

/// Runs a script of Bob's against a server with these settings, and expects it to succeed.
fn succeeds(settings: &str, run: fn(&Login, &str) -> ClientRun, text: &str) -> ClientRun {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, settings);
        let run = run(&host.login(), text);
        assert!(run.success, "{run:?}");
        run
    })
}

#[test]
fn every_exit_status_arrives() {
    let text = "
status=0
while [ $status -le 255 ]; do
    got=0
    over \"exit $status\" || got=$?
    [ $got = $status ] || { echo \"exit $status: $got\"; exit 1; }
    status=$((status + 1))
done";
    succeeds("", shared, text);
}

#[test]
fn a_program_that_a_signal_ended_is_told_with_the_signals_name() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let commands = [
            "exits",
            "kill -TERM $$",
            "kill -KILL $$",
            "kill -USR1 $$",
            "exit 3",
        ];
        let exits = python.session(&host.login(), &commands);
        let expected = json!([[-1, "TERM"], [-1, "KILL"], [-1, "USR1"], [3, null]]);
        assert_eq!(exits, expected);
    });
}

#[test]
fn a_signal_of_the_clients_reaches_the_program_and_its_children() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        // The child holds the output, and so the session, as long as it lives. It speaks itself: before
        // its exec it still has the shell's trap, and a signal that came then would be lost with it.
        let command = "trap 'echo caught; exit 4' TERM; sh -c 'echo up; exec sleep 1000' & wait";
        let run = python.session(&host.login(), &["signal", command, "TERM"]);
        assert_eq!(run, json!([4, null, "caught\n"]));
        let run = python.session(
            &host.login(),
            &["signal", "echo up; exec sleep 1000", "TERM"],
        );
        assert_eq!(run, json!([-1, "TERM", ""]));
    });
}

#[test]
fn output_goes_on_after_the_end_of_the_input() {
    let text = "
printf 'one\\ntwo\\n' > input
ssh -F $CONFIG server 'cat; echo done' < input";
    assert_eq!(succeeds("", script, text).stdout, "one\ntwo\ndone\n");
}

#[test]
fn input_goes_on_after_the_end_of_the_output() {
    let text = "
{ sleep 1; echo late; } | ssh -F $CONFIG server 'echo early; exec >&- 2>&-; cat > late'
ssh -F $CONFIG server 'cat late'";
    assert_eq!(succeeds("", script, text).stdout, "early\nlate\n");
}

#[test]
fn the_two_outputs_arrive_each_in_its_place() {
    let run = succeeds("", script, "ssh -F $CONFIG server 'echo out; echo err >&2'");
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("out\n", "err\n")
    );
}

/// OpenSSH's waits too: a script that starts a daemon must not lose what comes before it ends.
#[test]
fn a_session_ends_with_its_program_when_a_grandchild_holds_only_the_input() {
    let text = "ssh -F $CONFIG server 'setsid sleep 1000 > /dev/null 2>&1 & echo started'";
    assert_eq!(succeeds("", script, text).stdout, "started\n");
}

#[test]
fn several_sessions_share_one_connection() {
    let text = "
for n in 1 2 3 4 5; do over \"sleep 1; echo $n\" & done
wait
over 'cat > copy' < /etc/passwd
over 'cat copy' | cmp - /etc/passwd";
    let run = succeeds("", shared, text);
    let mut lines: Vec<_> = run.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1", "2", "3", "4", "5"]);
    assert_eq!(run.prompts.len(), 1, "{run:?}");
}

#[test]
fn more_sessions_than_max_sessions_are_refused_until_one_ends() {
    let text = "
holds() {
    { until [ -e enough ]; do sleep 0.1; done; echo; } |
        over \"echo $1 is there; read -r _; echo $1\" > $1
}
holds first & holds second &
until grep -q there first && grep -q there second; do sleep 0.1; done
if over 'echo third' 2> refused; then exit 1; fi
touch enough
wait
over 'echo fourth'
grep -hv there first second";
    let run = succeeds("max_sessions = 2", shared, text);
    let mut lines: Vec<_> = run.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["first", "fourth", "second"]);
}

#[test]
fn the_client_sets_only_variables_that_accept_env_names() {
    let text = "
export LC_TEST=a LANG=b SECRET=c LD_PRELOAD=
ssh -F $CONFIG -oSendEnv='LC_TEST LANG SECRET LD_PRELOAD' server 'env' > seen
grep -q '^LC_TEST=a$' seen
if grep -E '^(LANG=b|SECRET|LD_PRELOAD)' seen; then exit 1; fi";
    succeeds("accept_env = [\"LC_*\"]", script, text);
}

#[test]
fn a_session_has_the_users_environment_and_pams() {
    let run = sandbox::run(|sandbox| {
        fs::write("/etc/environment", "FROM_PAM=yes\n").unwrap();
        let host = Host::start(sandbox, "");
        let command = "echo $USER $LOGNAME $SHELL $FROM_PAM; [ $HOME = $PWD ] && [ -O . ]
            set -- $SSH_CONNECTION; echo $1 $3 $#; [ $4 = \"$SERVER_PORT\" ] || echo $4";
        let run = ssh(&host.login(), Way::Askpass, &[], command);
        assert!(run.success, "{run:?}");
        (run.stdout, host.server.port)
    });
    let expected = format!("bob bob /bin/sh yes\n127.0.0.1 127.0.0.1 4\n{}\n", run.1);
    assert_eq!(run.0, expected);
}

/// What sudo and ping need, and what nobody should find. Two signals are the C library's own: its
/// posix_spawn leaves them ignored.
#[test]
fn a_program_has_the_users_identity_and_nothing_of_the_servers() {
    let command = "id -u; id -g; id -G
grep -E '^(NoNewPrivs|Seccomp|SigBlk|CapEff|CapAmb):' /proc/self/status | tr -d '\\t'
ignored=$(sed -n 's/^SigIgn:.//p' /proc/self/status)
echo ignored: $((0x$ignored & ~0x180000000))
ls /proc/$$/fd
[ \"$(cut -d ' ' -f 6 /proc/$$/stat)\" = $$ ] && echo leads its session
cat /proc/self/oom_score_adj";
    let (run, uid) = sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let run = ssh(&host.login(), Way::Askpass, &[], command);
        assert!(run.success, "{run:?}");
        (run, host.bob.uid)
    });
    let nothing = "0000000000000000";
    let expected = format!(
        "{uid}\n{uid}\n{uid}
SigBlk:{nothing}
CapEff:{nothing}
CapAmb:{nothing}
NoNewPrivs:0
Seccomp:0
ignored: 0
0\n1\n2
leads its session
0\n"
    );
    assert_eq!(run.stdout, expected, "{run:?}");
}

/// The server's sockets, terminals and files are not for its users' programs, whatever kind of session.
#[test]
fn a_program_has_no_descriptors_but_its_own_on_a_terminal_and_in_sftp() {
    let text = "
ssh -F $CONFIG -tt server 'ls /proc/$$/fd'
echo 'ls -1 /proc/self/fd' > batch
sftp -q -F $CONFIG -oBatchMode=no -b batch server";
    let run = succeeds("", script, text);
    let shown = run.stdout.replace('\r', "");
    let words: Vec<_> = shown.split_whitespace().collect();
    // sftp-server's fourth is the directory that it lists.
    let mut expected = vec!["0", "1", "2", "sftp>", "ls", "-1", "/proc/self/fd"];
    let listed = ["0", "1", "2", "3"].map(|name| format!("/proc/self/fd/{name}"));
    expected.extend(listed.iter().map(String::as_str));
    assert_eq!(words, expected, "{run:?}");
}

#[test]
fn permit_sessions_leaves_sftp_alone() {
    let text = "
echo 'put /etc/passwd copy' > batch
sftp -F $CONFIG -oBatchMode=no -b batch server
if ssh -F $CONFIG server 'echo ran'; then exit 1; fi
if ssh -F $CONFIG -tt server; then exit 1; fi";
    let run = succeeds("permit_sessions = [\"sftp\"]", script, text);
    assert!(!run.stdout.contains("ran"), "{run:?}");
}

#[test]
fn there_is_no_other_subsystem_than_sftp() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        for name in ["../../../bin/sh", "nothing"] {
            let said = python.session(&host.login(), &["subsystem", name]);
            assert_ne!(said, json!("opened"), "{name}");
        }
        assert_eq!(
            python.session(&host.login(), &["subsystem", "sftp"]),
            json!("opened")
        );
    });
}

#[test]
fn agents_displays_and_remote_forwarding_are_left_to_openssh() {
    let text = "
if ssh -F $CONFIG -oExitOnForwardFailure=yes -R 0:127.0.0.1:1 server 'echo ran' 2> refused; then exit 1; fi
eval \"$(ssh-agent)\" > agent; trap 'kill $SSH_AGENT_PID' EXIT
ssh -F $CONFIG -A server 'echo \"agent:$SSH_AUTH_SOCK\"'
DISPLAY=:1 ssh -F $CONFIG -X server 'echo \"display:$DISPLAY\"' 2> refused";
    let run = succeeds("", script, text);
    assert_eq!(run.stdout, "agent:\ndisplay:\n");
}

#[test]
fn the_banner_is_shown_before_the_login() {
    sandbox::run(|sandbox| {
        let path = sandbox.path("banner");
        fs::write(&path, "For members only\nü\n").unwrap();
        let host = Host::start(sandbox, &format!("banner = {path:?}"));
        let login = host.login().with_password("a guess");
        let run = ssh(&login, Way::Askpass, &["-oLogLevel=INFO"], "id");
        assert!(
            !run.success && run.stderr.contains("For members only\nü\n"),
            "{run:?}"
        );
    });
}

/// PAM says that a password has expired after it was right: it has to be changed before the login.
#[test]
fn an_expired_password_is_changed_in_the_same_dialogue() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let shadow = fs::read_to_string("/etc/shadow").unwrap();
        fs::write("/etc/shadow", shadow.replace(":19000:0:", ":0:0:")).unwrap();
        let rounds = python.session(&host.login(), &["rounds"]);
        let expected = [
            "Password: ",
            "Current password: ",
            "New password: ",
            "Retype new password: ",
        ];
        let asked: Vec<_> = rounds
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|round| round[0].as_str())
            .collect();
        assert_eq!(asked, expected, "{rounds}");
        let old = ssh(&host.login(), Way::Askpass, &[], "id -un");
        assert!(!old.success, "{old:?}");
        let changed = host.login().with_password("An Entirely-New one, 42");
        let new = ssh(&changed, Way::Askpass, &[], "id -un");
        assert!(new.success, "{new:?}");
    });
}
