//! From text to trees, one document at a time, so that a file of 20,000 documents never stands in memory as
//! trees all at once. The builder keeps its own stack: no input makes it recurse.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag, options};

use super::tree::{Duplicate, Entry, Node, Position, Scalar, Value};
use super::{limits, merge};

/// Text that is no YAML, or more of it than we accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {message}", at.line, at.column)]
pub struct SyntaxError {
    /// where
    pub at: Position,
    /// what is wrong
    pub message: String,
}

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document<'a> {
    /// its value
    pub root: Node<'a>,
    /// keys that stood twice
    pub duplicates: Vec<Duplicate>,
}

/// The documents of a text. Empty ones, as between two `---`, are passed over; after an error there are none.
pub struct Documents<'a> {
    parser: Parser<'a, StrInput<'a>>,
    failed: bool,
}

impl<'a> Documents<'a> {
    /// Begins to read a text.
    pub fn new(text: &'a str) -> Self {
        Documents { parser: Parser::new_from_str_with_options(text, parser_options()), failed: false }
    }

    fn next_document(&mut self) -> Result<Option<Document<'a>>, SyntaxError> {
        let mut builder = Builder::default();
        for event in self.parser.by_ref() {
            let (event, span) = event.map_err(|error| scan_error(&error))?;
            if let Some(document) = builder.take(event, span)? {
                if !document.root.is_null() {
                    return Ok(Some(document));
                }
                builder = Builder::default();
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = Result<Document<'a>, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_document();
        self.failed = next.is_err();
        next.transpose()
    }
}

fn parser_options() -> Options {
    let mut options = options! {
        flow_nesting_limit: limits::DEPTH,
        block_nesting_limit: limits::DEPTH,
    };
    options.set_emit_comments(false);
    options
}

fn scan_error(error: &ScanError) -> SyntaxError {
    SyntaxError { at: position(error.marker()), message: error.info() }
}

fn position(marker: &Marker) -> Position {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: narrow(marker.line()), column: narrow(marker.col().saturating_add(1)) }
}

/// A collection that has begun and not ended.
struct Open<'a> {
    at: Position,
    anchor: usize,
    contents: Contents<'a>,
}

enum Contents<'a> {
    List(Vec<Node<'a>>),
    Mapping { entries: Vec<Entry<'a>>, key: Option<(Cow<'a, str>, Position)> },
}

#[derive(Default)]
struct Builder<'a> {
    open: Vec<Open<'a>>,
    root: Option<Node<'a>>,
    anchors: HashMap<usize, Node<'a>>,
    duplicates: Vec<Duplicate>,
    values: usize,
    copied: usize,
}

