//! The text of a `~/.google_authenticator`: every byte is kept, and lines are edited in place.
//!
//! The peer's own command goes on reading the file, so what is written is what the peer would write, odd
//! spacing included. Line 1 is the secret, `" KEY value` is an option, other lines are single-use codes.

use data_encoding::BASE32_NOPAD;
use sha1::{Digest, Sha1};
use zeroize::{Zeroize, Zeroizing};

use crate::secret::Secret;

/// Largest file, in bytes: the peer's limit.
pub const LARGEST: u64 = 64 * 1024;

/// A file's text. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretFile {
    text: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretFile(..)")
    }
}

/// Where a line starts, where its text ends, and where the next one starts: behind all the line ends that
/// follow, so that blank lines belong to the line above them.
#[derive(Debug, Clone, Copy)]
struct Line {
    start: usize,
    end: usize,
    next: usize,
}

impl SecretFile {
    /// Takes a file's bytes; `None` for an empty one, one over [`LARGEST`], and one with a NUL inside.
    #[must_use]
    pub fn new(text: Zeroizing<Vec<u8>>) -> Option<Self> {
        let fits = !text.is_empty() && text.len() as u64 <= LARGEST;
        (fits && !text.contains(&0)).then_some(Self { text })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }

    /// The shared secret; `None` when line 1 is not base32.
    #[must_use]
    pub fn secret(&self) -> Option<Secret> {
        let first = self.text.split(|byte| *byte == b'\n').next()?;
        let mut base32 = Zeroizing::new(Vec::with_capacity(first.len()));
        for byte in first {
            match byte {
                b' ' | b'\t' | b'\r' | b'-' => {}
                // Read off a screen: these digits are no base32.
                b'0' => base32.push(b'O'),
                b'1' => base32.push(b'L'),
                b'8' => base32.push(b'B'),
                letter => base32.push(letter.to_ascii_uppercase()),
            }
        }
        let bytes = decode(&base32)?;
        if bytes.len() > crate::secret::LONGEST_BYTES {
            // What HMAC does itself with a key longer than a block (RFC 2104 section 2).
            return Secret::new(Sha1::digest(&*bytes).to_vec()).ok();
        }
        Secret::new(bytes.to_vec()).ok()
    }

    /// Whether codes go by time. The peer looks for the words anywhere.
    #[must_use]
    pub fn is_time_based(&self) -> bool {
        let words = b"\" TOTP_AUTH";
        self.text.windows(words.len()).any(|window| window == words)
    }

    /// The value of an option's first line, without white space in front.
    #[must_use]
    pub fn option(&self, key: &str) -> Option<&[u8]> {
        let line = self.lines().find(|line| self.is_option(*line, key))?;
        let value = self.text.get(line.start + 2 + key.len()..line.end)?;
        let blanks = value.iter().take_while(|byte| is_blank(**byte)).count();
        value.get(blanks..)
    }

    /// Sets an option: its first line is replaced, further ones vanish; a new one goes behind line 1.
    pub fn set_option(&mut self, key: &str, value: &[u8]) {
        let mut line = Zeroizing::new(format!("\" {key} ").into_bytes());
        line.extend_from_slice(value);
        line.push(b'\n');
        if self.option(key).is_none() {
            let at = self.behind_the_secret();
            self.splice(at, at, &line);
            return;
        }
        // One pass: a file of nothing but doubled lines is its user's to make, and the lock is held.
        let mut text = Zeroizing::new(Vec::with_capacity(self.text.len() + line.len()));
        let mut new = Some(line);
        for old in self.lines() {
            if !self.is_option(old, key) {
                text.extend_from_slice(self.text.get(old.start..old.next).unwrap_or_default());
            } else if let Some(line) = new.take() {
                text.extend_from_slice(&line);
            }
        }
        self.text.zeroize();
        self.text = text;
    }

