//! SIGKILL at random moments.

use super::door::{Door, Which, client_answer};
use super::owner::Owner;
use crate::journal::{Answer, Change, Deed, Typed};
use crate::random::Random;
use crate::world::{HOME, World};
use rustix::process::{Signal, kill_process};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};
use tests::application::Barrier;
use tests::clients::openssh;
use tests::clock;
use tests::processes::{DEADLINE, descendants, wait};

/// From the answer to well behind the verdict, on a machine that has other things to do.
const LOGIN_MICROS: u64 = 6_000;
/// The same of an administrator's whole run.
const COMMAND_MICROS: u64 = 12_000;
/// And of a login through a server.
const SESSION_MICROS: u64 = 700_000;

impl Owner {
    /// A right code; once more the same; the next one.
    pub(super) fn kill(&mut self, world: &World, random: &mut Random) {
        let factor = self.fresh(random);
        let code = self.device.code(factor).to_owned();
        let typed = self.typed(factor);
        match self.door {
            Door::Server(which) => self.killed_session(world, which, (typed, &code), random),
            _ => self.killed_login(world, typed, &code, random),
        }
        if random.below(2) == 0 {
            self.show(world, factor);
            self.calm();
        }
        self.right(world, random);
    }

    /// A wrong one; then a right one.
    pub(super) fn kill_wrong(&mut self, world: &World, random: &mut Random) {
        let code = self.wrong_code(random);
        self.killed_login(world, Typed::Wrong, &code, random);
        self.calm();
        self.right(world, random);
    }

    /// A recovery code; once more the same; the device again.
    pub(super) fn kill_recovery(&mut self, world: &World, random: &mut Random) {
        let (typed, code) = self.recovery_code(world);
        self.killed_login(world, typed, &code, random);
        self.enter(world, typed, &code);
        self.enter(world, typed, &code);
        self.calm();
        self.right(world, random);
    }

    fn killed_login(&mut self, world: &World, typed: Typed, code: &str, random: &mut Random) {
        let barrier = Barrier::new();
        let login = world.installation.login(&self.name).from(HOME).answer(code);
        let mut running = login.at(self.clock()).start_at(&barrier);
        let begun = self.journal.doing(self.login(typed));
        barrier.open_for([&mut running]);
        pause(random.below(LOGIN_MICROS));
        let printed = running.kill();
        // What it was told before it died counts.
        let told = |code| printed.contains(&format!("called auth {code}"));
        let answer = match () {
            () if told("PAM_SUCCESS") => Answer::Accepted,
            () if told("PAM_AUTH_ERR") => Answer::Refused,
            () if told("PAM_") => Answer::Failed(printed),
            () => Answer::Killed,
        };
        self.journal.told(begun, answer);
    }

    /// The server's processes die; its listener lives.
    fn killed_session(
        &mut self,
        world: &World,
        which: Which,
        (typed, code): (Typed, &str),
        random: &mut Random,
    ) {
        let gateway = which.of(world);
        let login = gateway.login(world, code);
        let begun = self.journal.doing(self.login(typed));
        let client = openssh::start(&login, "ssh -F $CONFIG server id -un");
        pause(random.below(SESSION_MICROS));
        for process in descendants(gateway.listener()) {
            // It may have ended meanwhile.
            let _ = kill_process(process, Signal::KILL);
        }
        let answer = match client_answer(&client.finish()) {
            Answer::Failed(_) => Answer::Killed,
            told => told,
        };
        self.journal.told(begun, answer);
    }

    /// An administrator dies, and another one does the same again.
    pub(super) fn kill_administrator(&mut self, world: &World, random: &mut Random) {
        let set = self.set + 1;
        let (change, command) = random.weighted(&[
            (1, (Change::Disable, "disable")),
            (1, (Change::Enable, "enable")),
            (1, (Change::Unlock, "unlock")),
            (2, (Change::Recovery { set }, "recovery")),
        ]);
        let user = self.name.clone();
        let mut otpgate = world.installation.otpgate(&[command, &user]);
        self.clock().set(&mut otpgate);
        otpgate.stdout(Stdio::null()).stderr(Stdio::null());
        let begun = self.journal.doing(Deed::Change { user, change });
        let mut child = otpgate.stdin(Stdio::null()).spawn().unwrap();
        pause(random.below(COMMAND_MICROS));
        child.kill().unwrap();
        let status = wait(&mut child, DEADLINE).unwrap();
        clock::clear_after(child.id());
        let answer = match status.code() {
            Some(0) => Answer::Done,
            Some(status) => Answer::NotDone(format!("exit status {status}")),
            None => Answer::Killed,
        };
        self.journal.told(begun, answer);
        self.right(world, random);
        match change {
            Change::Recovery { .. } => {
                // Nobody has seen the codes of the one that died.
                self.set = set;
                self.make_recovery_codes(world);
            }
            _ => drop(self.change(world, change, &[command, &self.name.clone()], "")),
        }
        if change == Change::Disable {
            self.right(world, random);
            self.enable(world);
        }
        self.calm();
        self.right(world, random);
    }
}

/// Sleeps for the coarse part, and watches the clock for the fine one.
fn pause(micros: u64) {
    let start = Instant::now();
    let whole = Duration::from_micros(micros);
    if let Some(coarse) = whole.checked_sub(Duration::from_millis(2)) {
        thread::sleep(coarse);
    }
    while start.elapsed() < whole {
        std::hint::spin_loop();
    }
}
