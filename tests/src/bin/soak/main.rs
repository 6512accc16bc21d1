//! `make soak`: many processes log in, in all ways that go right and wrong, for an hour; then a checker goes
//! through what everybody wrote down, and says whether the promises held.
//!
//! What is done is drawn from a seed; who comes first is up to the kernel, so one seed names one
//! programme and many races. `soak check DIRECTORY` judges journals that an earlier run kept.

mod check;
mod crew;
mod figures;
mod host;
mod journal;
mod plan;
mod random;
mod run;
mod world;

use std::env;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => run::soak(&plan::Plan::from_environment()),
        ["check", directory] => run::judge(Path::new(directory)),
        [host::ROLE, confdir, service] => host::serve(Path::new(confdir), service),
        _ => {
            eprintln!("soak, or soak check DIRECTORY");
            ExitCode::from(2)
        }
    }
}
