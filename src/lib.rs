//! The rooms of the daemon: configuration, sources of objects, the node, and the command line.
//!
//! The table of services is the crate `kube-verdict-table`, the kernel's side a backend's crate. This library
//! exists so that tests reach inside; the program is `main.rs`.

pub mod apply;
pub mod check;
pub mod cli;
pub mod client;
pub mod config;
pub mod conntrack;
pub mod daemon;
pub mod document;
pub mod events;
pub mod feed;
pub mod host;
pub mod memory;
pub mod node;
pub mod predecessor;
pub mod probe;
pub mod reconcile;
pub mod repairs;
pub mod rtnetlink;
pub mod serve;
#[cfg(test)]
mod simulation;
pub mod source;
pub mod steering;
pub mod warm;
