//! The table itself: objects in, fates out, and what changed.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::fate::{Backend, Fate, Frontend};
use crate::net::{Cidr, PerFamily, Protocol};
use crate::node::NodePortAddresses;

/// Elements that came and went. An element is never in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetChange<T> {
    /// now there
    pub added: Vec<T>,
    /// no longer there
    pub removed: Vec<T>,
}

impl<T> Default for SetChange<T> {
    fn default() -> Self {
        SetChange { added: Vec::new(), removed: Vec::new() }
    }
}

/// A frontend whose fate changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendChange {
    /// which
    pub frontend: Frontend,
    /// its new fate; None: it is no more
    pub fate: Option<Arc<Fate>>,
}

/// The difference of two tables: applied to the first it gives the second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// frontends that came, went or changed, each once
    pub frontends: Vec<FrontendChange>,
    /// addresses that are a ClusterIP of some Service (reference §3.2: unknown ports on them are rejected)
    pub cluster_ips: SetChange<IpAddr>,
    /// endpoints that may be the source of a hairpin: on this node, or without a node name (reference §4.1)
    pub hairpins: SetChange<(Protocol, Backend)>,
    /// all known service prefixes, when they changed (reference §3.2: unallocated addresses are dropped)
    pub service_cidrs: Option<Vec<Cidr>>,
    /// where NodePorts are served, when it changed
    pub node_port_addresses: Option<PerFamily<NodePortAddresses>>,
}

/// Something wrong with one object, for the log; the rest of the object and of the table goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `Service default/web`
    pub object: String,
    /// `spec.externalIPs[1]`, may be empty
    pub field: String,
    /// what is wrong, what is done about it and what to do
    pub message: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What an update of the table brought.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// for the backend
    pub change: Change,
    /// for the log
    pub notices: Vec<Notice>,
}
