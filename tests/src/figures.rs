//! Figures that a run prints whether it passes or fails: they are for people, not judged.

use std::io::{self, Write};

/// Prints a line past libtest's capture.
pub fn print(line: &str) {
    // In one piece: tests run side by side.
    let line = format!("{line}\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
}