impl<'a> Builder<'a> {
    /// Takes in one event; gives the document when it was its last.
    fn take(&mut self, event: Event<'a>, span: Span) -> Result<Option<Document<'a>>, SyntaxError> {
        let at = position(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = is_plain(style, tag.as_deref());
                self.put(Node { at, value: Value::Scalar(Scalar { text, plain }) }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(at, anchor, Contents::List(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => {
                self.begin(at, anchor, Contents::Mapping { entries: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(id) => {
                let copy = self.copy(id, at)?;
                self.put(copy, 0)?;
            }
            Event::DocumentEnd => {
                let duplicates = std::mem::take(&mut self.duplicates);
                return Ok(self.root.take().map(|root| Document { root, duplicates }));
            }
            _ => {}
        }
        Ok(None)
    }

    fn begin(&mut self, at: Position, anchor: usize, contents: Contents<'a>) -> Result<(), SyntaxError> {
        self.check_depth(0, at)?;
        self.open.push(Open { at, anchor, contents });
        Ok(())
    }

    fn end(&mut self) -> Result<(), SyntaxError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.contents {
            Contents::List(items) => Value::List(items),
            Contents::Mapping { entries, .. } => {
                let mut entries = last_of_each_key(entries, &mut self.duplicates);
                let copied = merge::merge(&mut entries)?;
                self.spend(copied, open.at)?;
                Value::Mapping(entries)
            }
        };
        self.put(Node { at: open.at, value }, open.anchor)
    }

    /// Puts a finished node where it belongs.
    fn put(&mut self, node: Node<'a>, anchor: usize) -> Result<(), SyntaxError> {
        self.values += 1;
        if self.values > limits::VALUES {
            let message = format!("more than {} values in one document; split it", limits::VALUES);
            return Err(SyntaxError { at: node.at, message });
        }
        if anchor != 0 {
            self.spend(node.measure().0, node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.contents) {
            None => self.root = Some(node),
            Some(Contents::List(items)) => items.push(node),
            Some(Contents::Mapping { entries, key }) => match key.take() {
                None => *key = Some(as_key(node)?),
                Some((key, at)) => entries.push(Entry { key, at, value: node }),
            },
        }
        Ok(())
    }

    /// What an alias stands for. Where it stands is of more use to a reader than where it was written.
    fn copy(&mut self, anchor: usize, at: Position) -> Result<Node<'a>, SyntaxError> {
        let message = "an alias inside of what it refers to; write the value out".to_owned();
        let node = self.anchors.get(&anchor).ok_or(SyntaxError { at, message })?;
        let (values, depth) = node.measure();
        let copy = Node { at, value: node.value.clone() };
        self.check_depth(depth, at)?;
        self.spend(values, at)?;
        Ok(copy)
    }

    fn check_depth(&self, below: usize, at: Position) -> Result<(), SyntaxError> {
        if self.open.len() + below < limits::DEPTH {
            return Ok(());
        }
        let message = format!("nested more than {} deep; no Kubernetes object is", limits::DEPTH);
        Err(SyntaxError { at, message })
    }

    fn spend(&mut self, values: usize, at: Position) -> Result<(), SyntaxError> {
        self.copied += values;
        if self.copied <= limits::COPIED_VALUES {
            return Ok(());
        }
        let message = format!(
            "anchors and aliases copy more than {} values in this document; write them out, or split it",
            limits::COPIED_VALUES
        );
        Err(SyntaxError { at, message })
    }
}

fn is_plain(style: ScalarStyle, tag: Option<&Tag>) -> bool {
    match tag.and_then(Tag::core_suffix) {
        Some("str") => false,
        Some("int" | "bool" | "float" | "null") => true,
        _ => style == ScalarStyle::Plain,
    }
}

fn as_key(node: Node<'_>) -> Result<(Cow<'_, str>, Position), SyntaxError> {
    match node.value {
        Value::Scalar(scalar) => Ok((scalar.text, node.at)),
        Value::List(_) | Value::Mapping(_) => Err(SyntaxError {
            at: node.at,
            message: "a key must be text; if this is a template such as {{ name }}, render it first".into(),
        }),
    }
}

/// Drops all but the last entry of a key and notes the places where it stood again.
fn last_of_each_key<'a>(entries: Vec<Entry<'a>>, duplicates: &mut Vec<Duplicate>) -> Vec<Entry<'a>> {
    let mut seen: HashSet<&str> = HashSet::with_capacity(entries.len());
    let repeated: Vec<bool> = entries.iter().map(|entry| !seen.insert(&entry.key)).collect();
    if !repeated.contains(&true) {
        return entries;
    }
    let mut last: HashMap<Cow<'a, str>, usize> = HashMap::new();
    let mut kept: Vec<Entry<'a>> = Vec::with_capacity(entries.len());
    for (entry, repeated) in entries.into_iter().zip(repeated) {
        if repeated {
            duplicates.push(Duplicate { key: entry.key.to_string(), at: entry.at });
        }
        match last.get(&entry.key) {
            Some(index) => kept[*index] = entry,
            None => {
                last.insert(entry.key.clone(), kept.len());
                kept.push(entry);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests;
