//! Enrolment at a login against a script: three entries, one handle, and what is in the store afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod script;

use std::cell::RefCell;
use std::rc::Rc;

use otp_core::account::{Account, Token};
use otp_core::hotp::Algorithm;
use otp_core::invite::Invite;
use otp_core::key_uri::KeyUri;
use otp_core::state::State;
use otp_core::store::administration::init;
use otp_core::store::{FilesStore, Record as _, Store as _};
use otp_core::totp::{Period, UnixTime};
use otp_core::user_name::UserName;
use pam_ffi::{MessageStyle, flags};
use pam_login::account::permit;
use pam_login::authenticate::authenticate;
use pam_login::enrol::change;
use pam_login::options::Options;
use pam_login::outcome::Outcome;
use script::{Event, Script};
use tempfile::TempDir;

const NOW: UnixTime = UnixTime(1_700_000_010);
const UPDATE: u32 = flags::UPDATE_AUTHTOK | flags::CHANGE_EXPIRED_AUTHTOK;
const PRELIM: u32 = flags::PRELIM_CHECK | flags::CHANGE_EXPIRED_AUTHTOK;

/// A store, a configuration, and alice's invite; bob has none.
struct Scene {
    directory: TempDir,
    invite: String,
}

impl Scene {
    fn new(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state_dir = directory.path().join("state");
        let store = init(&state_dir).unwrap();
        let (invite, ticket) = Invite::generate(NOW.plus(3600)).unwrap();
        let alice = UserName::from("alice");
        let mut account = Account::new(&alice, NOW);
        account.invite = Some(invite);
        let state = State::new(&account);
        let administration = store.administer().unwrap();
        administration.create(&alice, account, state).unwrap();
        let text = format!("state_dir = \"{}\"\n{settings}", state_dir.display());
        std::fs::write(directory.path().join("otpgate.toml"), text).unwrap();
        Self {
            directory,
            invite: ticket.expose().to_string(),
        }
    }

    fn store(&self) -> FilesStore {
        FilesStore::open(&self.directory.path().join("state")).unwrap()
    }

    fn options(&self, line: &str) -> Options {
        let config = format!("config={}/otpgate.toml", self.directory.path().display());
        let words = line.split_whitespace().chain([config.as_str()]);
        Options::parse(words).unwrap()
    }

    fn auth(&self, line: &str, script: &mut Script) -> Outcome {
        authenticate(script, &self.options(line), false, &NOW)
    }

    fn account(&self, line: &str, script: &mut Script) -> Outcome {
        permit(script, &self.options(line))
    }

    fn password(&self, flags: u32, script: &mut Script) -> Outcome {
        change(script, &self.options("enrol"), flags, &NOW)
    }

    /// All three entries, as an application calls them.
    fn log_in(&self, script: &mut Script) -> Outcome {
        assert_eq!(self.auth("enrol", script), Outcome::AdmittedToEnrol);
        assert_eq!(self.account("enrol", script), Outcome::EnrolmentDue);
        assert_eq!(self.password(PRELIM, script), Outcome::EnrolmentReady);
        self.password(UPDATE, script)
    }

    fn devices(&self, user: &str) -> Vec<Token> {
        let record = self.store().lock(&UserName::from(user)).unwrap();
        match record.is_decoy() {
            true => Vec::new(),
            false => record.account().tokens.clone(),
        }
    }

    fn generation(&self, user: &str) -> u64 {
        let record = self.store().lock(&UserName::from(user)).unwrap();
        record.account().generation
    }

    fn ticket(&self) -> Event {
        asked(&self.invite)
    }
}

fn asked(answer: &str) -> Event {
    Event::Asked("Verification code: ", answer.into())
}

/// The key as it stands in the prompt, typed off the screen.
fn key_in(text: &str) -> String {
    let is_key = |line: &&str| {
        let mut groups = line.split_whitespace();
        groups.clone().count() == 8 && groups.all(|group| group.len() == 4)
    };
    let line = text.lines().find(is_key);
    line.unwrap_or_else(|| panic!("no key in {text:?}"))
        .replace(' ', "")
}

