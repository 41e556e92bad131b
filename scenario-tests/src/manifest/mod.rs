//! Builders of the objects that a scenario applies. Addresses are the plan's IPv4 text or names; objects are
//! dual-stack unless told otherwise.

mod node;
mod service;
mod slice;

use serde_json::Value;

pub use node::{node, service_cidr};
pub use service::{Service, service};
pub use slice::{Endpoint, Slice, at, slice};

/// API objects, as a cluster would serve them.
pub type Objects = Vec<Value>;

/// Objects one after the other.
pub fn all(parts: impl IntoIterator<Item = Objects>) -> Objects {
    parts.into_iter().flatten().collect()
}
