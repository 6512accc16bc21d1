//! A file of any length, a line at a time, each with its number and place; and those lines again.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt as _;

use zeroize::Zeroizing;

/// Longest line that is looked at, in bytes.
pub(super) const LONGEST: usize = 4096;

/// Reads lines.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    line: Zeroizing<Vec<u8>>,
    number: u64,
    next: u64,
}

/// A line without its end.
pub(super) struct Line<'a> {
    /// From 1.
    pub number: u64,
    /// The offset of its first byte.
    pub offset: u64,
    /// `None` for a line over [`LONGEST`].
    pub bytes: Option<&'a [u8]>,
}

impl<R: io::Read> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(1 << 16, reader),
            // All the room at once: growing would leave copies of secrets on the heap.
            line: Zeroizing::new(Vec::with_capacity(LONGEST)),
            number: 0,
            next: 0,
        }
    }

    /// The next line; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let offset = self.next;
        self.line.clear();
        let mut too_long = false;
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() && self.next == offset {
                return Ok(None);
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = buffer
                .get(..end.unwrap_or(buffer.len()))
                .unwrap_or_default();
            too_long |= self.line.len() + part.len() > LONGEST;
            if !too_long {
                self.line.extend_from_slice(part);
            }
            let taken = part.len() + usize::from(end.is_some());
            let last = end.is_some() || buffer.is_empty();
            self.reader.consume(taken);
            self.next += taken as u64;
            if last {
                break;
            }
        }
        self.number += 1;
        Ok(Some(Line {
            number: self.number,
            offset,
            bytes: (!too_long).then_some(&self.line[..]),
        }))
    }

    /// How many bytes are read.
    pub fn position(&self) -> u64 {
        self.next
    }
}

/// The line that begins at this offset. The file's own position stays where it is.
pub(super) fn line_at(file: &File, offset: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; LONGEST + 1]);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read_at(room, offset + length as u64)? {
            0 => break,
            count => length += count,
        }
    }
    let read = bytes.get(..length).unwrap_or_default();
    let end = read
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(length);
    bytes.truncate(end);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn every_line_comes_with_its_number_and_can_be_read_again() {
        let long = "x".repeat(LONGEST + 1);
        let text = format!("one\n\n{long}\nfour\r\nlast");
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut lines = Lines::new(text.as_bytes());
        for (number, expected) in [
            (1, Some("one")),
            (2, Some("")),
            (3, None),
            (4, Some("four\r")),
            (5, Some("last")),
        ] {
            let line = lines.next().unwrap().unwrap();
            assert_eq!(line.number, number);
            assert_eq!(line.bytes, expected.map(str::as_bytes));
            if let Some(expected) = expected {
                let again = line_at(&file, line.offset).unwrap();
                assert_eq!(*again, expected.as_bytes());
            }
        }
        assert!(lines.next().unwrap().is_none());
        assert_eq!(lines.position(), text.len() as u64);
    }
}
