//! The key as a picture: for a terminal, or as a file for those who enrol by mail or paper.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use pam_login::qr::{Blocks, half_blocks};
use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode};

use zeroize::Zeroizing;

use crate::error::CliError;

/// Pixels per module of a PNG: a phone reads it from a screen at arm's length.
const PIXELS: usize = 8;
/// Light modules around the code, which readers need to find it (ISO/IEC 18004 asks for four).
const QUIET: usize = 4;

/// `--qr utf8|none|FILE.png|FILE.svg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Half blocks on the terminal.
    Utf8,
    /// No picture.
    None,
    /// A PNG file.
    Png(PathBuf),
    /// An SVG file.
    Svg(PathBuf),
}

impl std::str::FromStr for Target {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match (
            text,
            Path::new(text)
                .extension()
                .and_then(|extension| extension.to_str()),
        ) {
            ("utf8", _) => Ok(Self::Utf8),
            ("none", _) => Ok(Self::None),
            (_, Some("png")) => Ok(Self::Png(text.into())),
            (_, Some("svg")) => Ok(Self::Svg(text.into())),
            _ => Err("takes utf8, none, or the name of a .png or .svg file".to_owned()),
        }
    }
}

/// The code for a terminal: two modules a character. On a terminal it brings its own colours, for a
/// code that is light on dark is one that many phones do not read.
///
/// # Errors
/// When the text is too long for any QR code.
pub fn for_terminal(text: &str) -> Result<Zeroizing<String>, CliError> {
    let picture = |blocks| half_blocks(text, QUIET, blocks).ok_or_else(too_long);
    if !io::stdout().is_terminal() {
        return picture(Blocks::Light);
    }
    let plain = picture(Blocks::Dark)?;
    let mut coloured = Zeroizing::new(String::with_capacity(plain.len() * 2));
    for (number, line) in plain.lines().enumerate() {
        if number > 0 {
            coloured.push('\n');
        }
        for part in ["\x1b[30;107m", line, "\x1b[0m"] {
            coloured.push_str(part);
        }
    }
    Ok(coloured)
}

/// Writes the code to a file that only its owner may read, and that was not there before.
///
/// # Errors
/// When the file is there already or cannot be written.
pub fn to_file(text: &str, target: &Target) -> Result<(), CliError> {
    let (path, bytes) = match target {
        Target::Utf8 | Target::None => return Ok(()),
        Target::Png(path) => (path, png(&code(text)?)?),
        Target::Svg(path) => (
            path,
            code(text)?.render::<svg::Color<'_>>().build().into_bytes(),
        ),
    };
    let fail = |error: io::Error| {
        let cure = match error.kind() {
            io::ErrorKind::AlreadyExists => "; remove it, or choose another name",
            _ => "",
        };
        CliError::new(format!("{}: {error}{cure}", path.display()))
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(fail)?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .map_err(fail)
}

/// Takes back what [`to_file`] wrote.
pub fn remove_file(target: &Target) {
    if let Target::Png(path) | Target::Svg(path) = target {
        // What cannot be removed stays readable for its owner alone.
        let _ = std::fs::remove_file(path);
    }
}

fn code(text: &str) -> Result<QrCode, CliError> {
    QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| too_long())
}

fn too_long() -> CliError {
    CliError::new("the key URI is too long for a QR code; shorten issuer or label")
}

fn png(code: &QrCode) -> Result<Vec<u8>, CliError> {
    let modules = code.width();
    let side = (modules + 2 * QUIET) * PIXELS;
    let colors = code.to_colors();
    let is_dark = |pixel_row: usize, pixel_column: usize| {
        let module = |pixel: usize| {
            (pixel / PIXELS)
                .checked_sub(QUIET)
                .filter(|module| *module < modules)
        };
        let position = module(pixel_row).zip(module(pixel_column));
        position.and_then(|(row, column)| colors.get(row * modules + column)) == Some(&Color::Dark)
    };
    let pixels: Vec<u8> = (0..side * side)
        .map(|pixel| {
            if is_dark(pixel / side, pixel % side) {
                0
            } else {
                255
            }
        })
        .collect();
    let fail = |error: png::EncodingError| CliError::new(error.to_string());
    let side = u32::try_from(side).map_err(|error| CliError::new(error.to_string()))?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(fail)?;
    writer.write_image_data(&pixels).map_err(fail)?;
    writer.finish().map_err(fail)?;
    Ok(bytes)
}
