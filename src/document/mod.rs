//! YAML and JSON text as a tree that remembers where everything stood.
//!
//! Both the configuration file and the manifests are read through this: text becomes [`Documents`], each a
//! [`Node`] with line and column, and [`decode`] turns a node into any `serde` type while collecting the
//! fields that the type does not know. Kept apart from what the documents mean. Hostile text is bounded by
//! [`limits`]; nothing here does I/O.
//!
//! JSON is read as the YAML that it is.

mod de;
pub mod limits;
mod merge;
mod parse;
mod path;
mod scalar;
mod text;
mod tree;

pub use de::{DecodeError, Decoded, Unknown, decode, decode_strictly};
pub use parse::{Document, Documents, SyntaxError};
pub use path::Path;
pub use text::check as check_text;
pub use tree::{Duplicate, Entry, Node, Position, Scalar, Value};