fn code_of(key: &str, offset: i64) -> Vec<u8> {
    code_with(key, "SHA1", 6, 30, offset)
}

fn code_with(key: &str, algorithm: &str, digits: u32, period: u32, offset: i64) -> Vec<u8> {
    let uri = format!(
        "otpauth://totp/x?secret={key}&algorithm={algorithm}&digits={digits}&period={period}"
    );
    let device = KeyUri::parse(&uri).unwrap();
    let generator = otp_core::hotp::Generator::new(&device.secret, device.algorithm, device.digits);
    let step = Period::try_from(period).unwrap().step(NOW);
    let code = generator
        .code(step.checked_add_signed(offset).unwrap())
        .expose();
    code.as_bytes().to_vec()
}

fn proves() -> Event {
    Event::Reads(Box::new(|text| Some(code_of(&key_in(text), 0))))
}

fn answers(text: &'static str, answer: &'static str) -> Event {
    Event::Reads(Box::new(move |seen| {
        assert!(seen.contains(text), "{text:?} is not in {seen:?}");
        Some(answer.into())
    }))
}

fn notes() -> Event {
    answers("recovery codes", "yes")
}

fn hangs_up() -> Event {
    Event::Reads(Box::new(|_| None))
}

fn is_told() -> Event {
    Event::Shown("Done: you are enrolled. From now on this login asks for a code of your app.")
}

#[test]
fn an_invite_a_code_and_a_yes_make_a_device() {
    let scene = Scene::new("issuer = \"Example\"\n");
    let mut script = Script::new("alice", vec![scene.ticket(), proves(), notes(), is_told()]);
    assert_eq!(scene.log_in(&mut script), Outcome::Enrolled);
    let prompt = MessageStyle::PromptEchoOn;
    let hidden = MessageStyle::PromptEchoOff;
    assert_eq!(
        script.styles,
        [hidden, prompt, prompt, MessageStyle::TextInfo]
    );
    assert_eq!(
        script.log,
        [
            "otpgate: result=accepted user=alice source=192.0.2.7 service=sshd token=invite kind=invite left=2",
            "otpgate: result=enrolled user=alice source=192.0.2.7 service=sshd token=phone kind=totp by=invite",
        ]
    );
    let devices = scene.devices("alice");
    assert_eq!(
        (devices[0].id.as_str(), devices[0].issuer.as_str()),
        ("phone", "Example")
    );
    let code = devices[0].generator().code(Period::default().step(NOW));
    let record = scene.store().lock(&UserName::from("alice")).unwrap();
    assert_eq!(
        (record.account().invite(), record.account().recovery.len()),
        (None, 10)
    );
    assert!(record.state().last_success.is_some());
    drop(record);

    // The code that proved it is used up, and so is the invite.
    for spent in [code.expose().as_str(), &scene.invite] {
        let mut script = Script::new("alice", vec![asked(spent)]);
        assert_eq!(
            scene.auth("enrol", &mut script),
            Outcome::Refused,
            "{:?}",
            script.log
        );
        assert_eq!(scene.account("enrol", &mut script), Outcome::Skipped);
    }
}

#[test]
fn the_recovery_codes_that_were_shown_are_those_that_let_in() {
    let scene = Scene::new("");
    let seen = Rc::new(RefCell::new(Vec::new()));
    let sheet = Rc::clone(&seen);
    let reads = Event::Reads(Box::new(move |text| {
        let words = text.split_whitespace().filter(|word| word.len() == 29);
        sheet.borrow_mut().extend(words.map(str::to_owned));
        Some(b" YES\r\n".to_vec())
    }));
    let mut script = Script::new("alice", vec![scene.ticket(), proves(), reads, is_told()]);
    assert_eq!(scene.log_in(&mut script), Outcome::Enrolled);
    assert_eq!(seen.borrow().len(), 10);
    for code in seen.borrow().iter().take(7) {
        let mut script = Script::new("alice", vec![asked(code)]);
        assert_eq!(scene.auth("enrol", &mut script), Outcome::Accepted);
    }
}

