//! The monitor's table, beside a reading of it that counts by hand. A letter is a request or a reply:
//!
//! | letter | what |
//! | --- | --- |
//! | `b a e o v s g c` | begin, answer, empty answer, key offered, key verified, start, signal, connect |
//! | `Q q R A K D` | question with and without prompt, refused, accepted, key acceptable, connected |
//! | `0` to `9` | which channel |
//! | `+ -` | texts twice as long, or short again |
//! | `z` | a NUL in the next user name |

use ssh_frontend::monitor::table::Gate;
use ssh_frontend::protocol::{Program, Prompt, Question, Reply, Request};

pub fn gate(data: &[u8]) {
    let (mut gate, mut reference) = (Gate::default(), Reference::default());
    let mut pen = Pen::default();
    for letter in data {
        if let Some(reply) = pen.reply(*letter) {
            gate.sent(&reply);
            reference.sent(*letter, pen.channel);
        } else if let Some(request) = pen.request(*letter) {
            let expected = reference.admits(*letter, &pen);
            assert_eq!(gate.admit(&request).is_ok(), expected, "{request:?}");
            if !expected {
                // The connection has ended.
                return;
            }
            pen.nul = false;
        } else {
            pen.turn(*letter);
        }
    }
}

/// What the next text is like.
#[derive(Default)]
struct Pen {
    doublings: u32,
    channel: u32,
    nul: bool,
}

impl Pen {
    fn turn(&mut self, letter: u8) {
        match letter {
            b'0'..=b'9' => self.channel = u32::from(letter - b'0'),
            b'+' => self.doublings = (self.doublings + 1).min(17),
            b'-' => self.doublings = 0,
            b'z' => self.nul = true,
            _ => {}
        }
    }

    fn length(&self) -> usize {
        1 << self.doublings
    }

    fn text(&self) -> String {
        "a".repeat(self.length())
    }

    fn user(&self) -> String {
        let end = if self.nul { "\0" } else { "" };
        self.text() + end
    }

    fn request(&self, letter: u8) -> Option<Request> {
        let user = self.user();
        let (algorithm, key) = ("ssh-ed25519".to_owned(), self.text().into_bytes());
        let (session, channel, host) = (self.channel, self.channel, self.text());
        Some(match letter {
            b'b' => Request::Begin { user },
            b'a' => Request::Answer {
                answer: Some(self.text().into_bytes().into()),
            },
            b'e' => Request::Answer { answer: None },
            b'o' => Request::KeyOffered {
                user,
                algorithm,
                key,
            },
            b'v' => Request::KeyVerified {
                user,
                algorithm,
                key,
            },
            b's' => Request::Start {
                session,
                program: Program::Command(self.text().into_bytes()),
                terminal: None,
                environment: Vec::new(),
            },
            b'g' => Request::Signal {
                session,
                signal: self.text(),
            },
            b'c' => Request::Connect {
                channel,
                host,
                port: 22,
            },
            _ => return None,
        })
    }

    fn reply(&self, letter: u8) -> Option<Reply> {
        let question = |prompt| {
            let instruction = String::new();
            Reply::Question(Question {
                instruction,
                prompt,
            })
        };
        Some(match letter {
            b'Q' => question(Some(Prompt {
                text: "Verification code: ".to_owned(),
                echo: false,
            })),
            b'q' => question(None),
            b'R' => Reply::Refused {
                methods: Vec::new(),
                partial: false,
            },
            b'A' => Reply::Accepted,
            b'K' => Reply::KeyAcceptable(true),
            b'D' => Reply::Connected {
                channel: self.channel,
            },
            _ => return None,
        })
    }
}

/// The table in other words.
#[derive(Default)]
struct Reference {
    logged_in: bool,
    /// Whether a question is open, and whether it has a prompt.
    open: Option<bool>,
    begins: u32,
    offers: u32,
    verified: u32,
    answers: [u32; 2],
    before_login: u32,
    connecting: Vec<u32>,
}

impl Reference {
    fn admits(&mut self, letter: u8, pen: &Pen) -> bool {
        let fits = |most: usize| pen.length() <= most;
        let user_fits = pen.user().len() <= 256 && !pen.nul;
        if b"sgc".contains(&letter) {
            let fits = fits(if letter == b's' { 32 * 1024 } else { 255 });
            let twice = letter == b'c' && self.connecting.contains(&pen.channel);
            if letter == b'c' {
                self.connecting.push(pen.channel);
            }
            return self.logged_in && fits && !twice;
        }
        self.before_login += 1;
        let open = self.open.take();
        let allowed = match letter {
            b'b' => {
                (self.begins, self.answers) = (self.begins + 1, [0; 2]);
                self.begins <= 20 && user_fits
            }
            b'a' => {
                self.answers[0] += 1;
                open == Some(true) && self.answers[0] <= 32 && fits(512)
            }
            b'e' => {
                self.answers[1] += 1;
                open == Some(false) && self.answers[1] <= 32
            }
            b'o' => {
                self.offers += 1;
                self.offers <= 20 && user_fits && fits(8192)
            }
            _ => {
                self.verified += 1;
                self.verified <= 6 && user_fits && fits(8192)
            }
        };
        allowed && !self.logged_in && self.before_login <= 400
    }

    fn sent(&mut self, letter: u8, channel: u32) {
        match letter {
            b'A' => self.logged_in = true,
            b'D' => self.connecting.retain(|other| *other != channel),
            _ => {}
        }
        self.open = match letter {
            b'Q' => Some(true),
            b'q' => Some(false),
            _ => None,
        };
    }
}
