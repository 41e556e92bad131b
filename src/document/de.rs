//! `serde` over a tree. Errors know the field and its place; fields that the type does not know are collected
//! instead of being an error, because the caller decides what to say about them.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Expected, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::path::Path;
use super::scalar::Resolved;
use super::tree::{Entry, Node, Position, Scalar, Value};

/// A field of another type than it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// `spec.ports[1].port`; empty for the document itself
    pub field: String,
    /// where its value stands
    pub at: Option<Position>,
    /// `is the text "http", and should be a whole number`
    pub message: String,
}

impl DecodeError {
    /// Adds the place, which only the innermost caller knows best.
    fn placed(mut self, path: &Path<'_>, at: Position) -> Self {
        if self.at.is_none() {
            self.at = Some(at);
            self.field = path.to_string();
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "line {}, column {}: ", at.line, at.column)?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        DecodeError { field: String::new(), at: None, message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "is {}, and should be {}",
            found_in_words(found),
            expected_in_words(expected)
        ))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

/// What stands there, in the words of who wrote it.
fn found_in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("the boolean {value}"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(text) => format!("the text {text:?}"),
        Unexpected::Unit | Unexpected::Option => "empty".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a mapping".into(),
        other => other.to_string(),
    }
}

/// serde names Rust's types.
fn expected_in_words(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a string" | "string" | "str" => "text".into(),
        "a boolean" | "bool" => "true or false".into(),
        "a sequence" => "a list".into(),
        "a map" => "a mapping".into(),
        _ if text.starts_with("struct ") => "a mapping".into(),
        _ => text,
    }
}

/// A value, and the fields of its document that its type does not know.
#[derive(Clone, Debug)]
pub struct Decoded<T> {
    /// the value
    pub value: T,
    /// the unknown fields, in the order of the text
    pub unknown: Vec<Unknown>,
}

/// A field that the type of its mapping does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// its path
    pub field: String,
    /// where its key stands
    pub at: Position,
    /// the fields that the type of its mapping does know
    pub known: &'static [&'static str],
}

/// Decodes a node by way of `read`, usually `T::deserialize`. A field that the type passes over is listed
/// unless `expected` says, from its path, that it may be there.
pub fn decode<'de, T>(
    node: &'de Node<'de>,
    expected: &dyn Fn(&Path<'_>) -> bool,
    read: impl FnOnce(NodeDeserializer<'de, '_>) -> Result<T, DecodeError>,
) -> Result<Decoded<T>, DecodeError> {
    let context = Context { expected, unknown: RefCell::default() };
    let path = Path::Root;
    let value = read(NodeDeserializer { node, key_at: node.at, path: &path, known: &[], context: &context })?;
    Ok(Decoded { value, unknown: context.unknown.into_inner() })
}

struct Context<'c> {
    expected: &'c dyn Fn(&Path<'_>) -> bool,
    unknown: RefCell<Vec<Unknown>>,
}

/// Deserializes one node.
#[derive(Clone, Copy)]
pub struct NodeDeserializer<'de, 'c> {
    node: &'de Node<'de>,
    /// where its key stands, which is where a person looks for an unknown field
    key_at: Position,
    path: &'c Path<'c>,
    /// the fields of the mapping that it stands in; of a struct that is being read, its own
    known: &'static [&'static str],
    context: &'c Context<'c>,
}

impl<'de> NodeDeserializer<'de, '_> {
    fn placed<T>(&self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|error| error.placed(self.path, self.node.at))
    }

    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Scalar(scalar) => visit_scalar(scalar, visitor),
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), index: 0, parent: self }),
            Value::Mapping(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), value: None, parent: self })
            }
        }
    }
}

fn visit_scalar<'de, V: Visitor<'de>>(scalar: &'de Scalar<'de>, visitor: V) -> Result<V::Value, DecodeError> {
    match scalar.resolve() {
        Resolved::Null => visitor.visit_unit(),
        Resolved::Bool(value) => visitor.visit_bool(value),
        Resolved::Signed(value) => visitor.visit_i64(value),
        Resolved::Unsigned(value) => visitor.visit_u64(value),
        Resolved::Float(value) => visitor.visit_f64(value),
        Resolved::Text => visitor.visit_borrowed_str(&scalar.text),
    }
}

