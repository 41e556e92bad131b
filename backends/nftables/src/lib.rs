//! The service table as an nftables ruleset: constant rules, and every service nothing but elements of shared
//! maps, changed by one atomic batch at a time.
//!
//! ```text
//! Change ──> State (what the kernel holds) ──> Batch ──> Kernel ──> nf_tables
//!              layout: which elements              netlink, or in memory
//! ```
//!
//! * [`layout`] says what the table looks like, [`bytecode`] and `wire` how the kernel is told, `text` how
//!   nft spells it;
//! * [`Nftables`] keeps the kernel equal to a [`kube_verdict_table::ServiceTable`];
//! * [`kernel`] is the boundary: a trait with two implementations, [`Netlink`] and one in memory.

mod backend;
pub mod batch;
pub mod bytecode;
mod jhash;
pub mod kernel;
pub mod layout;
mod netlink;
mod render;
pub mod slots;
mod state;
mod text;
mod wire;

pub use backend::{Companion, Culprit, Error, Figures, Heard, Nftables, Options, Refused, Report, Term};
pub use kernel::Kernel;
pub use netlink::{Ear, ForeignRule, ForeignTable, Netlink, Prepared, Removal};
pub use render::{elements, render, virtual_servers};
pub use state::{Held, Server, Want, Wanted};
