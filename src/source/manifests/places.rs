//! Where in its file an object, or one of its fields, stands. Nobody remembers that while objects are served, where
//! memory counts: who asks reads the file once more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kube_verdict_table::objects::ObjectKey;

use super::read::{self, Attempt};
use crate::document::{self, Documents, Node, Position, Value};

/// The file of each object, and where in it the object begins.
pub type Places = BTreeMap<ObjectKey, (PathBuf, Position)>;

/// Where fields stand, each of the object that begins at a place of a file: `spec.ports[1].port`, or its nearest
/// ancestor that is there. What cannot be found is where its object begins.
pub fn locate(path: &Path, fields: &[(Position, &str)]) -> Vec<Position> {
    let mut places: Vec<Position> = fields.iter().map(|(at, _)| *at).collect();
    let Attempt::Bytes(_, bytes) = read::read(path) else { return places };
    let Ok(text) = document::check_text(&bytes) else { return places };
    for document in Documents::new(text).flatten() {
        place(&document.root, fields, &mut places);
    }
    places
}

/// Looks at a document, or an item of a list.
fn place(node: &Node<'_>, fields: &[(Position, &str)], places: &mut [Position]) {
    for ((at, field), place) in fields.iter().zip(&mut *places) {
        if *at == node.at {
            *place = node.locate(field);
        }
    }
    if let Some(Value::List(items)) = node.get("items").map(|items| &items.value) {
        items.iter().for_each(|item| self::place(item, fields, places));
    }
}