    /// Where a new line goes. A secret without a line end gets one: the new line would become part of it.
    fn behind_the_secret(&mut self) -> usize {
        let first = self.lines().next();
        let ended = first.is_some_and(|first| first.next > first.end);
        if !ended {
            let end = self.text.len();
            self.splice(end, end, b"\n");
        }
        self.lines().next().map_or(0, |first| first.next)
    }

    /// Takes a single-use code out, if it is there.
    pub fn use_up(&mut self, code: u32) -> bool {
        let found = self.scratch_codes().find(|found| found.code == code);
        if let Some(found) = &found {
            self.splice(found.start, found.next, b"");
        }
        found.is_some()
    }

    /// The single-use codes that count.
    pub fn single_use_codes(&self) -> impl Iterator<Item = u32> {
        self.scratch_codes().map(|found| found.code)
    }

    /// The single-use codes, up to the first line that is neither one nor an option.
    fn scratch_codes(&self) -> ScratchCodes<'_> {
        let at = self.text.iter().position(|byte| *byte == b'\n');
        ScratchCodes {
            text: &self.text,
            at: at.unwrap_or(self.text.len()),
        }
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = self.text.get(at..).filter(|rest| !rest.is_empty())?;
            let is_end = |byte: &u8| b"\r\n".contains(byte);
            let length = rest.iter().take_while(|byte| !is_end(byte)).count();
            let ends = rest.iter().skip(length).take_while(|byte| is_end(byte));
            let line = Line {
                start: at,
                end: at + length,
                next: at + length + ends.count(),
            };
            at = line.next;
            Some(line)
        })
    }

    fn is_option(&self, line: Line, key: &str) -> bool {
        let text = self.text.get(line.start..line.end).unwrap_or_default();
        let rest = text
            .strip_prefix(b"\" ")
            .and_then(|text| text.strip_prefix(key.as_bytes()));
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| is_blank(*byte)))
    }

    /// Replaces a part. Into a new buffer: growing would leave the secret behind on the heap.
    fn splice(&mut self, start: usize, end: usize, with: &[u8]) {
        let mut text = Zeroizing::new(Vec::with_capacity(self.text.len() + with.len()));
        text.extend_from_slice(self.text.get(..start).unwrap_or_default());
        text.extend_from_slice(with);
        text.extend_from_slice(self.text.get(end..).unwrap_or_default());
        self.text.zeroize();
        self.text = text;
    }
}

fn is_blank(byte: u8) -> bool {
    b" \t".contains(&byte)
}

/// Base32 without padding; bits left over at the end are dropped, however many.
fn decode(base32: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut specification = BASE32_NOPAD.specification();
    specification.check_trailing_bits = false;
    let encoding = specification.encoding().ok()?;
    // A symbol holds 5 bits: with 1, 3 or 6 behind a whole group of 8, the last one adds no byte.
    let symbols = match base32.len() % 8 {
        1 | 3 | 6 => base32.len() - 1,
        _ => base32.len(),
    };
    let (used, dropped) = base32.split_at_checked(symbols)?;
    let dropped = dropped.iter().all(|byte| BASE32_SYMBOLS.contains(byte));
    let bytes = Zeroizing::new(encoding.decode(used).ok()?);
    (dropped && !bytes.is_empty()).then_some(bytes)
}

const BASE32_SYMBOLS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

struct ScratchCode {
    code: u32,
    start: usize,
    next: usize,
}

struct ScratchCodes<'a> {
    text: &'a [u8],
    at: usize,
}

impl ScratchCodes<'_> {
    fn skip(&mut self, what: impl Fn(u8) -> bool) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| what(**byte)).count();
    }
}

