//! Enrols somebody in a store of one's own, and verifies a code twice: it counts once.
//!
//!     cargo run -p examples --example verify_a_code

use std::error::Error;

use otp_core::account::{Account, Kind, Serial, Token};
use otp_core::answer::Answer;
use otp_core::clock::{Clock as _, SystemClock};
use otp_core::hotp::{Algorithm, Digits};
use otp_core::policy::{Attempt, Parameters, Verdict};
use otp_core::secret::Secret;
use otp_core::source::Origin;
use otp_core::state::State;
use otp_core::store::administration::init;
use otp_core::totp::Period;
use otp_core::user_name::UserName;
use otp_core::verifier::Verifier;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = init(&directory.path().join("store"))?;

    let alice = UserName::from("alice");
    let now = SystemClock.now();
    let phone = Token {
        id: "phone".to_owned(),
        serial: Serial::generate()?,
        kind: Kind::Totp {
            period: Period::default(),
        },
        secret: Secret::generate()?,
        algorithm: Algorithm::Sha1,
        digits: Digits::SIX,
        label: "alice@example.org".to_owned(),
        issuer: "Example".to_owned(),
        created: now,
        services: None,
        enabled: true,
    };
    println!("For the phone: {}", *phone.key_uri().expose());
    let code = phone.generator().code(Period::default().step(now)).expose();

    let mut account = Account::new(&alice, now);
    account.tokens.push(phone);
    let state = State::new(&account);
    store.administer()?.create(&alice, account, state)?;

    let parameters = Parameters::default();
    let verifier = Verifier::new(&store, &parameters);
    let attempt = Attempt {
        answer: Answer::parse(Some(code.as_bytes()), None),
        source: Origin::Local.source(),
        service: "example",
        remember: false,
        invites: false,
    };
    for time in ["first", "second"] {
        match verifier.verify(&alice, &attempt, &SystemClock)? {
            Verdict::Accepted(accepted) => {
                println!("The {time} time: accepted, {:?}", accepted.proof)
            }
            Verdict::Refused(refusal) => println!("The {time} time: refused, {}", refusal.reason()),
        }
    }
    Ok(())
}
