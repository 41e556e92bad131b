//! What an update of the table brings: the difference for a backend, words for the log, and what it cost.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::fate::{Backend, Fate, Frontend};
use crate::flows::Flows;
use crate::health::HealthCheckChange;
use crate::net::{Cidr, Family, PerFamily, Protocol};
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

impl Change {
    /// Whether the two tables are equal.
    pub fn is_empty(&self) -> bool {
        *self == Change::default()
    }
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
    /// health checks of the Services that were touched, whether or not they differ from before
    pub health_checks: Vec<HealthCheckChange>,
    /// slices that changed and say since when
    pub triggered: Vec<Triggered>,
    /// UDP frontends that are new, have another owner, or whose serving endpoints are others: flows that are
    /// elsewhere are to go (reference §8). A frontend that is no more is not among them: its flows go on
    /// until they are idle, as TCP connections do.
    pub flows: Vec<Flows>,
    /// what it took
    pub walked: Walked,
}

/// A slice that changed, with the moment of the change that it was written for (reference §14.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triggered {
    /// the family of its endpoints
    pub family: Family,
    /// the annotation's text, RFC 3339 unless somebody wrote it by hand
    pub at: Box<str>,
}

/// What an update looked at: its cost follows what changed, not how much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Services whose fates were derived anew
    pub services: usize,
    /// endpoints in their slices
    pub endpoints: usize,
}