#[test]
fn whatever_stops_the_dialogue_leaves_nothing() {
    let off = || Event::Reads(Box::new(|text| Some(code_of(&key_in(text), 5))));
    let wrong = || answers("Code that the app shows now: ", "000000");
    for (events, reason) in [
        (vec![hangs_up()], "broken_off"),
        (vec![proves(), hangs_up()], "broken_off"),
        (
            vec![wrong(), wrong(), answers("does not belong", "not a code")],
            "not_proved",
        ),
        (
            vec![
                off(),
                answers("150 s ahead of", ""),
                answers("they have 6 digits", "1234567"),
            ],
            "not_proved",
        ),
        (
            vec![
                proves(),
                answers("yes", ""),
                answers("yes", "no"),
                answers("yes", "y\u{0}es"),
            ],
            "recovery_codes_not_noted",
        ),
        (
            vec![answers("picture", "\u{8}\n\r\u{7f}INCORRECT"), hangs_up()],
            "broken_off",
        ),
    ] {
        let scene = Scene::new("");
        let before = scene.generation("alice");
        let events = [scene.ticket()].into_iter().chain(events).collect();
        let mut script = Script::new("alice", events);
        assert_eq!(scene.log_in(&mut script), Outcome::NotEnrolled, "{reason}");
        assert!(
            script.log[1].contains(&format!(
                "result=not_enrolled user=alice source=192.0.2.7 service=sshd reason={reason}"
            )),
            "{:?}",
            script.log
        );
        assert_eq!(
            (scene.devices("alice").len(), scene.generation("alice")),
            (0, before)
        );
        // A second call in the same handle does nothing more, and an account entry that is asked again lets nobody in.
        assert_eq!(scene.password(UPDATE, &mut script), Outcome::Skipped);
        assert_eq!(scene.account("enrol", &mut script), Outcome::Denied);
    }
}

#[test]
fn after_three_dialogues_that_broke_off_the_invite_is_used_up() {
    let scene = Scene::new("");
    for _ in 0..3 {
        let mut script = Script::new("alice", vec![scene.ticket(), hangs_up()]);
        assert_eq!(scene.log_in(&mut script), Outcome::NotEnrolled);
    }
    let mut script = Script::new("alice", vec![scene.ticket()]);
    assert_eq!(scene.auth("enrol grace=8h", &mut script), Outcome::Refused);
    assert!(
        script.log[0].contains("reason=invite_used_up"),
        "{:?}",
        script.log
    );
    assert!(script.kept.is_empty());
}

#[test]
fn an_invite_is_no_grace() {
    let scene = Scene::new("");
    let mut script = Script::new("alice", vec![scene.ticket()]);
    assert_eq!(
        scene.auth("enrol grace=8h", &mut script),
        Outcome::AdmittedToEnrol
    );
    let mut script = Script::new("alice", vec![asked("000000")]);
    assert_eq!(scene.auth("enrol grace=8h", &mut script), Outcome::Refused);
}

#[test]
fn a_line_without_enrol_takes_no_invite_and_lets_nobody_pass() {
    let scene = Scene::new("");
    for line in ["", "nullok", "grace=8h"] {
        let mut script = Script::new("alice", vec![scene.ticket()]);
        assert_eq!(scene.auth(line, &mut script), Outcome::Refused, "{line}");
        assert!(
            script.log[0].ends_with("reason=invite_not_here"),
            "{:?}",
            script.log
        );
        assert_eq!(scene.account("enrol", &mut script), Outcome::Skipped);
        assert_eq!(scene.password(PRELIM, &mut script), Outcome::Skipped);
    }
}

