//! QR codes as a camera sees them: half blocks on a captured screen become pixels, and zbarimg reads those.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Pixels per module.
const SCALE: usize = 6;

/// What a reader of QR codes makes of the half blocks on a screen with light letters on a dark ground.
///
/// # Panics
/// When zbarimg is missing or finds no code.
pub fn decode(screen: &str, scratch: &Path) -> String {
    let path = scratch.join("screen.pgm");
    fs::write(&path, pixels(&modules(screen))).unwrap();
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw"])
        .arg(&path)
        .output()
        .expect("zbar-tools is not installed");
    assert!(output.status.success(), "no code on this screen:\n{screen}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// The lines that hold the picture, as a person sees them.
pub fn lines(screen: &str) -> Vec<&str> {
    let is_block = |letter: char| matches!(letter, '█' | '▀' | '▄');
    let lines = screen.lines().map(|line| line.trim_end_matches('\r'));
    lines.filter(|line| line.contains(is_block)).collect()
}

/// Rows of modules; true is light.
fn modules(screen: &str) -> Vec<Vec<bool>> {
    let mut rows = Vec::new();
    for line in lines(screen) {
        for blocks in [['█', '▀'], ['█', '▄']] {
            rows.push(
                line.chars()
                    .map(|letter| blocks.contains(&letter))
                    .collect(),
            );
        }
    }
    rows
}

/// Dark around it, as the rest of the screen is.
fn pixels(rows: &[Vec<bool>]) -> Vec<u8> {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0) + 4;
    let height = rows.len() + 4;
    let mut bytes = format!("P5 {} {} 255\n", width * SCALE, height * SCALE).into_bytes();
    for y in 0..height * SCALE {
        for x in 0..width * SCALE {
            let inside = |at: usize| (at / SCALE).checked_sub(2);
            let module = inside(y)
                .zip(inside(x))
                .and_then(|(row, column)| rows.get(row)?.get(column));
            bytes.push(if module == Some(&true) { 255 } else { 0 });
        }
    }
    bytes
}
