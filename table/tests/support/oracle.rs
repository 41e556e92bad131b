//! An independent reading of the reference: what should happen to this packet, straight from the objects.
//!
//! Deliberately naive: it walks all objects for each packet and shares nothing with the table but the types.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kube_verdict_table::objects::{
    ClusterIp, Conditions, Endpoint, EndpointSlice, IpMode, Leaf, Object, Service, ServicePort, ServiceType,
};
use kube_verdict_table::{
    Backend, Cidr, Family, LocalDetector, NodePortAddresses, NodeState, Packet, Policy, Protocol,
    ServicePortName, Settings, Verdict,
};

use super::generate::Objects;

/// Everything that there is.
pub(crate) struct World<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) settings: &'a Settings,
    pub(crate) node: &'a NodeState,
}

/// What should happen.
#[derive(Debug, PartialEq)]
pub(crate) struct Expected {
    pub(crate) verdict: Verdict,
    pub(crate) backends: Vec<Backend>,
    /// not counting hairpins
    pub(crate) masquerade: bool,
    /// `namespace/name`
    pub(crate) service: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    ClusterIp,
    LoadBalancer,
    ExternalIp,
    NodePort,
}

impl World<'_> {
    pub(crate) fn expect(&self, packet: &Packet) -> Expected {
        let mut hits: Vec<(Kind, &Service, &ServicePort)> = Vec::new();
        for service in self.services(Family::of(packet.to)) {
            for port in &service.spec.ports {
                hits.extend(self.hit(service, port, packet).map(|kind| (kind, service, port)));
            }
        }
        let rank = |(kind, service, port): &(Kind, &Service, &ServicePort)| {
            let meta = &service.metadata;
            let created = meta.creation_timestamp.clone();
            (*kind, created, meta.namespace.clone(), meta.name.clone(), port.name.clone())
        };
        // Addresses come before node ports; the rest is the documented order of rivals.
        match hits.into_iter().min_by_key(rank) {
            Some((kind, service, port)) => self.served(packet, kind, service, port),
            None => self.unserved(packet),
        }
    }

    fn services(&self, family: Family) -> impl Iterator<Item = &Service> {
        self.objects.values().filter_map(move |object| match object {
            Object::Service(service) => {
                let is_alias = service.spec.service_type == Some(Leaf::Valid(ServiceType::ExternalName));
                let watched = !service.metadata.labels.has_proxy_name && !is_alias;
                (watched && cluster_ip(service, family).is_some()).then_some(&**service)
            }
            _ => None,
        })
    }

    fn hit(&self, service: &Service, port: &ServicePort, packet: &Packet) -> Option<Kind> {
        if port.protocol != Some(Leaf::Valid(packet.protocol)) {
            return None;
        }
        let number = Some(Leaf::Valid(i64::from(packet.port)));
        if port.port == number {
            if cluster_ip(service, Family::of(packet.to)) == Some(packet.to) {
                return Some(Kind::ClusterIp);
            }
            if vips(service).any(|ip| ip == packet.to) {
                return Some(Kind::LoadBalancer);
            }
            if self.settings.allow_external_ips && service.spec.external_ips.contains(&Leaf::Valid(packet.to))
            {
                return Some(Kind::ExternalIp);
            }
        }
        (port.node_port == number && self.accepts_node_ports(packet.to)).then_some(Kind::NodePort)
    }

    fn accepts_node_ports(&self, to: IpAddr) -> bool {
        match &self.node.node_port_addresses[Family::of(to)] {
            NodePortAddresses::AnyLocal => !to.is_loopback() && self.node.local_addresses.contains(&to),
            NodePortAddresses::Only(some) => some.contains(&to),
        }
    }

    /// Where flows to a frontend of a Service's port are right.
    pub(crate) fn flows_stay_at(&self, name: &ServicePortName, family: Family) -> Vec<Backend> {
        let mut found = Vec::new();
        for service in self.services(family) {
            let metadata = &service.metadata;
            if (&metadata.namespace, &metadata.name) == (&name.namespace, &name.name) {
                let udp = Some(Leaf::Valid(Protocol::Udp));
                for port in service.spec.ports.iter().filter(|p| p.name == name.port && p.protocol == udp) {
                    let endpoints = self.endpoints(service, port, family).into_iter();
                    let stay = endpoints.filter(|(_, e)| e.conditions.serving || e.conditions.ready);
                    found.extend(stay.map(|(backend, _)| backend));
                }
            }
        }
        found
    }

    fn unserved(&self, packet: &Packet) -> Expected {
        let family = Family::of(packet.to);
        let is_cluster_ip = self.services(family).any(|s| cluster_ip(s, family) == Some(packet.to));
        let in_prefix = self.objects.values().any(|object| match object {
            Object::ServiceCidr(cidr) => {
                cidr.spec.cidrs.iter().any(|cidr| cidr.get().is_some_and(|cidr| cidr.contains(packet.to)))
            }
            _ => false,
        });
        let verdict = if self.node.local_addresses.contains(&packet.to) {
            Verdict::Pass
        } else if is_cluster_ip {
            Verdict::Reject
        } else if in_prefix {
            Verdict::Drop
        } else {
            Verdict::Pass
        };
        Expected { verdict, backends: Vec::new(), masquerade: false, service: None }
    }

    fn served(&self, packet: &Packet, kind: Kind, service: &Service, port: &ServicePort) -> Expected {
        let family = Family::of(packet.to);
        let metadata = &service.metadata;
        let mut expected = Expected {
            verdict: Verdict::Drop,
            backends: Vec::new(),
            masquerade: false,
            service: Some(format!("{}/{}", metadata.namespace, metadata.name)),
        };
        if kind == Kind::LoadBalancer && !self.may_enter(service, family, packet.from) {
            return expected;
        }
        let endpoints = self.endpoints(service, port, family);
        let usable_anywhere = endpoints.values().any(|e| e.conditions.ready || is_last_resort(&e.conditions));
        let is_pod = self.is_pod(packet, family);
        let is_node = packet.from.is_some_and(|from| self.node.local_addresses.contains(&from));
        let local = match kind {
            Kind::ClusterIp => service.spec.internal_traffic_policy == Some(Leaf::Valid(Policy::Local)),
            _ => external_local(service),
        };
        let wants_local = local && (kind == Kind::ClusterIp || !(is_pod || is_node));
        expected.masquerade = match (kind, local) {
            (Kind::ClusterIp, _) => {
                self.settings.masquerade_all || self.settings.detector[family].is_some() && !is_pod
            }
            (_, false) => true,
            (_, true) => is_node && !is_pod,
        };
        expected.backends = if wants_local { self.local(&endpoints) } else { self.cluster(&endpoints) };
        expected.verdict = match (expected.backends.is_empty(), usable_anywhere) {
            (false, _) => Verdict::Dnat,
            (true, true) => Verdict::Drop,
            (true, false) => Verdict::Reject,
        };
        expected.masquerade &= expected.verdict == Verdict::Dnat;
        expected
    }

    fn may_enter(&self, service: &Service, family: Family, from: Option<IpAddr>) -> bool {
        let ranges = service.spec.load_balancer_source_ranges.iter().filter_map(Leaf::get);
        let ranges: Vec<Cidr> = ranges.filter(|range| range.family() == family).collect();
        let holds = |ip: Option<IpAddr>| ip.is_some_and(|ip| ranges.iter().any(|range| range.contains(ip)));
        let is_vip = from.is_some_and(|from| vips(service).any(|ip| ip == from));
        ranges.is_empty() || holds(from) || is_vip && holds(self.node.node_ips[family])
    }

    fn is_pod(&self, packet: &Packet, family: Family) -> bool {
        let interface = packet.in_interface.as_deref().unwrap_or_default();
        match &self.settings.detector[family] {
            None => false,
            Some(LocalDetector::Source(prefixes)) => {
                packet.from.is_some_and(|from| prefixes.iter().any(|prefix| prefix.contains(from)))
            }
            Some(LocalDetector::Interface(name)) => interface == name,
            Some(LocalDetector::InterfacePrefix(prefix)) => interface.starts_with(prefix.as_str()),
        }
    }

    /// By `ip:port`; a terminating duplicate only fills a gap.
    fn endpoints(
        &self,
        service: &Service,
        port: &ServicePort,
        family: Family,
    ) -> BTreeMap<Backend, &Endpoint> {
        let mut slices: Vec<&EndpointSlice> = self.objects.values().filter_map(as_slice).collect();
        slices.retain(|slice| {
            let labels = &slice.metadata.labels;
            slice.metadata.namespace == service.metadata.namespace
                && labels.service_name.as_deref() == Some(&*service.metadata.name)
                && !labels.is_headless
        });
        let mut found: BTreeMap<Backend, &Endpoint> = BTreeMap::new();
        for slice in slices {
            for slice_port in
                slice.ports.iter().filter(|p| p.name == port.name && p.protocol == port.protocol)
            {
                let number = slice_port.port.as_ref().and_then(|p| p.port()).unwrap();
                for endpoint in &slice.endpoints {
                    let ip = endpoint.address.as_ref().and_then(Leaf::get).unwrap();
                    if Family::of(ip) == family {
                        let entry = found.entry(Backend { ip, port: number }).or_insert(endpoint);
                        // Of two alike the first stays: names of slices are in order here.
                        let weight = |e: &Endpoint| (!e.conditions.terminating, e.conditions.ready);
                        if weight(endpoint) > weight(entry) {
                            *entry = endpoint;
                        }
                    }
                }
            }
        }
        found
    }

    fn cluster(&self, endpoints: &BTreeMap<Backend, &Endpoint>) -> Vec<Backend> {
        let ready: Vec<(&Backend, &&Endpoint)> =
            endpoints.iter().filter(|(_, e)| e.conditions.ready).collect();
        if ready.is_empty() {
            let last = endpoints.iter().filter(|(_, e)| is_last_resort(&e.conditions));
            return last.map(|(backend, _)| *backend).collect();
        }
        let zone = self.node.zone.as_deref().filter(|zone| !zone.is_empty());
        let nodes = |e: &Endpoint| e.hints.as_ref().map(|h| h.for_nodes.to_vec()).unwrap_or_default();
        let zones = |e: &Endpoint| e.hints.as_ref().map(|h| h.for_zones.to_vec()).unwrap_or_default();
        let narrowed =
            |names: &dyn Fn(&Endpoint) -> Vec<Box<str>>, here: Option<&str>| -> Option<Vec<Backend>> {
                if ready.iter().any(|(_, e)| names(e).is_empty()) {
                    return None;
                }
                let fits = |e: &Endpoint| names(e).iter().any(|name| Some(&**name) == here);
                let some: Vec<Backend> =
                    ready.iter().filter(|(_, e)| fits(e)).map(|(backend, _)| **backend).collect();
                Some(some).filter(|some| !some.is_empty())
            };
        narrowed(&nodes, Some(&self.settings.node_name))
            .or_else(|| narrowed(&zones, zone))
            .unwrap_or_else(|| ready.iter().map(|(backend, _)| **backend).collect())
    }

    fn local(&self, endpoints: &BTreeMap<Backend, &Endpoint>) -> Vec<Backend> {
        let here = |e: &Endpoint| e.node_name.as_deref() == Some(&*self.settings.node_name);
        let those = |wanted: &dyn Fn(&Conditions) -> bool| -> Vec<Backend> {
            let chosen = endpoints.iter().filter(|(_, e)| here(e) && wanted(&e.conditions));
            chosen.map(|(backend, _)| *backend).collect()
        };
        let ready = those(&|conditions| conditions.ready);
        if ready.is_empty() { those(&is_last_resort) } else { ready }
    }
}

fn as_slice(object: &Object) -> Option<&EndpointSlice> {
    match object {
        Object::EndpointSlice(slice) => Some(slice),
        _ => None,
    }
}

fn is_last_resort(conditions: &Conditions) -> bool {
    conditions.serving && conditions.terminating
}

fn cluster_ip(service: &Service, family: Family) -> Option<IpAddr> {
    let ips = service.spec.cluster_ips.iter().filter_map(|ip| ip.get().and_then(ClusterIp::ip));
    ips.into_iter().find(|ip| Family::of(*ip) == family)
}

fn vips(service: &Service) -> impl Iterator<Item = IpAddr> {
    let ingress = service.status.load_balancer.ingress.iter();
    ingress.filter(|i| i.ip_mode != Some(Leaf::Valid(IpMode::Proxy))).filter_map(|i| i.ip.as_ref()?.get())
}

fn external_local(service: &Service) -> bool {
    let spec = &service.spec;
    let is_external =
        matches!(spec.service_type, Some(Leaf::Valid(ServiceType::NodePort | ServiceType::LoadBalancer)))
            || !spec.external_ips.is_empty();
    is_external && spec.external_traffic_policy == Some(Leaf::Valid(Policy::Local))
}
