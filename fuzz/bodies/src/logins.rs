//! Logins in any order: an account, its state file, a clock that jumps, and everybody who may come; held
//! against a reference model that knows nothing of slots, watermarks or buckets.
//!
//! A letter is a step. Who comes, and when:
//!
//! | letters | what |
//! | --- | --- |
//! | `h a i l o`, `0` to `9`, `y` | from home, away, an IPv6 network, a terminal, nowhere known, ten more places, yet another place |
//! | `S` | another PAM service, and back |
//! | `t T m W d D }` | a second, a step, 5 minutes, the longest wait, a day, 31 days, 10 years later |
//! | `( [ {` | an hour, a day, 10 years earlier |
//! | `+ - * / =` | the next code is one or five positions further, or earlier, or right again |
//!
//! What they type, and what administrators do:
//!
//! | letters | what |
//! | --- | --- |
//! | `p k P` | the phone's code, the key's next one, the tablet's |
//! | `x` | what was typed last |
//! | `r` | a recovery code: which one, the offset says |
//! | `w u e c` | a wrong code, nonsense, nothing, control bytes |
//! | `C X` | a password with the phone's code, or with what was typed last, behind it |
//! | `F` | ten wrong codes, each after the longest wait |
//! | `U n g z` | unlock, enrol the phone anew, any other change, disable or enable |
//! | `!` | the power goes while the next login is written; the offset says when |

mod host;
mod reference;

use otp_core::answer::Answer;
use otp_core::hotp::MovingFactor;
use otp_core::source::Source;
use otp_core::totp::UnixTime;

use host::Host;

/// Most steps of a run, and most logins.
const MOST_STEPS: usize = 400;
const MOST_LOGINS: usize = 600;

pub fn logins(data: &[u8]) {
    let mut scene = Scene::new();
    for letter in data.iter().take(MOST_STEPS) {
        scene.step(*letter);
        if scene.host.logins >= MOST_LOGINS {
            return;
        }
    }
}

struct Scene {
    host: Host,
    source: Source,
    offset: i64,
    /// The button of the key was pressed so often.
    pressed: MovingFactor,
    last: String,
    another: u32,
}

impl Scene {
    fn new() -> Self {
        Self {
            host: Host::new(),
            source: place(0),
            offset: 0,
            pressed: host::FIRST_COUNTER,
            last: "000000".to_owned(),
            another: 1_000,
        }
    }

    fn step(&mut self, letter: u8) {
        match letter {
            b'h' => self.source = place(0),
            b'a' => self.source = place(100),
            b'i' => self.source = Source::V6Net(0x2001_0db8_0000_0001),
            b'l' => self.source = Source::Local,
            b'o' => self.source = Source::Opaque,
            b'0'..=b'9' => self.source = place(u32::from(letter)),
            b'y' => {
                self.another += 1;
                self.source = place(self.another);
            }
            b'S' => self.host.change_service(),
            b'+' | b'*' => self.offset += if letter == b'+' { 1 } else { 5 },
            b'-' | b'/' => self.offset -= if letter == b'-' { 1 } else { 5 },
            b'=' => self.offset = 0,
            b'U' => self.host.unlock(),
            b'n' => self.host.enrol_phone_anew(),
            b'g' => self.host.change_something(),
            b'z' => self.host.disable_or_enable(),
            b'!' => self.host.lose_power(self.offset.unsigned_abs()),
            _ => self.clock_or_login(letter),
        }
    }

    fn clock_or_login(&mut self, letter: u8) {
        const DAY: u64 = 86_400;
        let now = &mut self.host.now;
        match letter {
            b't' => now.0 += 1,
            b'T' => now.0 += 30,
            b'm' => now.0 += 300,
            b'W' => now.0 += 901,
            b'd' => now.0 += DAY,
            b'D' => now.0 += 31 * DAY,
            b'}' => now.0 += 3_650 * DAY,
            b'(' => now.0 = now.0.saturating_sub(3_600),
            b'[' => now.0 = now.0.saturating_sub(DAY),
            b'{' => now.0 = now.0.saturating_sub(3_650 * DAY),
            _ => self.login(letter),
        }
    }

    fn login(&mut self, letter: u8) {
        match letter {
            b'p' => self.type_in(self.host.phone(self.offset)),
            b'P' => self.type_in(self.host.tablet(self.offset)),
            b'k' => {
                let position = self.pressed.saturating_add_signed(self.offset);
                self.pressed = self.pressed.max(position + 1);
                self.type_in(self.host.key(position));
            }
            b'r' => self.type_in(self.host.recovery(self.offset.unsigned_abs())),
            b'w' => self.type_in("918273".to_owned()),
            b'x' => self.type_in(self.last.clone()),
            b'u' => self.answer("nonsense"),
            b'e' => self.answer("  "),
            b'c' => self.answer("\u{8}\n\r\u{7f}INCORRECT"),
            b'C' => self.combined(&self.host.phone(self.offset)),
            b'X' => self.combined(&self.last.clone()),
            b'F' => {
                for _ in 0..10 {
                    self.host.now = self.host.now.plus(901);
                    self.type_in("918273".to_owned());
                }
            }
            _ => {}
        }
    }

    fn type_in(&mut self, text: String) {
        self.answer(&text);
        self.last = text;
    }

    fn answer(&mut self, text: &str) {
        let answer = Answer::parse(Some(text.as_bytes()), None);
        self.host.login(answer, text, self.source);
    }

    fn combined(&mut self, text: &str) {
        let typed = format!("pass word{text}");
        let answer = Answer::parse_combined(Some(typed.as_bytes()));
        self.host.login(answer, text, self.source);
    }
}

fn place(number: u32) -> Source {
    Source::V4(0xc000_0200 + number)
}

const START: UnixTime = UnixTime(1_700_000_010);
