//! Every target over everything it begins with: no nightly toolchain, no fuzzer, no chance.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fuzz_bodies::{TARGETS, run};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn names_in(directory: &Path) -> BTreeSet<String> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn no_target_finds_anything_in_its_seeds() {
    for (target, _) in TARGETS {
        let seeds = fuzz().join("seeds").join(target);
        let names = names_in(&seeds);
        assert!(!names.is_empty(), "{target} has no seeds");
        for name in names {
            println!("{target}: {name}");
            run(target, &fs::read(seeds.join(name)).unwrap());
        }
        run(target, b"");
    }
}

#[test]
fn each_target_has_its_program_and_each_program_its_target() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let programs = names_in(&fuzz().join("fuzz_targets"));
    let programs: BTreeSet<String> = programs
        .iter()
        .filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned()))
        .collect();
    assert_eq!(programs, targets);
    assert_eq!(names_in(&fuzz().join("seeds")), targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let text = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(
            text.contains(&format!("fuzz_bodies::run(\"{name}\", data)")),
            "{name}"
        );
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
}
