//! What load balancers ask of each node: how many endpoints of a Service are here (reference §13.2). The
//! pure part; the servers are elsewhere.

use std::net::IpAddr;

use crate::net::{Family, PerFamily};
use crate::service;
use crate::slices::{Slices, merge, port_keys};
use crate::table::{Name, Record, ServiceTable};

/// A Service's health check, when its Service was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheckChange {
    /// the Service's namespace
    pub namespace: Box<str>,
    /// the Service's name
    pub name: Box<str>,
    /// what is to be served now; None: nothing any more
    pub check: Option<HealthCheck>,
}

/// A Service whose load balancer wants to know which nodes have endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// the Service's namespace
    pub namespace: Box<str>,
    /// the Service's name
    pub name: Box<str>,
    /// `spec.healthCheckNodePort`
    pub port: u16,
    /// the number of different IPs among the ready endpoints of this node, all ports together; terminating
    /// ones do not count unless they are ready, so that load balancers drain. None: the Service does not
    /// exist in this family, and nothing is to be served there.
    pub local_endpoints: PerFamily<Option<usize>>,
}

impl ServiceTable {
    /// Every health check that is to be served, sorted by namespace and name. Counted when asked for: the
    /// cost is that of the Services that need a check.
    pub fn health_checks(&self) -> Vec<HealthCheck> {
        self.health_checked().filter_map(|(name, record)| check(name, record)).collect()
    }

    /// What became of the health check of a Service that was touched.
    pub(crate) fn health_check_change(&self, name: Name) -> HealthCheckChange {
        let check = self.record(&name).and_then(|record| check(&name, record));
        HealthCheckChange { namespace: name.namespace, name: name.name, check }
    }
}

fn check(name: &Name, record: &Record) -> Option<HealthCheck> {
    let service = record.service.as_ref()?;
    let service::HealthCheck::On(port) = service.health else { return None };
    let count = |family| service.cluster_ips[family].map(|_| count(&record.slices, family));
    Some(HealthCheck {
        namespace: name.namespace.clone(),
        name: name.name.clone(),
        port,
        local_endpoints: PerFamily::from_fn(count),
    })
}

fn count(slices: &Slices, family: Family) -> usize {
    let keys = port_keys(slices, family).into_iter();
    let merged = keys.flat_map(|(port, protocol)| merge(slices, family, port, protocol));
    let mut ips: Vec<IpAddr> = merged.filter(|m| m.is_ready_here()).map(|m| m.backend().ip).collect();
    ips.sort_unstable();
    ips.dedup();
    ips.len()
}