impl Iterator for ScratchCodes<'_> {
    type Item = ScratchCode;

    fn next(&mut self) -> Option<ScratchCode> {
        let is_end = |byte: u8| b"\r\n".contains(&byte);
        loop {
            self.skip(is_end);
            if self.text.get(self.at) != Some(&b'"') {
                break;
            }
            self.skip(|byte| byte != b'\n');
        }
        let start = self.at;
        let rest = self.text.get(start..)?;
        let (code, length) = super::number::unsigned(rest)?;
        let behind = rest.get(length).copied();
        if behind.is_some_and(|byte| !is_end(byte)) {
            return None;
        }
        // All single-use codes have eight digits and no zero in front.
        let code = u32::try_from(code).ok();
        let code = code.filter(|code| (10_000_000..100_000_000).contains(code))?;
        self.at = start + length;
        self.skip(is_end);
        let next = self.at;
        Some(ScratchCode { code, start, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SecretFile {
        SecretFile::new(Zeroizing::new(text.into())).unwrap()
    }

    fn text(file: &SecretFile) -> &str {
        std::str::from_utf8(file.bytes()).unwrap()
    }

    #[test]
    fn a_secret_is_read_as_people_type_it() {
        let expected = file("MZXW6YTBOI\n").secret();
        assert!(expected.is_some());
        for typed in ["mzxw 6ytb-oi\n\" X", "MZXW6\tYTB0I\r\n", "MZXW6YTBOI"] {
            assert_eq!(file(typed).secret(), expected, "{typed:?}");
        }
        assert_eq!(file("0118\n").secret(), file("OLLB\n").secret());
        for wrong in ["MZXW6YTB======\n", "M\n", "\n", "MÄ\n", "9AAA\n"] {
            assert_eq!(file(wrong).secret(), None, "{wrong:?}");
        }
    }

    #[test]
    fn left_over_symbols_add_nothing() {
        assert_eq!(file("MZXW6YTBO\n").secret(), file("MZXW6YTB\n").secret());
        assert_eq!(file("MZXW6YTB7\n").secret(), file("MZXW6YTB\n").secret());
        assert_eq!(file("MZXW6YTB!\n").secret(), None);
    }

    #[test]
    fn the_first_line_of_an_option_wins_and_the_others_vanish_when_it_is_set() {
        let mut file = file("S\n\" KEYS 0\n\" KEY  1\n\n\"KEY 9\n\" KEY\t2\n12345678\n");
        assert_eq!(file.option("KEY"), Some(&b"1"[..]));
        file.set_option("KEY", b"3");
        assert_eq!(text(&file), "S\n\" KEYS 0\n\" KEY 3\n\"KEY 9\n12345678\n");
    }

    #[test]
    fn a_file_of_doubled_lines_is_rewritten_in_one_pass() {
        let doubled = "\" K\n".repeat(16_000);
        let mut file = file(&format!("S\n{doubled}12345678\n"));
        for number in 0..100_u8 {
            file.set_option("K", number.to_string().as_bytes());
        }
        assert_eq!(text(&file), "S\n\" K 99\n12345678\n");
    }

    #[test]
    fn a_new_option_goes_behind_the_secret() {
        let mut crlf = file("S\r\n12345678\r\n");
        crlf.set_option("KEY", b"1");
        assert_eq!(text(&crlf), "S\r\n\" KEY 1\n12345678\r\n");
        let mut bare = file("S");
        bare.set_option("KEY", b"1");
        assert_eq!(text(&bare), "S\n\" KEY 1\n");
    }

    #[test]
    fn a_single_use_code_is_taken_out_once_and_parsing_stops_at_the_first_odd_line() {
        let original = "S\n\" KEY 1\n12345678\n\n23456789\nodd\n34567890\n";
        let mut file = file(original);
        assert!(!file.use_up(34_567_890), "behind an odd line");
        assert!(!file.use_up(0));
        assert_eq!(text(&file), original);
        assert!(file.use_up(12_345_678));
        assert!(!file.use_up(12_345_678));
        assert_eq!(text(&file), "S\n\" KEY 1\n23456789\nodd\n34567890\n");
    }

    #[test]
    fn what_cannot_be_a_file_is_none() {
        for bytes in [vec![], vec![b'a'; 65_537], b"S\0\n".to_vec()] {
            assert!(SecretFile::new(Zeroizing::new(bytes)).is_none());
        }
        assert!(SecretFile::new(Zeroizing::new(vec![b'A'; 65_536])).is_some());
    }
}