#[test]
fn an_account_line_without_enrol_refuses_whom_the_auth_line_admitted() {
    let scene = Scene::new("");
    let mut script = Script::new("alice", vec![scene.ticket()]);
    assert_eq!(scene.auth("enrol", &mut script), Outcome::AdmittedToEnrol);
    assert_eq!(scene.account("", &mut script), Outcome::Denied);
    assert!(
        script.log[1].contains("reason=enrol_incomplete"),
        "{:?}",
        script.log
    );
    assert_eq!(
        scene.password(PRELIM, &mut script),
        Outcome::Skipped,
        "it was not asked for"
    );
}

#[test]
fn without_the_mark_of_this_user_in_this_handle_nothing_happens() {
    let scene = Scene::new("");
    // `passwd`, sudo, a login with a key: no auth entry of ours, or none with `enrol`.
    let mut script = Script::new("alice", vec![]);
    assert_eq!(scene.account("enrol", &mut script), Outcome::Skipped);
    for flags in [PRELIM, UPDATE] {
        assert_eq!(scene.password(flags, &mut script), Outcome::Skipped);
    }
    // A handle that was marked for alice, and is bob's now.
    let mut script = Script::new("alice", vec![scene.ticket()]);
    assert_eq!(scene.auth("enrol", &mut script), Outcome::AdmittedToEnrol);
    let account_entry = scene.account("enrol", &mut script);
    assert_eq!(account_entry, Outcome::EnrolmentDue);
    script.user = b"bob".to_vec();
    assert_eq!(scene.account("enrol", &mut script), Outcome::Denied);
    assert_eq!(scene.password(PRELIM, &mut script), Outcome::Skipped);
    assert_eq!(scene.password(UPDATE, &mut script), Outcome::Skipped);
    // And one in which alice tried again, and failed.
    script.user = b"alice".to_vec();
    script.events.push_back(asked("000000"));
    assert_eq!(scene.auth("enrol", &mut script), Outcome::Refused);
    assert_eq!(scene.account("enrol", &mut script), Outcome::Skipped);
    assert_eq!(scene.password(UPDATE, &mut script), Outcome::Skipped);
}

#[test]
fn of_two_dialogues_at_once_one_enrols() {
    let scene = Rc::new(Scene::new(""));
    let inner = Rc::clone(&scene);
    let meanwhile = Event::Reads(Box::new(move |_| {
        let events = vec![inner.ticket(), proves(), notes(), is_told()];
        let mut other = Script::new("alice", events);
        assert_eq!(inner.log_in(&mut other), Outcome::Enrolled);
        Some(b"yes".to_vec())
    }));
    let told = Event::Shown(
        "Nothing was stored, and the key just shown is worth nothing. Remove it from the app.",
    );
    let events = vec![scene.ticket(), proves(), meanwhile, told];
    let mut script = Script::new("alice", events);
    assert_eq!(scene.log_in(&mut script), Outcome::NotEnrolled);
    assert!(
        script.log[1].contains("reason=changed_meanwhile"),
        "{:?}",
        script.log
    );
    assert_eq!(scene.devices("alice").len(), 1);
}

#[test]
fn a_new_invite_ends_the_dialogues_of_the_old_one() {
    let scene = Rc::new(Scene::new(""));
    let inner = Rc::clone(&scene);
    let meanwhile = Event::Reads(Box::new(move |_| {
        let (invite, _) = Invite::generate(NOW.plus(3600)).unwrap();
        let store = inner.store();
        let replace = |account: &mut Account, _: &mut State| {
            account.invite = Some(invite);
            Ok(())
        };
        let alice = UserName::from("alice");
        store.administer().unwrap().update(&alice, replace).unwrap();
        Some(b"yes".to_vec())
    }));
    let told = Event::Reads(Box::new(|_| None));
    let events = vec![scene.ticket(), proves(), meanwhile, told];
    let mut script = Script::new("alice", events);
    assert_eq!(scene.log_in(&mut script), Outcome::NotEnrolled);
    assert!(scene.devices("alice").is_empty());
}

