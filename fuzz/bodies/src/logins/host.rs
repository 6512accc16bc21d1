//! The account, its state file, and the policy between them.

use otp_core::account::{Account, Kind, Serial, Token};
use otp_core::answer::Answer;
use otp_core::hotp::{Digits, MovingFactor};
use otp_core::matching::Reach;
use otp_core::policy::{Attempt, Parameters, Verdict, decide, in_grace};
use otp_core::secret::Secret;
use otp_core::source::Source;
use otp_core::state::State;
use otp_core::store::slots::{Current, SLOT, frame, new_file, newest};
use otp_core::totp::UnixTime;

use super::START;
use super::reference::{Reference, Seen};

/// Where the key's counter stands at its enrolment.
pub const FIRST_COUNTER: MovingFactor = 5;
const USER: &str = "alice";
/// The account, with three devices and three recovery codes.
const ACCOUNT: &str = include_str!("../../../seeds/account/alice.toml");
/// The codes that belong to the hashes in it.
const RECOVERY: [&str; 3] = [
    "01234-56789-ABCDE-FGHJK-MNPQR",
    "ZYXWV-TSRQP-NMKJH-GFEDC-BA987",
    "22222-33333-44444-55555-66666",
];

pub struct Host {
    pub now: UnixTime,
    pub logins: usize,
    account: Account,
    file: Vec<u8>,
    service: &'static str,
    parameters: Parameters,
    reference: Reference,
    enrolments: u64,
    /// So many bytes of the next commit reach the disk.
    torn_at: Option<usize>,
}

impl Host {
    pub fn new() -> Self {
        let account = Account::from_toml(ACCOUNT).expect("the seed");
        let state = State::new(&account);
        Self {
            now: START,
            logins: 0,
            file: new_file(&state, USER),
            account,
            service: "sshd",
            parameters: Parameters {
                // A fuzzer's time goes into computing codes; the rules are the same for a shorter range.
                reach: Reach {
                    hotp_resync: 30,
                    ..Reach::default()
                },
                ..Parameters::default()
            },
            reference: Reference::default(),
            enrolments: 0,
            torn_at: None,
        }
    }

    fn token(&self, id: &str) -> &Token {
        self.account.token(id).expect("the seed's three devices")
    }

    fn by_clock(&self, id: &str, offset: i64) -> String {
        let token = self.token(id);
        let Kind::Totp { period } = token.kind else {
            panic!("{id} goes by the clock");
        };
        let step = period.step(self.now).saturating_add_signed(offset);
        token.generator().code(step).expose().to_string()
    }

    pub fn phone(&self, offset: i64) -> String {
        self.by_clock("phone", offset)
    }

    pub fn tablet(&self, offset: i64) -> String {
        self.by_clock("tablet", offset)
    }

    pub fn key(&self, counter: MovingFactor) -> String {
        let code = self.token("key").generator().code(counter);
        code.expose().to_string()
    }

    pub fn recovery(&self, which: u64) -> String {
        let which = usize::try_from(which).unwrap_or_default();
        RECOVERY[which % RECOVERY.len()].to_owned()
    }

    pub fn change_service(&mut self) {
        self.service = if self.service == "sshd" {
            "sudo"
        } else {
            "sshd"
        };
    }

    pub fn lose_power(&mut self, progress: u64) {
        let bytes = usize::try_from(progress).unwrap_or_default() * 97;
        self.torn_at = Some(bytes.min(SLOT));
    }

    /// Locks, loads, decides, commits, and only then answers.
    pub fn login(&mut self, answer: Answer, text: &str, source: Source) {
        self.logins += 1;
        let old = self.load().state;
        let combined = matches!(answer, Answer::Combined(_));
        let attempt = Attempt {
            answer,
            source,
            service: self.service,
            remember: true,
            invites: true,
        };
        let (verdict, new) = decide(&self.account, &old, &attempt, self.now, &self.parameters);
        if !self.commit(&new) {
            // Nobody hears the verdict, and nothing has happened.
            return;
        }
        let seen = Seen {
            account: &self.account,
            old: &old,
            new: &new,
            text,
            combined,
            source,
            service: self.service,
            now: self.now,
            parameters: &self.parameters,
        };
        self.reference.judge(&seen, &verdict);
        self.check_grace(&new, source);
        if let Verdict::Accepted(_) = verdict {
            assert!(self.account.enabled);
        }
    }

    fn check_grace(&self, state: &State, source: Source) {
        let place = (source, self.service);
        if in_grace(&self.account, state, place, self.now, 3_600) {
            let generation = self.account.generation;
            let known = self.reference.may_be_in_grace(place, generation, self.now);
            assert!(known && self.account.enabled, "a grace without a success");
        }
    }

    fn load(&self) -> Current {
        newest(&self.file, USER).expect("the state file always opens")
    }

    /// Whether it is on the disk.
    fn commit(&mut self, state: &State) -> bool {
        let current = self.load();
        let bytes = frame(state, current.sequence + 1, USER);
        let at = usize::try_from(current.next_offset()).unwrap();
        let written = self.torn_at.take().unwrap_or(SLOT);
        self.file[at..at + written].copy_from_slice(&bytes[..written]);
        let after = self.load();
        if after.sequence == current.sequence {
            assert!(written < SLOT, "a whole commit is there");
            assert_eq!(after.state, current.state);
            return false;
        }
        assert_eq!(&after.state, state);
        true
    }

    pub fn unlock(&mut self) {
        let mut state = self.load().state;
        state.throttle.unlock();
        if self.commit(&state) {
            self.reference.unlocked();
        }
    }

    /// As administration does it: the state first, one generation ahead, then the account.
    fn change(&mut self, change: impl FnOnce(&mut Account)) {
        let mut new = self.account.clone();
        new.generation += 1;
        change(&mut new);
        let mut state = self.load().state;
        state.follow(&self.account, &new);
        state.generation = new.generation;
        if self.commit(&state) {
            self.account = new;
        }
    }

    pub fn change_something(&mut self) {
        self.change(|_| {});
    }

    pub fn disable_or_enable(&mut self) {
        self.change(|account| account.enabled = !account.enabled);
    }

    pub fn enrol_phone_anew(&mut self) {
        self.enrolments += 1;
        let number = self.enrolments;
        self.change(|account| {
            let phone = account.tokens.iter_mut().find(|token| token.id == "phone");
            let phone = phone.expect("the seed's phone");
            phone.serial = Serial(number);
            let bytes = number.to_le_bytes().repeat(3);
            phone.secret = Secret::new(bytes).expect("24 bytes");
        });
        assert_eq!(self.token("phone").digits, Digits::SIX);
    }
}
