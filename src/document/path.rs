//! The way from a document's root to one of its fields, kept on the stack while decoding.

use std::fmt;

/// One step more than its parent.
#[derive(Clone, Copy, Debug)]
pub enum Path<'p> {
    /// the document itself
    Root,
    /// a key of a mapping
    Key(&'p Path<'p>, &'p str),
    /// an item of a list
    Item(&'p Path<'p>, usize),
}

impl Path<'_> {
    /// Without the positions in lists: `spec.ports[].port`.
    pub fn shape(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Key(parent, key) => join(parent.shape(), key),
            Path::Item(parent, _) => parent.shape() + "[]",
        }
    }
}

fn join(parent: String, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { parent + "." + key }
}

impl fmt::Display for Path<'_> {
    /// `spec.ports[1].port`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