#[test]
fn silence_enrols_nobody() {
    let scene = Scene::new("");
    let mut script = Script::new("alice", vec![scene.ticket()]);
    assert_eq!(scene.auth("enrol", &mut script), Outcome::AdmittedToEnrol);
    assert_eq!(scene.account("enrol", &mut script), Outcome::EnrolmentDue);
    let outcome = scene.password(UPDATE | flags::SILENT, &mut script);
    assert_eq!(outcome, Outcome::NotEnrolled);
    assert!(scene.devices("alice").is_empty());
}

#[test]
fn an_open_rule_enrols_without_an_invite_and_only_until_its_day() {
    let rule = |rest: &str| {
        format!("[[rule]]\nfrom = [\"192.0.2.0/24\"]\nthen = \"require\"\nenrol = \"open\"\n{rest}")
    };
    for settings in [rule(""), rule("enrol_until = 2023-11-14\n")] {
        let scene = Scene::new(&settings);
        let mut script = Script::new("bob", vec![proves(), notes(), is_told()]);
        assert_eq!(scene.log_in(&mut script), Outcome::Enrolled);
        assert!(
            script.log[0]
                .ends_with("result=accepted user=bob source=192.0.2.7 service=sshd kind=open_rule"),
            "{:?}",
            script.log
        );
        assert_eq!(scene.devices("bob").len(), 1);
        let mut script = Script::new("bob", vec![asked("000000")]);
        assert_eq!(scene.auth("enrol", &mut script), Outcome::Refused, "once");
    }
    let scene = Scene::new(&rule("enrol_until = 2023-11-13\n"));
    for line in ["enrol", "enrol nullok"] {
        let mut script = Script::new("bob", vec![asked("000000")]);
        assert_eq!(scene.auth(line, &mut script), Outcome::Refused, "{line}");
    }
    let scene = Scene::new(&rule(""));
    let mut elsewhere = Script::new("bob", vec![asked("000000")]);
    elsewhere.rhost = "198.51.100.1";
    assert_eq!(scene.auth("enrol", &mut elsewhere), Outcome::Refused);
    // The invited need their invite here too, and another spelling of a name is not enrolled.
    let mut script = Script::new("alice", vec![asked("000000")]);
    assert_eq!(scene.auth("enrol", &mut script), Outcome::Refused);
    let mut script = Script::new("BOB", vec![asked("000000")]);
    assert_eq!(scene.auth("enrol", &mut script), Outcome::Refused);
}

#[test]
fn until_the_day_people_who_are_not_enrolled_get_a_notice_and_get_in() {
    let notice = Event::Shown(
        "This login wants a verification code after 2023-11-14, and you have none set up yet. Ask your administrator.",
    );
    let scene = Scene::new("enrol_until = \"2023-11-14\"\n");
    let mut script = Script::new("bob", vec![notice]);
    assert_eq!(scene.auth("", &mut script), Outcome::NotEnrolledAllowed);
    assert!(script.log[0].ends_with("result=ignored user=bob source=192.0.2.7 service=sshd reason=not_enrolled until=2023-11-14"), "{:?}", script.log);
    let quiet = scene.auth("quiet", &mut Script::new("bob", vec![]));
    assert_eq!(quiet, Outcome::NotEnrolledAllowed);
    // Somebody who is invited can enrol, and is asked for the invite.
    let mut script = Script::new("alice", vec![asked("000000")]);
    assert_eq!(scene.auth("enrol", &mut script), Outcome::Refused);
    let scene = Scene::new("enrol_until = \"2023-11-13\"\n");
    for line in ["", "nullok", "enrol"] {
        let mut script = Script::new("bob", vec![asked("000000")]);
        assert_eq!(scene.auth(line, &mut script), Outcome::Refused, "{line}");
    }
}

