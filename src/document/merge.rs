//! YAML's merge key: `<<: *base` takes over what the mapping does not say itself.

use std::collections::HashSet;

use super::parse::SyntaxError;
use super::tree::{Entry, Node, Value};

const KEY: &str = "<<";

/// Resolves a merge key, if there is one. Gives the number of values taken over.
pub(super) fn merge(entries: &mut Vec<Entry<'_>>) -> Result<usize, SyntaxError> {
    let Some(index) = entries.iter().position(|entry| entry.key == KEY) else { return Ok(0) };
    let merged = entries.remove(index).value;
    let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.to_string()).collect();
    let mut copied = 0;
    for source in sources(merged)? {
        for entry in source {
            if known.insert(entry.key.to_string()) {
                copied += entry.value.measure().0;
                entries.push(entry);
            }
        }
    }
    Ok(copied)
}

/// The mappings that a merge key names: one, or a list of them.
fn sources(node: Node<'_>) -> Result<Vec<Vec<Entry<'_>>>, SyntaxError> {
    let nodes = match node.value {
        Value::List(items) => items,
        _ => vec![node],
    };
    nodes
        .into_iter()
        .map(|node| match node.value {
            Value::Mapping(entries) => Ok(entries),
            _ => Err(SyntaxError { at: node.at, message: "<< needs a mapping, or a list of them".into() }),
        })
        .collect()
}
