//! The tree of one document, borrowed from its text as far as possible.

use std::borrow::Cow;
use std::fmt;

/// A place in a file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// line
    pub line: u32,
    /// column, in characters
    pub column: u32,
}

impl fmt::Display for Position {
    /// `12:5`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    /// where it begins
    pub at: Position,
    /// what it is
    pub value: Value<'a>,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// text, a number, true, null …
    Scalar(Scalar<'a>),
    /// a sequence
    List(Vec<Node<'a>>),
    /// keys and values in the order of the text, each key once
    Mapping(Vec<Entry<'a>>),
}

/// A scalar before anybody asked for a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar<'a> {
    /// its text, unescaped
    pub text: Cow<'a, str>,
    /// without quotes, so that it may be something other than text
    pub plain: bool,
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// the key
    pub key: Cow<'a, str>,
    /// where the key stands
    pub at: Position,
    /// its value
    pub value: Node<'a>,
}

/// A key that stands twice in one mapping. The last one counts, as it does to an API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// the key
    pub key: String,
    /// where it stands again
    pub at: Position,
}

impl<'a> Node<'a> {
    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key, if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry<'a>> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// The text of a scalar that is not null.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether it is null, or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// Where the field stands that a path such as `spec.ports[1].port` or `metadata.labels[a.b/c]` names; if it is
    /// not there, its nearest ancestor that is.
    pub fn locate(&self, path: &str) -> Position {
        let mut node = self;
        let mut at = self.at;
        for step in steps(path) {
            let next = match &node.value {
                Value::List(items) => {
                    step.parse().ok().and_then(|index: usize| items.get(index)).map(|item| (item.at, item))
                }
                _ => node.entry(step).map(|entry| (entry.at, &entry.value)),
            };
            let Some(next) = next else { break };
            (at, node) = next;
        }
        at
    }

    /// How many values it has and how deep they nest; long texts count as several.
    pub(super) fn measure(&self) -> (usize, usize) {
        match &self.value {
            Value::Scalar(scalar) => (1 + scalar.text.len() / 32, 0),
            Value::List(items) => total(items.iter()),
            Value::Mapping(entries) => total(entries.iter().map(|entry| &entry.value)),
        }
    }
}

/// The keys and indices of a path; between brackets dots are part of a key.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('.');
        let bracketed = rest.strip_prefix('[');
        let text = bracketed.unwrap_or(rest);
        let end = text.find(if bracketed.is_some() { &[']'][..] } else { &['.', '['][..] });
        let (step, after) = text.split_at(end.unwrap_or(text.len()));
        rest = after.strip_prefix(']').unwrap_or(after);
        (!step.is_empty()).then_some(step)
    })
}

fn total<'n, 'a: 'n>(children: impl Iterator<Item = &'n Node<'a>>) -> (usize, usize) {
    let (values, depth) = children
        .map(Node::measure)
        .fold((0, 0), |(values, depth): (usize, usize), (v, d)| (values + v, depth.max(d)));
    (values + 1, depth + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_keys_indices_and_keys_with_dots() {
        let all = |path| steps(path).collect::<Vec<_>>();
        assert_eq!(all("spec.ports[1].port"), ["spec", "ports", "1", "port"]);
        assert_eq!(all("metadata.labels[a.b/c].d"), ["metadata", "labels", "a.b/c", "d"]);
        assert_eq!(all(""), [""; 0]);
    }
}
