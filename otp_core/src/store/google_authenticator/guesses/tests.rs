use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::super::tests::Scene;
use super::*;

const HOME: Source = Source::V4(1);
const AWAY: Source = Source::V4(2);
const NOW: UnixTime = UnixTime(1_700_000_000);
const ACCEPTED: Verdict = Verdict::Accepted {
    proof: super::super::decide::Proof::Totp,
    length: 6,
};
const WRONG: Verdict = Verdict::Refused(Refusal::Wrong);

struct Desk {
    state_dir: TempDir,
    alice: UserName,
    limits: Limits,
}

impl Desk {
    fn new() -> Self {
        let state_dir = tempfile::tempdir().unwrap();
        fs::set_permissions(state_dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self {
            state_dir,
            alice: UserName::from("alice"),
            limits: Limits::default(),
        }
    }

    fn guard(&self, source: Source) -> Guard<'_> {
        Guard {
            state_dir: self.state_dir.path(),
            user: &self.alice,
            source,
            limits: &self.limits,
        }
    }

    fn guesses(&self) -> Guesses {
        Guesses::open(self.state_dir.path()).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.state_dir.path().join("own_files/alice")
    }

    /// What an attempt of this outcome meets.
    fn attempt(&self, source: Source, verdict: Verdict, now: UnixTime) -> Result<u16, Refusal> {
        let (guesses, guard) = (self.guesses(), self.guard(source));
        let mut record = guesses.lock("alice").unwrap();
        let admitted = record.admit(&guard, now);
        if admitted.is_ok() {
            record.count(&guard, verdict, 1, now);
        }
        record.commit().unwrap();
        admitted
    }
}

#[test]
fn rfc_4226_7_3_guesses_wait_as_for_those_who_are_enrolled() {
    let desk = Desk::new();
    for _ in 0..4 {
        assert!(desk.attempt(AWAY, WRONG, NOW).is_ok());
    }
    let until = NOW.plus(5);
    let waits = Err(Refusal::Throttled { until });
    assert_eq!(desk.attempt(AWAY, ACCEPTED, NOW), waits);
    assert_eq!(desk.attempt(AWAY, WRONG, until), Ok(86));
}

#[test]
fn a_flood_from_elsewhere_leaves_the_owner_their_allowance() {
    let desk = Desk::new();
    desk.attempt(HOME, ACCEPTED, NOW).unwrap();
    let mut now = NOW;
    let mut evaluated = 0;
    while desk.attempt(AWAY, WRONG, now) != Err(Refusal::Locked) {
        evaluated += 1;
        now = now.plus(901);
    }
    assert_eq!(evaluated, 90);
    assert_eq!(desk.attempt(HOME, ACCEPTED, now), Ok(10));
    assert!(desk.guesses().know(&desk.alice, HOME, now));
    assert!(!desk.guesses().know(&desk.alice, AWAY, now));
}

#[test]
fn what_is_no_guess_is_not_counted() {
    let desk = Desk::new();
    for refusal in [
        Refusal::Replayed,
        Refusal::LastCode,
        Refusal::RateLimited,
        Refusal::NotRecorded,
        Refusal::BadOption("WINDOW_SIZE"),
    ] {
        desk.attempt(AWAY, Verdict::Refused(refusal), NOW).unwrap();
    }
    let state = desk.guesses().state(&desk.alice).unwrap().unwrap();
    assert_eq!(state.throttle.failures(), 0);
    assert_eq!(state.last_failure, None);
}

#[test]
fn a_record_is_made_once_and_overwritten_in_place() {
    let desk = Desk::new();
    assert_eq!(desk.guesses().state(&desk.alice).unwrap(), None);
    // What a killed login left is in nobody's way.
    fs::write(desk.state_dir.path().join("own_files/alice~new"), "half").unwrap();
    desk.attempt(AWAY, WRONG, NOW).unwrap();
    let inode = |desk: &Desk| fs::metadata(desk.file()).unwrap().ino();
    let first = inode(&desk);
    desk.attempt(AWAY, WRONG, NOW).unwrap();
    assert_eq!(inode(&desk), first);
    let names = fs::read_dir(desk.file().parent().unwrap()).unwrap();
    assert_eq!(names.count(), 1);
    assert_eq!(fs::metadata(desk.file()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_damaged_record_lets_nobody_in_until_it_is_made_anew() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("truncated", |path| fs::write(path, "short").unwrap()),
        ("garbage", |path| fs::write(path, vec![7; 8192]).unwrap()),
        ("grown", |path| fs::write(path, vec![7; 8193]).unwrap()),
        ("open to others", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("a link", |path| {
            fs::remove_file(path).unwrap();
            symlink("/etc/passwd", path).unwrap();
        }),
    ];
    for (name, damage) in damages {
        let desk = Desk::new();
        desk.attempt(AWAY, WRONG, NOW).unwrap();
        damage(&desk.file());
        let error = desk.guesses().lock("alice").map(drop).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("otpgate unlock USER"), "{name}: {text}");
        assert_eq!(desk.guesses().unlock(&desk.alice).unwrap(), Some(0));
        assert!(desk.attempt(AWAY, WRONG, NOW).is_ok(), "{name}");
    }
}

#[test]
fn unlock_forgets_failures_and_keeps_known_sources() {
    let desk = Desk::new();
    assert_eq!(desk.guesses().unlock(&desk.alice).unwrap(), None);
    desk.attempt(HOME, ACCEPTED, NOW).unwrap();
    for _ in 0..4 {
        desk.attempt(AWAY, WRONG, NOW).unwrap();
    }
    assert_eq!(desk.guesses().unlock(&desk.alice).unwrap(), Some(4));
    assert!(desk.attempt(AWAY, WRONG, NOW).is_ok());
    assert!(desk.guesses().know(&desk.alice, HOME, NOW));
}

#[test]
fn a_right_code_is_not_used_up_while_its_source_waits() {
    let scene = Scene::new();
    for _ in 0..4 {
        let refused = scene.settle(b"000000").unwrap();
        assert_eq!(refused.verdict, WRONG);
    }
    let refused = scene.settle(super::super::tests::CODE).unwrap();
    assert!(matches!(
        refused.verdict,
        Verdict::Refused(Refusal::Throttled { .. })
    ));
    assert!(!refused.replaced);
}
