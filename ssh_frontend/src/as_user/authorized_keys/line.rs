//! One line: options, type, key, comment.

/// The options of a line that has this key, empty if it has none. None: another key's line, a comment, or
/// nothing that can be read.
pub fn options_of<'a>(line: &'a [u8], algorithm: &str, base64: &str) -> Option<&'a [u8]> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return None;
    }
    let is_key = |rest: &[u8]| {
        let mut fields = rest
            .split(|byte| is_blank(*byte))
            .filter(|field| !field.is_empty());
        fields.next() == Some(algorithm.as_bytes()) && fields.next() == Some(base64.as_bytes())
    };
    if is_key(line) {
        return Some(&[]);
    }
    // What does not begin with the key begins with options, or is not this key's.
    let (options, rest) = line.split_at_checked(end_of_options(line))?;
    is_key(rest).then_some(options)
}

/// The first blank outside of quotes; `\"` does not end them.
fn end_of_options(line: &[u8]) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (position, byte) in line.iter().enumerate() {
        match byte {
            b'"' if !escaped => quoted = !quoted,
            byte if is_blank(*byte) && !quoted => return position,
            _ => {}
        }
        escaped = *byte == b'\\';
    }
    line.len()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
