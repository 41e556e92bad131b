//! The desired *service table* of one node.
//!
//! Objects go in (Services, EndpointSlices, ServiceCIDRs and what the node knows of itself); out comes, for
//! each IP family, every *frontend* (an address, protocol and port that packets are sent to) and its *fate*:
//! what becomes of a new connection to it. Two tables differ by a [`Change`], whose cost follows what changed
//! and not how much there is.
//!
//! Nothing in this crate does I/O, reads a clock or knows a kernel or an API client: a packet's fate is
//! computable from the table alone, which is what `explain` prints and what backends programme.
//!
//! ```text
//! objects ──> ServiceTable ──> Change ──> a backend
//!                  │
//!                  └─────> explain (why does this packet go there?)
//! ```

mod change;
mod claims;
mod counted;
mod derive;
pub mod explain;
pub mod fate;
mod flows;
mod health;
pub mod net;
pub mod node;
mod node_ports;
pub mod objects;
mod scheduler;
mod select;
mod service;
mod slice;
mod slices;
mod table;
#[cfg(test)]
mod testing;
mod totals;

pub use change::{Change, FrontendChange, Notice, SetChange, Triggered, Update, Walked};
pub use explain::{Explanation, Packet, Verdict};
pub use fate::{
    Affinity, Backend, Choice, Fate, Frontend, FrontendKind, Masquerade, Policy, Route, Selection,
    ServicePortName, Target, Topology,
};
pub use flows::Flows;
pub use health::{HealthCheck, HealthCheckChange};
pub use net::{Cidr, Family, PerFamily, Protocol};
pub use node::{Balancer, LocalDetector, NodePortAddresses, NodePortEntry, NodeState, Settings};
pub use scheduler::{SCHEDULER_ANNOTATION, parse_scheduler};
pub use table::ServiceTable;
pub use totals::{NoLocalEndpoints, Totals};
