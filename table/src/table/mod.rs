//! The service table: takes object events in, keeps every frontend's fate, and says what changed.
//!
//! Services keep their slices (which may come before, after or without them), so an event touches one
//! Service and only that one is derived anew. What Services share (contested frontends, addresses, hairpins)
//! is reference-counted in `claims` and `counted`. The result is a function of the objects and the node
//! alone: neither the order of events nor their batching shows.

mod apply;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::change::{Change, FrontendChange, SetChange, Update};
use crate::claims::Claims;
use crate::counted::Counted;
use crate::fate::{Backend, Fate, Frontend};
use crate::net::{Cidr, Family, Protocol};
use crate::node::{NodeState, Settings};
use crate::objects::ObjectEvent;
use crate::totals::Counts;
use apply::Touched;
pub(crate) use record::{Name, Record};

/// The desired service table of one node, both families.
#[derive(Debug)]
pub struct ServiceTable {
    settings: Settings,
    node: NodeState,
    /// boxed so that growing the map moves little
    services: FxHashMap<Name, Box<Record>>,
    /// every slice that we heard of, and the Service of its namespace that it is filed under (None: its label
    /// is missing)
    pub(crate) slice_owners: FxHashMap<Name, Option<Box<str>>>,
    /// Services that need a health check (reference §13.2)
    health_checked: BTreeSet<Name>,
    pub(crate) claims: Claims,
    cluster_ips: Counted<IpAddr>,
    hairpins: Counted<(Protocol, Backend)>,
    /// of each ServiceCIDR object
    pub(crate) cidr_objects: BTreeMap<Box<str>, Vec<Cidr>>,
    /// their union
    service_cidrs: Vec<Cidr>,
    pub(crate) counts: Counts,
}

impl ServiceTable {
    /// The table of a node without Services. Its [`everything`](Self::everything) may still hold the node's
    /// NodePort addresses.
    pub fn new(settings: Settings, node: NodeState) -> Self {
        ServiceTable {
            settings,
            node,
            services: FxHashMap::default(),
            slice_owners: FxHashMap::default(),
            health_checked: BTreeSet::new(),
            claims: Claims::default(),
            cluster_ips: Counted::default(),
            hairpins: Counted::default(),
            cidr_objects: BTreeMap::new(),
            service_cidrs: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Takes in a batch of events, in order, and derives the Services that they touch, once each. An object
    /// equal to the one known touches nothing. Node objects are ignored: what matters of them comes through
    /// [`set_node`](Self::set_node).
    ///
    /// Bad leaves of objects are passed over in silence; who has not asked an API server should have asked
    /// [`Object::validate`](crate::objects::Object::validate).
    pub fn update(&mut self, events: impl IntoIterator<Item = ObjectEvent>) -> Update {
        self.update_all(None, events)
    }

    /// The node is now like this.
    pub fn set_node(&mut self, node: NodeState) -> Update {
        self.update_all(Some(node), [])
    }

    /// The node and objects at once: what both touch is derived once.
    pub fn update_all(
        &mut self,
        node: Option<NodeState>,
        events: impl IntoIterator<Item = ObjectEvent>,
    ) -> Update {
        let mut touched = Touched::default();
        let mut addresses = None;
        if let Some(node) = node {
            let before = std::mem::replace(&mut self.node, node);
            // Of the node only the zone (hints) and its IPs (source ranges) have a part in fates.
            if before.zone != self.node.zone || before.node_ips != self.node.node_ips {
                touched.services.extend(self.services.keys().cloned());
            }
            if before.node_port_addresses != self.node.node_port_addresses {
                addresses = Some(self.node.node_port_addresses.clone());
                // What came to an address before NodePorts were served there was not translated.
                for family in Family::BOTH {
                    if before.node_port_addresses[family] != self.node.node_port_addresses[family] {
                        touched.flows.extend(self.udp_node_ports(family));
                    }
                }
            }
        }
        for event in events {
            match event {
                ObjectEvent::Applied(object) => self.apply(object, &mut touched),
                ObjectEvent::Deleted(key) => self.delete(key, &mut touched),
            }
        }
        let mut update = self.derive_touched(touched);
        update.change.node_port_addresses = addresses;
        update
    }

    /// The settings that it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The node as it was last said to be.
    pub fn node(&self) -> &NodeState {
        &self.node
    }

    /// What becomes of a new connection to `frontend`, if it is one.
    pub fn fate(&self, frontend: &Frontend) -> Option<&Arc<Fate>> {
        self.claims.get(frontend)
    }

    /// Every frontend and its fate, in no order.
    pub fn frontends(&self) -> impl Iterator<Item = (&Frontend, &Arc<Fate>)> {
        self.claims.iter()
    }

    /// Other fates that `frontend` would have if its Service let go of it.
    pub fn rivals(&self, frontend: &Frontend) -> impl Iterator<Item = &Arc<Fate>> {
        self.claims.losers(frontend)
    }

    /// Every active ClusterIP, in no order.
    pub fn cluster_ips(&self) -> impl Iterator<Item = IpAddr> {
        self.cluster_ips.iter().copied()
    }

    /// Whether `ip` is an active ClusterIP.
    pub fn is_cluster_ip(&self, ip: IpAddr) -> bool {
        self.cluster_ips.contains(&ip)
    }

    /// Every endpoint in use that may be the source of a hairpin, in no order.
    pub fn hairpins(&self) -> impl Iterator<Item = (Protocol, Backend)> {
        self.hairpins.iter().copied()
    }

    /// Whether connections from this endpoint to itself are to be masqueraded.
    pub fn is_hairpin(&self, protocol: Protocol, backend: Backend) -> bool {
        self.hairpins.contains(&(protocol, backend))
    }

    /// The known service prefixes, sorted, without nested ones.
    pub fn service_cidrs(&self) -> &[Cidr] {
        &self.service_cidrs
    }

    /// The difference to the empty table: no frontends, addresses or prefixes, NodePorts served nowhere.
    pub fn everything(&self) -> Change {
        let changed = |(frontend, fate): (&Frontend, &Arc<Fate>)| FrontendChange {
            frontend: *frontend,
            fate: Some(Arc::clone(fate)),
        };
        let mut frontends: Vec<FrontendChange> = self.claims.iter().map(changed).collect();
        frontends.sort_unstable_by_key(|change| change.frontend);
        let addresses = &self.node.node_port_addresses;
        Change {
            frontends,
            cluster_ips: added(self.cluster_ips()),
            hairpins: added(self.hairpins()),
            service_cidrs: Some(self.service_cidrs.clone()).filter(|prefixes| !prefixes.is_empty()),
            node_port_addresses: Some(addresses.clone()).filter(|a| *a != Default::default()),
        }
    }

    /// What is known of a Service, if anything is.
    pub(crate) fn record(&self, name: &Name) -> Option<&Record> {
        self.services.get(name).map(|record| &**record)
    }

    /// The Services that need a health check, sorted.
    pub(crate) fn health_checked(&self) -> impl Iterator<Item = (&Name, &Record)> {
        self.health_checked.iter().filter_map(|name| Some((name, &**self.services.get(name)?)))
    }
}

fn added<T: Ord>(items: impl Iterator<Item = T>) -> SetChange<T> {
    let mut added: Vec<T> = items.collect();
    added.sort_unstable();
    SetChange { added, removed: Vec::new() }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
