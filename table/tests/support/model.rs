//! What a backend holds: applies changes, and refuses those that a kernel would refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use kube_verdict_table::{
    Backend, Change, Cidr, Fate, Frontend, NodePortAddresses, PerFamily, Protocol, ServiceTable, SetChange,
};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) frontends: BTreeMap<Frontend, Arc<Fate>>,
    pub(crate) cluster_ips: BTreeSet<IpAddr>,
    pub(crate) hairpins: BTreeSet<(Protocol, Backend)>,
    pub(crate) service_cidrs: Vec<Cidr>,
    pub(crate) node_port_addresses: PerFamily<NodePortAddresses>,
}

impl Model {
    pub(crate) fn of(table: &ServiceTable) -> Model {
        let mut model = Model::default();
        model.apply(&table.everything());
        model
    }

    /// Panics on a change that is none: an element that is there already, or is not.
    pub(crate) fn apply(&mut self, change: &Change) {
        for changed in &change.frontends {
            let before = match &changed.fate {
                Some(fate) => self.frontends.insert(changed.frontend, Arc::clone(fate)),
                None => self.frontends.remove(&changed.frontend),
            };
            assert_ne!(before, changed.fate, "{} did not change", changed.frontend);
        }
        let distinct: BTreeSet<_> = change.frontends.iter().map(|changed| changed.frontend).collect();
        assert_eq!(distinct.len(), change.frontends.len(), "a frontend is there twice");
        apply_set(&mut self.cluster_ips, &change.cluster_ips);
        apply_set(&mut self.hairpins, &change.hairpins);
        if let Some(prefixes) = &change.service_cidrs {
            assert_ne!(self.service_cidrs, *prefixes);
            self.service_cidrs.clone_from(prefixes);
        }
        if let Some(addresses) = &change.node_port_addresses {
            assert_ne!(self.node_port_addresses, *addresses);
            self.node_port_addresses.clone_from(addresses);
        }
    }
}

fn apply_set<T: Copy + Ord + std::fmt::Debug>(set: &mut BTreeSet<T>, change: &SetChange<T>) {
    for item in &change.removed {
        assert!(set.remove(item), "{item:?} was not there");
        assert!(!change.added.contains(item), "{item:?} came and went");
    }
    for item in &change.added {
        assert!(set.insert(*item), "{item:?} was there");
    }
}
