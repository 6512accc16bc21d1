//! Sessions on a terminal: its size, its keys, whose it is.

use std::fs;
use tests::clients::ClientRun;
use tests::clients::openssh::{Way, script, ssh, terminal};
use tests::host::Host;
use tests::sandbox;

/// Bob does these steps in a shell on a terminal.
fn on_a_terminal(steps: &str) -> ClientRun {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let run = terminal(&host.login(), &[], steps);
        assert!(run.success, "{run:?}");
        run
    })
}

#[test]
fn the_terminal_has_the_clients_size_and_follows_it() {
    on_a_terminal(
        "send \"stty size\\r\"; must {24 80\\r\\n}
        stty rows 50 columns 132 < $spawn_out(slave,name)
        sleep 1
        send \"stty size\\r\"; must {50 132\\r\\n}",
    );
}

#[test]
fn ctrl_c_ends_the_program_in_the_foreground_and_not_the_session() {
    on_a_terminal(
        "send {sh -c 'echo r\"\"uns; exec sleep 1000'; echo status=$?}; send \"\\r\"; must {runs}
        send \"\\003\"
        must {\\^C}
        send \"echo still \\$((40 + 2))\\r\"; must {still 42}",
    );
}

#[test]
fn ctrl_d_ends_the_input_of_a_program() {
    on_a_terminal("send \"wc -c\\r\"; sleep 1; send \"four\\r\\004\"; must {\\n5\\r\\n}");
}

#[test]
fn a_program_in_the_background_can_be_fetched_back() {
    on_a_terminal(
        "send {set -m; sh -c 'trap \"echo b\"\"ack\" CONT; echo r\"\"uns; while :; do sleep 0.1; done'}
        send \"\\r\"; must {runs}; send \"\\032\"; must {Stopped}
        send \"fg\\r\"; must {back}
        send \"\\003\"; must {\\^C}
        send \"echo \\$((40 + 2))\\r\"; must {42\\r\\n}",
    );
}

#[test]
fn the_terminal_is_the_users_own_and_is_called_what_the_client_says() {
    on_a_terminal(
        "send \"stat -c %U:%G:%a \\$(tty)\\r\"; must {bob:tty:620\\r\\n}
        send \"echo \\$TERM \\$SSH_TTY \\$(tty)\\r\"; must {xterm (/dev/pts/\\d+) (/dev/pts/\\d+)\\r\\n}
        if {$expect_out(1,string) ne $expect_out(2,string)} { exit 1 }",
    );
}

/// RFC 4254, section 8: the client's settings of its own terminal are carried over.
#[test]
fn the_modes_of_the_clients_terminal_are_taken_over() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let text = "exec expect -c '
            set stty_init \"intr ^G -ixon\"
            spawn -noecho ssh -F '$CONFIG' -tt server {stty -a}
            expect eof'";
        let run = script(&host.login(), text);
        assert!(
            run.stdout.contains("intr = ^G") && run.stdout.contains("-ixon"),
            "{run:?}"
        );
    });
}

#[test]
fn the_exit_status_arrives_from_a_terminal_too() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let text = "ssh -F $CONFIG -tt server 'echo last words; exit 7' || echo \"status $?\"";
        let run = script(&host.login(), text);
        let shown = run.stdout.replace('\r', "");
        assert!(
            shown.contains("last words\n") && shown.ends_with("status 7\n"),
            "{run:?}"
        );
    });
}

#[test]
fn what_pams_session_modules_say_is_shown_before_the_shell() {
    sandbox::run(|sandbox| {
        fs::write("/etc/motd", "Maintenance on Sunday\n").unwrap();
        let host = Host::start(sandbox, "");
        let run = terminal(&host.login(), &[], "");
        assert!(run.stdout.contains("Maintenance on Sunday"), "{run:?}");
        let command = ssh(&host.login(), Way::Askpass, &[], "true");
        assert!(!command.stdout.contains("Maintenance"), "{command:?}");
    });
}
