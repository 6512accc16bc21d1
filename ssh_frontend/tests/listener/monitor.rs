//! A monitor that does what the client says.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode};

use ssh_frontend::protocol::{MonitorSetup, Progress};
use ssh_frontend::role::inherited;

/// Answers every line of the client's, until it ends. The setup is read when it is asked for.
pub fn main() -> ExitCode {
    let (connection, socket) = inherited().unwrap();
    let connection = File::from(connection);
    let mut answers = connection.try_clone().unwrap();
    for line in BufReader::new(connection).lines() {
        let Ok(line) = line else { break };
        let answer = match line.split(' ').collect::<Vec<_>>()[..] {
            ["authenticated"] => {
                socket.send(&Progress::Authenticated, &[]).unwrap();
                "sent".to_owned()
            }
            ["source", address] => {
                let source = Progress::Source(address.parse().unwrap());
                socket.send(&source, &[]).unwrap();
                "sent".to_owned()
            }
            ["nonsense"] => {
                socket.send(&[255_u8; 3], &[]).unwrap();
                "sent".to_owned()
            }
            ["setup"] => {
                let (setup, _) = socket.receive::<MonitorSetup>(0).unwrap().unwrap();
                format!(
                    "{} {} {} {} {}",
                    setup.peer,
                    setup.local,
                    setup.host_keys.len(),
                    setup.config.max_sessions,
                    setup.banner.unwrap_or_default()
                )
            }
            ["blocked"] => {
                let status = std::fs::read_to_string("/proc/self/status").unwrap();
                let line = status.lines().find(|line| line.starts_with("SigBlk"));
                line.unwrap().to_owned()
            }
            // As a PAM module may: it hangs, and nobody waits for it.
            ["helper"] => {
                #[expect(clippy::zombie_processes, reason = "this is what is tested")]
                let helper = Command::new("sleep").arg("600").spawn().unwrap();
                helper.id().to_string()
            }
            ["pid"] => std::process::id().to_string(),
            _ => "what?".to_owned(),
        };
        if writeln!(answers, "{answer}").is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}
