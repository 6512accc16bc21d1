//! QR codes as text: half blocks, two modules in each character. For the command and for the dialogue of a
//! login, which cannot know what terminal there is, if there is one at all.

use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

/// Which modules are drawn as blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// The dark ones: for dark letters on a light ground.
    Dark,
    /// The light ones: for the usual terminal, with light letters on a dark ground.
    Light,
}

/// The text as a QR code with so many light modules around it; `None` when it is too long for one. At the
/// lowest level of error correction: nothing covers a part of a screen, and each level costs lines.
#[must_use]
pub fn half_blocks(text: &str, quiet: usize, blocks: Blocks) -> Option<Zeroizing<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let colors = Zeroizing::new(dark_modules(&code));
    let width = code.width();
    let side = width + 2 * quiet;
    let is_block = |row: usize, column: usize| {
        let inside = |at: usize| at.checked_sub(quiet).filter(|at| *at < width);
        let module = inside(row)
            .zip(inside(column))
            .and_then(|(row, column)| colors.get(row * width + column));
        // Below an odd last row there is nothing, which is light.
        (module == Some(&true)) == (blocks == Blocks::Dark)
    };
    let mut picture = Zeroizing::new(String::with_capacity((side + 1) * (side / 2 + 1) * 3));
    for row in (0..side).step_by(2) {
        if row > 0 {
            picture.push('\n');
        }
        for column in 0..side {
            picture.push(match (is_block(row, column), is_block(row + 1, column)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
    }
    Some(picture)
}

fn dark_modules(code: &QrCode) -> Vec<bool> {
    let colors = code.to_colors();
    colors.iter().map(|color| *color == Color::Dark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_modules_and_its_margin() {
        let text = "otpauth://totp/Example:alice@host?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example";
        let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
        let expected = dark_modules(&code);
        for (quiet, blocks) in [(2, Blocks::Light), (4, Blocks::Dark)] {
            let picture = half_blocks(text, quiet, blocks).unwrap();
            let side = code.width() + 2 * quiet;
            let lines: Vec<Vec<char>> =
                picture.lines().map(|line| line.chars().collect()).collect();
            assert_eq!(lines.len(), side.div_ceil(2));
            for (at, dark) in expected.iter().enumerate() {
                let (row, column) = (at / code.width() + quiet, at % code.width() + quiet);
                let upper = row % 2 == 0;
                let block = match lines[row / 2][column] {
                    '█' => true,
                    '▀' => upper,
                    '▄' => !upper,
                    _ => false,
                };
                assert_eq!(block == (blocks == Blocks::Dark), *dark, "module {at}");
            }
            assert!(lines.iter().all(|line| line.len() == side));
        }
    }

    #[test]
    fn a_key_fits_a_small_terminal_and_a_novel_does_not() {
        // As the dialogue shows it, with names of some length.
        let uri = format!(
            "otpauth://totp/{0}:alice%40host.example.org?secret={1}&issuer={0}",
            "Example%20Corporation",
            "A".repeat(32)
        );
        let picture = half_blocks(&uri, 1, Blocks::Light).unwrap();
        assert!(picture.lines().count() < 24, "{}", picture.lines().count());
        assert!(picture.lines().all(|line| line.chars().count() <= 80));
        assert!(half_blocks(&"x".repeat(3000), 1, Blocks::Light).is_none());
    }
}
