//! Pictures as a camera sees them: half blocks, SVG and PNG become pixels, and zbarimg reads those.

use std::fs;
use std::path::Path;

use super::tool;

/// Pixels per module.
const SCALE: usize = 6;
/// What surrounds a code on paper or on a light page.
const MARGIN: usize = 4;

/// Modules, dark or light.
pub struct Picture(Vec<Vec<bool>>);

impl Picture {
    /// The lines of half blocks in `text`. On a terminal with dark letters a block is dark; on the
    /// usual one with light letters it is light, and what is around the code is dark.
    pub fn of_half_blocks(text: &str, blocks_are_dark: bool) -> Self {
        let is_block = |letter: char| matches!(letter, '█' | '▀' | '▄');
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains(is_block))
            .collect();
        let width = lines
            .iter()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or(0);
        let mut rows = Vec::new();
        for line in lines {
            let half = |blocks: [char; 2]| {
                let letters = line.chars().chain(std::iter::repeat(' ')).take(width);
                letters
                    .map(|letter| blocks.contains(&letter) == blocks_are_dark)
                    .collect()
            };
            rows.extend([half(['█', '▀']), half(['█', '▄'])]);
        }
        Self(rows)
    }

    /// An SVG of one light rectangle and one path of dark squares `M x y h w v h ...`.
    pub fn of_svg(svg: &str) -> Self {
        let number = |text: &str| {
            text.parse::<usize>()
                .unwrap_or_else(|_| panic!("{text:?}: {svg}"))
        };
        let attribute = |name: &str| svg.split(&format!("{name}=\"")).nth(1)?.split('"').next();
        let side = number(attribute(" width").unwrap());
        assert_eq!(attribute(" height"), attribute(" width"));
        assert!(svg.contains(r##"<rect x="0" y="0""##) && svg.contains(r##"fill="#fff""##));
        let mut pixels = vec![vec![false; side]; side];
        for square in attribute(" d")
            .unwrap()
            .split('M')
            .filter(|square| !square.is_empty())
        {
            let numbers: Vec<usize> = square
                .split(|letter: char| !letter.is_ascii_digit())
                .map(number)
                .collect();
            let [x, y, width, height, ..] = numbers[..] else {
                panic!("{square}");
            };
            for row in &mut pixels[y..y + height] {
                row[x..x + width].fill(true);
            }
        }
        Self(pixels)
    }

    /// What a reader of QR codes makes of it.
    pub fn decode(&self) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("code.pgm");
        let width = self.0.iter().map(Vec::len).max().unwrap_or(0) + 2 * MARGIN;
        let height = self.0.len() + 2 * MARGIN;
        let mut bytes = format!("P5 {} {} 255\n", width * SCALE, height * SCALE).into_bytes();
        for row in 0..height * SCALE {
            for column in 0..width * SCALE {
                let module = |pixel: usize| (pixel / SCALE).checked_sub(MARGIN);
                let dark = module(row)
                    .zip(module(column))
                    .and_then(|(row, column)| self.0.get(row)?.get(column));
                bytes.push(if dark == Some(&true) { 0 } else { 255 });
            }
        }
        fs::write(&path, bytes).unwrap();
        decode_file(&path)
    }
}

/// What a reader of QR codes makes of a picture file.
pub fn decode_file(path: &Path) -> String {
    let mut zbarimg = tool("zbarimg", "zbar-tools");
    let output = zbarimg
        .args(["--quiet", "--raw"])
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "no code found: {output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}
