//! The endpoints of a service port (reference §1.3) and which of them are chosen (§2).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Model;
use super::address::parse_ip;
use super::objects::{Service, ServicePort};
use crate::plan::Family;

/// One endpoint of a service port.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    address: SocketAddr,
    local: bool,
    ready: bool,
    serving: bool,
    terminating: bool,
    zone_hints: Vec<String>,
    node_hints: Vec<String>,
}

impl Endpoint {
    fn serving_terminating(&self) -> bool {
        self.serving && self.terminating
    }
}

/// What reference §2 calls steps B, C and D.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    pub(super) cluster: BTreeSet<SocketAddr>,
    pub(super) local: BTreeSet<SocketAddr>,
    pub(super) usable_anywhere: bool,
}

/// All endpoints of a service port in a family, slices merged.
pub(super) fn of_port(model: &Model, service: &Service, port: &ServicePort, family: Family) -> Vec<Endpoint> {
    let mut merged: BTreeMap<SocketAddr, Endpoint> = BTreeMap::new();
    for slice in &model.objects.slices {
        let owner = slice.metadata.labels.get("kubernetes.io/service-name");
        if slice.metadata.namespace != service.metadata.namespace
            || owner != Some(&service.metadata.name)
            || slice.address_type != family.name()
        {
            continue;
        }
        for slice_port in &slice.ports {
            let same_protocol =
                slice_port.protocol.as_deref().unwrap_or("TCP") == port.protocol.as_deref().unwrap_or("TCP");
            let Some(number) = slice_port.port.filter(|number| *number != 0) else { continue };
            if slice_port.name.as_ref() != Some(&port.name) || !same_protocol {
                continue;
            }
            for endpoint in &slice.endpoints {
                let Some(ip) = endpoint.addresses.first().and_then(|text| parse_ip(text)) else { continue };
                let names = |list: &[super::objects::Named]| list.iter().map(|n| n.name.clone()).collect();
                let endpoint = Endpoint {
                    address: SocketAddr::new(ip, number),
                    local: endpoint.node_name.as_deref() == Some(model.node_name.as_str()),
                    ready: endpoint.conditions.ready.unwrap_or(true),
                    serving: endpoint.conditions.serving.unwrap_or(true),
                    terminating: endpoint.conditions.terminating.unwrap_or(false),
                    zone_hints: names(&endpoint.hints.for_zones),
                    node_hints: names(&endpoint.hints.for_nodes),
                };
                // A terminating entry only fills a gap.
                if !endpoint.terminating || !merged.contains_key(&endpoint.address) {
                    merged.insert(endpoint.address, endpoint);
                }
            }
        }
    }
    merged.into_values().collect()
}

/// Steps A to D.
pub(super) fn choose(model: &Model, endpoints: &[Endpoint]) -> Choice {
    let ready: Vec<&Endpoint> = endpoints.iter().filter(|e| e.ready).collect();

    // A: topology mode.
    let zone = model.zone().unwrap_or_default();
    let same_node = !ready.is_empty()
        && ready.iter().all(|e| !e.node_hints.is_empty())
        && ready.iter().any(|e| e.node_hints.contains(&model.node_name));
    let same_zone = !same_node
        && !zone.is_empty()
        && !ready.is_empty()
        && ready.iter().all(|e| !e.zone_hints.is_empty())
        && ready.iter().any(|e| e.zone_hints.contains(&zone));

    // B: cluster endpoints.
    let mut cluster: Vec<&Endpoint> = ready.clone();
    if same_node {
        cluster.retain(|e| e.node_hints.contains(&model.node_name));
    } else if same_zone {
        cluster.retain(|e| e.zone_hints.contains(&zone));
    }
    if cluster.is_empty() {
        cluster = endpoints.iter().filter(|e| e.serving_terminating()).collect();
    }

    // C: local endpoints.
    let mut local: Vec<&Endpoint> = ready.iter().copied().filter(|e| e.local).collect();
    if local.is_empty() {
        local = endpoints.iter().filter(|e| e.local && e.serving_terminating()).collect();
    }

    // D: any endpoints? Without a Local policy only B counts, but B is not empty when any is usable.
    let usable_anywhere = endpoints.iter().any(|e| e.ready || e.serving_terminating());

    let addresses = |list: Vec<&Endpoint>| list.into_iter().map(|e| e.address).collect();
    Choice { cluster: addresses(cluster), local: addresses(local), usable_anywhere }
}
