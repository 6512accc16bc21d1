//! The walk through a stack agrees with libpam itself: 400 stacks made at random, each with libpam's own two answers.
// clippy.toml allows these in test functions, but not in what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;

use admin_cli::host::pam_library::Library;
use admin_cli::host::pam_walk::{is_ours, walk};
use admin_cli::host::pamd::Kind;

struct Case {
    name: String,
    files: BTreeMap<String, String>,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut file = String::new();
    for line in include_str!("fixtures/libpam_verdicts.txt").lines().skip(2) {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case {
                name: name.to_owned(),
                files: BTreeMap::new(),
            });
        } else if let Some(name) = line.strip_prefix("--- ") {
            file = name.to_owned();
            cases
                .last_mut()
                .unwrap()
                .files
                .insert(file.clone(), String::new());
        } else {
            let case = cases.last_mut().unwrap();
            let text = case.files.get_mut(&file).unwrap();
            text.push_str(line);
            text.push('\n');
        }
    }
    cases
}

#[test]
fn the_walk_agrees_with_libpam() {
    let cases = cases();
    assert_eq!(cases.len(), 400);
    let (mut judged, mut wrong) = (0, Vec::new());
    for case in &cases {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in &case.files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let library = Library::new(&[directory.path().to_owned()]);
        let steps = library.stack("main", Kind::Auth).steps;
        // Some stacks never include the file that our line stands in; there is nothing to say about them.
        if !steps.iter().any(is_ours) {
            continue;
        }
        judged += 1;
        let ways = walk(&steps, Kind::Auth);
        let round = !ways.round.is_empty();
        let accept = case.name.contains("accept:success");
        let refuse = case.name.contains("refuse:success");
        if (ways.accepted || round) != accept || (ways.despite_refusal || round) != refuse {
            wrong.push(format!("{}: {ways:?} {:#?}", case.name, case.files));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {judged} differ: {}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(judged > 350, "{judged}");
}
