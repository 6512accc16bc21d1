//! Where cargo leaves what it builds.

use std::env;
use std::path::PathBuf;

/// Cargo's target directory: the nearest one above this test program that cargo has tagged, as it does
/// with those that it makes itself, or that has a release build.
pub fn target_directory() -> PathBuf {
    let program = env::current_exe().unwrap();
    let tagged = program.ancestors().find(|directory| {
        let has = |name| directory.join(name).exists();
        has("CACHEDIR.TAG") || has("release")
    });
    tagged
        .expect("the test program lies in a cargo target directory")
        .to_owned()
}

/// The file `name` that `cargo build --release` made, or what the environment variable names instead.
///
/// # Panics
/// When it is not there.
pub fn release(variable: &str, name: &str) -> PathBuf {
    let built = || target_directory().join("release").join(name);
    let path = env::var_os(variable).map_or_else(built, PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: run `make test`, or name another with {variable}",
        path.display()
    );
    path.canonicalize().unwrap()
}
