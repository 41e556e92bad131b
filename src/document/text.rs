//! From a file's bytes to text that may be parsed.

use super::parse::SyntaxError;
use super::tree::Position;

/// The text of a file, or where it stops being text. A byte order mark is passed over.
pub fn check(bytes: &[u8]) -> Result<&str, SyntaxError> {
    if let Some(encoding) = foreign_encoding(bytes) {
        let message = format!("the file is {encoding}; save it as UTF-8");
        return Err(SyntaxError { at: Position { line: 1, column: 1 }, message });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| SyntaxError {
        at: position(&bytes[..error.valid_up_to()]),
        message: "this byte is not UTF-8 text; is this a binary file, or saved in another encoding?".into(),
    })?;
    match bytes.iter().position(|byte| *byte == 0) {
        None => Ok(text),
        Some(index) => Err(SyntaxError {
            at: position(&bytes[..index]),
            message: "a NUL byte; the file is damaged or was not written to its end: write it again".into(),
        }),
    }
}

fn foreign_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16 or UTF-32"),
        [0x1f, 0x8b, ..] => Some("compressed with gzip"),
        _ => None,
    }
}

/// The place just behind `before`.
fn position(before: &[u8]) -> Position {
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + String::from_utf8_lossy(&before[line_start..]).chars().count();
    Position {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_the_text_ends() {
        let error = check(b"a: 1\nb: \xff\n").unwrap_err();
        assert_eq!(error.at, Position { line: 2, column: 4 });
        let error = check(b"a: 1\n\0\0").unwrap_err();
        assert_eq!(error.at, Position { line: 2, column: 1 });
        assert!(check(b"\xff\xfea\0").unwrap_err().message.contains("UTF-16"));
    }

    #[test]
    fn byte_order_mark_is_passed_over() {
        assert_eq!(check(b"\xef\xbb\xbfa: 1").unwrap(), "a: 1");
    }
}