impl<'de> Deserializer<'de> for NodeDeserializer<'de, '_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.placed(self.visit(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() { visitor.visit_none() } else { self.placed(visitor.visit_some(self)) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.as_bool().is_some() => {
                self.placed(visitor.visit_bool(scalar.as_bool().unwrap_or_default()))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.placed(visitor.visit_newtype_struct(self))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if !(self.context.expected)(self.path) {
            let unknown = Unknown { field: self.path.to_string(), at: self.key_at, known: self.known };
            self.context.unknown.borrow_mut().push(unknown);
        }
        visitor.visit_unit()
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.known = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map enum identifier
    }
}

struct Items<'de, 'c> {
    items: std::slice::Iter<'de, Node<'de>>,
    index: usize,
    parent: NodeDeserializer<'de, 'c>,
}

impl<'de> de::SeqAccess<'de> for Items<'de, '_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let path = Path::Item(self.parent.path, self.index);
        self.index += 1;
        seed.deserialize(NodeDeserializer {
            node,
            key_at: node.at,
            path: &path,
            known: &[],
            context: self.parent.context,
        })
        .map_err(|error| error.placed(&path, node.at))
        .map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'de, 'c> {
    entries: std::slice::Iter<'de, Entry<'de>>,
    value: Option<&'de Entry<'de>>,
    parent: NodeDeserializer<'de, 'c>,
}

impl<'de> de::MapAccess<'de> for Entries<'de, '_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        self.value = self.entries.next();
        let Some(entry) = self.value else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::<DecodeError>::new(&entry.key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let Some(entry) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let path = Path::Key(self.parent.path, &entry.key);
        let NodeDeserializer { known, context, .. } = self.parent;
        seed.deserialize(NodeDeserializer {
            node: &entry.value,
            key_at: entry.at,
            path: &path,
            known,
            context,
        })
        .map_err(|error| error.placed(&path, entry.value.at))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// Decodes a node whose every unread field is of interest.
pub fn decode_strictly<'de, T: Deserialize<'de>>(node: &'de Node<'de>) -> Result<Decoded<T>, DecodeError> {
    decode(node, &|_| false, |deserializer| T::deserialize(deserializer))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::document::Documents;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, rename_all = "camelCase")]
    struct Thing {
        name: String,
        ports: Vec<u16>,
        on: Option<bool>,
    }

    fn read(text: &str) -> Result<Decoded<Thing>, DecodeError> {
        let document = Documents::new(text).next().unwrap().unwrap();
        decode_strictly::<Thing>(&document.root)
    }

    #[test]
    fn decodes_and_lists_what_the_type_does_not_know() {
        let decoded = read("name: web\nports: [80, 443]\non: yes\nextra:\n  deep: 1\n").unwrap();
        let thing = Thing { name: "web".into(), ports: vec![80, 443], on: Some(true) };
        assert_eq!(decoded.value, thing);
        let at = Position { line: 4, column: 1 };
        assert_eq!(
            decoded.unknown,
            [Unknown { field: "extra".to_owned(), at, known: &["name", "ports", "on"] }]
        );
    }

    #[test]
    fn errors_name_the_field_and_its_place() {
        let error = read("name: web\nports:\n- 80\n- http\n").unwrap_err();
        assert_eq!(error.field, "ports[1]");
        assert_eq!(error.at, Some(Position { line: 4, column: 3 }));
        assert!(error.message.contains("should be a whole number"), "{error}");
    }

    #[test]
    fn null_is_none_and_a_number_is_no_text() {
        assert_eq!(read("on: null").unwrap().value.on, None);
        assert!(read("name: 80").is_err());
        assert_eq!(read("name: '80'").unwrap().value.name, "80");
    }
}
