//! What a plain scalar means: YAML 1.2's core schema, as far as Kubernetes objects use it.

use super::tree::Scalar;

/// A scalar's type, by its looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Resolved {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text,
}

impl Scalar<'_> {
    /// Whether it is null, or nothing at all.
    pub fn is_null(&self) -> bool {
        self.plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    pub(super) fn resolve(&self) -> Resolved {
        if !self.plain {
            return Resolved::Text;
        }
        match &*self.text {
            "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
            "true" | "True" | "TRUE" => Resolved::Bool(true),
            "false" | "False" | "FALSE" => Resolved::Bool(false),
            text => number(text).unwrap_or(Resolved::Text),
        }
    }

    /// As a truth value where one is wanted: also by the words of YAML 1.1, which Kubernetes accepts.
    pub(super) fn as_bool(&self) -> Option<bool> {
        match (self.resolve(), &*self.text) {
            (Resolved::Bool(value), _) => Some(value),
            (Resolved::Text, "yes" | "Yes" | "YES" | "on" | "On" | "ON") if self.plain => Some(true),
            (Resolved::Text, "no" | "No" | "NO" | "off" | "Off" | "OFF") if self.plain => Some(false),
            _ => None,
        }
    }
}

/// A number; digits that could be octal to one reader and decimal to another (`0120`) are none.
fn number(text: &str) -> Option<Resolved> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return u64::from_str_radix(digits, radix).ok().map(Resolved::Unsigned);
        }
    }
    if digits.len() > 1 && digits.starts_with('0') && !digits[1..].starts_with(['.', 'e', 'E']) {
        return None;
    }
    if let Ok(value) = text.parse() {
        return Some(Resolved::Signed(value));
    }
    if let Ok(value) = text.parse() {
        return Some(Resolved::Unsigned(value));
    }
    let is_float =
        digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if is_float { text.parse().ok().map(Resolved::Float) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Resolved {
        Scalar { text: text.into(), plain: true }.resolve()
    }

    #[test]
    fn plain_scalars_are_typed_by_their_looks() {
        assert_eq!(plain("80"), Resolved::Signed(80));
        assert_eq!(plain("-1"), Resolved::Signed(-1));
        assert_eq!(plain("0x50"), Resolved::Unsigned(80));
        assert_eq!(plain("0"), Resolved::Signed(0));
        assert_eq!(plain("1.5"), Resolved::Float(1.5));
        assert_eq!(plain("1e3"), Resolved::Float(1000.0));
        assert_eq!(plain("~"), Resolved::Null);
        assert_eq!(plain("TRUE"), Resolved::Bool(true));
        for text in ["10.0.0.1", "fd00::1", "0120", "10_800", "web", "1h", "-", ".", "0x", "yes", "+"] {
            assert_eq!(plain(text), Resolved::Text, "{text}");
        }
    }

    #[test]
    fn quotes_make_text() {
        assert_eq!(Scalar { text: "80".into(), plain: false }.resolve(), Resolved::Text);
        assert!(!Scalar { text: "".into(), plain: false }.is_null());
    }

    #[test]
    fn yes_and_off_are_truth_values_where_one_is_wanted() {
        assert_eq!(Scalar { text: "yes".into(), plain: true }.as_bool(), Some(true));
        assert_eq!(Scalar { text: "off".into(), plain: true }.as_bool(), Some(false));
        assert_eq!(Scalar { text: "yes".into(), plain: false }.as_bool(), None);
    }
}
