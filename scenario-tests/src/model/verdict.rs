//! Frontends and verdicts (reference §1.5, §3), masquerading (§4) and source ranges (§5).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::address::{Prefix, parse_ip};
use super::endpoints::{self, Choice};
use super::objects::{Service, ServicePort};
use super::{Model, Probe};
use crate::fate::Fate;
use crate::plan::Family;

/// Why a packet is a Service's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ClusterIp,
    ExternalIp,
    LoadBalancer,
    NodePort,
}

pub(super) fn fates(model: &Model, probe: &Probe) -> BTreeSet<Fate> {
    let claims = claims(model, probe);
    if !claims.is_empty() {
        return claims
            .iter()
            .map(|(service, port, kind)| fate_at(model, service, port, *kind, probe))
            .collect();
    }
    let family = Family::of(probe.to.ip());
    let active_cluster_ip =
        model.objects.services.iter().any(|service| cluster_ip(service, family) == Some(probe.to.ip()));
    let in_service_cidr = model
        .objects
        .service_cidrs
        .iter()
        .filter_map(|text| Prefix::parse(text))
        .any(|prefix| prefix.contains(probe.to.ip()));
    BTreeSet::from([match (active_cluster_ip, in_service_cidr) {
        (true, _) => Fate::Reject,
        (false, true) => Fate::Drop,
        (false, false) => Fate::Pass,
    }])
}

/// Whether a client keeps its backend (reference §6).
pub(super) fn sticky(model: &Model, probe: &Probe) -> bool {
    claims(model, probe).iter().any(|(service, _, _)| service.spec.session_affinity == "ClientIP")
}

/// The service ports that a packet is addressed to, by address or else by NodePort.
fn claims<'a>(model: &'a Model, probe: &Probe) -> Vec<(&'a Service, &'a ServicePort, Kind)> {
    let family = Family::of(probe.to.ip());
    let mut by_address = Vec::new();
    let mut by_node_port = Vec::new();
    for service in &model.objects.services {
        let Some(cluster_ip) = cluster_ip(service, family) else { continue };
        for port in &service.spec.ports {
            if port.protocol.as_deref().unwrap_or("TCP") != probe.protocol.name() {
                continue;
            }
            for (kind, address) in addresses(service, cluster_ip, family) {
                if SocketAddr::new(address, port.port) == probe.to {
                    by_address.push((service, port, kind));
                }
            }
            if port.node_port != 0
                && port.node_port == probe.to.port()
                && model.accepts_node_ports(probe.to.ip())
            {
                by_node_port.push((service, port, Kind::NodePort));
            }
        }
    }
    if by_address.is_empty() { by_node_port } else { by_address }
}

/// The ClusterIP of a family; without it the service does not exist there (reference §1.5).
fn cluster_ip(service: &Service, family: Family) -> Option<IpAddr> {
    let spec = &service.spec;
    let text = if spec.ip_families.is_empty() {
        &spec.cluster_ip
    } else {
        let index = spec.ip_families.iter().position(|name| name == family.name())?;
        spec.cluster_ips.get(index)?
    };
    parse_ip(text).filter(|ip| Family::of(*ip) == family)
}

/// Every address by which a service is reached, NodePorts aside (reference §3.1).
fn addresses(service: &Service, cluster_ip: IpAddr, family: Family) -> Vec<(Kind, IpAddr)> {
    let mut all = vec![(Kind::ClusterIp, cluster_ip)];
    all.extend(service.spec.external_ips.iter().filter_map(|ip| Some((Kind::ExternalIp, parse_ip(ip)?))));
    all.extend(load_balancer_ips(service).into_iter().map(|ip| (Kind::LoadBalancer, ip)));
    all.retain(|(_, ip)| Family::of(*ip) == family);
    all
}

fn load_balancer_ips(service: &Service) -> Vec<IpAddr> {
    service
        .status
        .load_balancer
        .ingress
        .iter()
        .filter(|ingress| ingress.ip_mode.as_deref().unwrap_or("VIP") == "VIP")
        .filter_map(|ingress| parse_ip(ingress.ip.as_deref()?))
        .collect()
}

fn fate_at(model: &Model, service: &Service, port: &ServicePort, kind: Kind, probe: &Probe) -> Fate {
    let family = Family::of(probe.to.ip());
    if kind == Kind::LoadBalancer && !source_allowed(model, service, probe.source) {
        return Fate::Drop;
    }
    let choice = endpoints::choose(model, &endpoints::of_port(model, service, port, family));
    if !choice.usable_anywhere {
        return Fate::Reject;
    }
    let from_pod = model.comes_from_local_pod(probe);
    if kind == Kind::ClusterIp {
        let masquerade = model.config.masquerade_all() || from_pod == Some(false);
        let local = service.spec.internal_traffic_policy == "Local";
        return to(if local { &choice.local } else { &choice.cluster }, masquerade);
    }
    if !external_policy_is_local(service) {
        return to(&choice.cluster, true);
    }
    short_circuit(model, probe, from_pod == Some(true), &choice)
}

/// externalTrafficPolicy Local (reference §3.4).
fn short_circuit(model: &Model, probe: &Probe, from_pod: bool, choice: &Choice) -> Fate {
    if from_pod {
        to(&choice.cluster, false)
    } else if model.is_local_address(probe.source) {
        to(&choice.cluster, true)
    } else {
        to(&choice.local, false)
    }
}

fn to(backends: &BTreeSet<SocketAddr>, masquerade: bool) -> Fate {
    if backends.is_empty() {
        return Fate::Drop; // none in scope, some elsewhere
    }
    Fate::Dnat { backends: backends.clone(), masquerade }
}

/// Reference §1.2.
fn external_policy_is_local(service: &Service) -> bool {
    let spec = &service.spec;
    let applies = match spec.kind.as_str() {
        "LoadBalancer" | "NodePort" => true,
        _ => !spec.external_ips.is_empty(),
    };
    applies && spec.external_traffic_policy == "Local"
}

/// loadBalancerSourceRanges (reference §5).
fn source_allowed(model: &Model, service: &Service, source: IpAddr) -> bool {
    let family = Family::of(source);
    let ranges: Vec<Prefix> = service
        .spec
        .load_balancer_source_ranges
        .iter()
        .filter_map(|text| Prefix::parse(text))
        .filter(|prefix| Family::of(prefix.ip) == family)
        .collect();
    if ranges.is_empty() || ranges.iter().any(|range| range.contains(source)) {
        return true;
    }
    // With a VIP that the node has itself, its own packets have the VIP as their source.
    let covers_node =
        model.node_ip(family).is_some_and(|node| ranges.iter().any(|range| range.contains(node)));
    covers_node && load_balancer_ips(service).contains(&source)
}