#[test]
fn profiles_are_offered_and_changing_one_breaks_nobody() {
    let strong = "[profile.strong]\nissuer = \"Vault\"\nalgorithm = \"sha256\"\ndigits = 8\nperiod = 60\n[profile.usual]\nissuer = \"Example\"\n";
    let scene = Scene::new(strong);
    let choice = |answer: &'static str| {
        Event::Reads(Box::new(move |text: &str| {
            assert!(
                text.contains("1  strong       Vault, sha256, 8 digits, 60 s"),
                "{text}"
            );
            assert!(
                text.contains("2  usual        Example, sha1, 6 digits, 30 s"),
                "{text}"
            );
            Some(answer.into())
        }))
    };
    let proof = Event::Reads(Box::new(|text| {
        assert!(
            text.contains("Vault: alice@host.example (sha256, 8 digits, 60 s)"),
            "{text}"
        );
        Some(code_with(&key_in(text), "SHA256", 8, 60, 0))
    }));
    let events = vec![
        scene.ticket(),
        choice("3"),
        choice("strong"),
        proof,
        notes(),
        is_told(),
    ];
    let mut script = Script::new("alice", events);
    assert_eq!(scene.log_in(&mut script), Outcome::Enrolled);
    let device = scene.devices("alice").remove(0);
    assert_eq!(
        (device.algorithm, device.digits.count()),
        (Algorithm::Sha256, 8)
    );

    let config = scene.directory.path().join("otpgate.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("sha256", "sha512")
            .replace("digits = 8", "digits = 7"),
    )
    .unwrap();
    let step = Period::try_from(60).unwrap().step(NOW) + 1;
    let code = device.generator().code(step).expose();
    let mut script = Script::new("alice", vec![asked(&code)]);
    assert_eq!(scene.auth("enrol", &mut script), Outcome::Accepted);

    let scene = Scene::new(strong);
    let events = vec![scene.ticket(), choice(""), choice("0"), choice("x")];
    let mut script = Script::new("alice", events);
    assert_eq!(scene.log_in(&mut script), Outcome::NotEnrolled);
}

#[test]
fn a_denied_user_enrols_nowhere() {
    let scene = Scene::new("[[rule]]\nusers = [\"alice\"]\nthen = \"deny\"\n");
    let mut script = Script::new("alice", vec![scene.ticket()]);
    assert_eq!(scene.auth("enrol", &mut script), Outcome::Refused);
    assert_eq!(scene.account("enrol", &mut script), Outcome::Denied);
}

/// A TOTP file as pam_google_authenticator writes it, with the RFCs' secret.
const OWN_FILE: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" TOTP_AUTH\n";

#[test]
fn an_invite_takes_the_place_of_a_file_at_home_and_an_open_rule_does_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let settings = "[[rule]]\nthen = \"require\"\nenrol = \"open\"\n";
    let scene = Scene::new(settings);
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".google_authenticator");
    std::fs::write(&file, OWN_FILE).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let code = code_of("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 0);
    let code = std::str::from_utf8(&code).unwrap();
    let at_home = |user: &str, answer: &str| {
        let mut script = Script::new(user, vec![asked(answer)]);
        script.home = home.path().to_owned();
        let outcome = scene.auth("enrol nullok", &mut script);
        assert!(script.kept.is_empty() || outcome == Outcome::AdmittedToEnrol);
        outcome
    };
    // Neither the file's code, nor nothing: an account is there, whatever nullok says.
    assert_eq!(at_home("alice", code), Outcome::Refused);
    assert_eq!(at_home("alice", "000000"), Outcome::Refused);
    assert_eq!(at_home("alice", &scene.invite), Outcome::AdmittedToEnrol);
    // Who has a file and no invite is asked for the file's code, and enrols nowhere.
    assert_eq!(at_home("bob", "000000"), Outcome::Refused);
    assert_eq!(at_home("bob", code), Outcome::Accepted);
}

#[test]
fn an_expired_invite_lets_nobody_pass_whatever_the_line_allows() {
    let scene = Scene::new("enrol_until = 2099-12-31\n");
    let later = NOW.plus(3600);
    for line in ["nullok", "enrol", "enrol nullok", "grace=8h"] {
        let mut script = Script::new("alice", vec![scene.ticket()]);
        let outcome = authenticate(&mut script, &scene.options(line), false, &later);
        assert_eq!(outcome, Outcome::Refused, "{line}");
        assert!(script.kept.is_empty());
    }
}
