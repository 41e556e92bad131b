//! The objects that every contender serves, as pure numbers: which Services there are, where their endpoints are, and
//! what a change does to them. How they are told (API objects, rules) is not decided here.
//!
//! Every address of 10.128.0.0/9 is an endpoint that answers: the stage has a server for the whole range, which says in
//! its answer which address was reached. So every Service can be tried, and a client can tell an endpoint from the one
//! before it.

mod change;
mod objects;
mod world;

pub use change::Change;
pub use objects::objects;
pub use world::{Protocol, Service, Size, World};

/// The port of every Service.
pub const PORT: u16 = 80;
/// The port of every endpoint.
pub const TARGET_PORT: u16 = 8080;
/// The name of the port, in the Service and in its slice.
pub const PORT_NAME: &str = "main";
/// The namespace of every object.
pub const NAMESPACE: &str = "bench";
/// The node on which contenders run; it has no endpoints of its own.
pub const NODE: &str = "node-0";
