//! What an API server would refuse in a Service.

use super::names::is_label;
use super::{Findings, special};
use crate::net::{Family, Protocol};
use crate::objects::leaf::Leaf;
use crate::objects::service::{ClusterIp, Service, ServicePort, ServiceSpec, ServiceType, SessionAffinity};

/// A day: the longest affinity that an API server takes.
const MAX_AFFINITY_TIMEOUT_SECONDS: i64 = 86_400;

pub(super) fn check(service: &Service, findings: &mut Findings) {
    let spec = &service.spec;
    findings.leaf(
        "spec.type",
        spec.service_type.as_ref(),
        "a Service type: write ClusterIP, NodePort, LoadBalancer or ExternalName",
    );
    check_cluster_ips(spec, findings);
    check_ports(spec, findings);
    for (i, ip) in spec.external_ips.iter().enumerate() {
        findings.address(format_args!("spec.externalIPs[{i}]"), ip);
    }
    check_policies(spec, findings);
    check_affinity(spec, findings);
    check_load_balancer(service, findings);
}

fn check_cluster_ips(spec: &ServiceSpec, findings: &mut Findings) {
    let mut seen: Vec<Family> = Vec::new();
    if spec.cluster_ips.is_empty() {
        cluster_ip("spec.clusterIP".into(), spec.cluster_ip.as_ref(), findings);
    }
    for (i, entry) in spec.cluster_ips.iter().enumerate() {
        let field = if i == 0 && spec.cluster_ip.as_ref() == Some(entry) {
            "spec.clusterIP".to_owned()
        } else {
            format!("spec.clusterIPs[{i}]")
        };
        cluster_ip(field.clone(), Some(entry), findings);
        let Some(family) = entry.get().and_then(ClusterIp::ip).map(Family::of) else { continue };
        if seen.contains(&family) {
            findings.add(field, format!("is a second {family} address: keep one of each family"));
        } else if let Some(listed) = spec.ip_families.get(i).and_then(Leaf::get).filter(|f| *f != family) {
            findings
                .add(field, format!("is {family} but spec.ipFamilies[{i}] says {listed}: make them agree"));
        }
        seen.push(family);
    }
    if !spec.cluster_ips.is_empty() && spec.cluster_ip.as_ref() != spec.cluster_ips.first() {
        findings.add("spec.clusterIPs[0]", "differs from spec.clusterIP: write the same address in both");
    }
    for (i, family) in spec.ip_families.iter().enumerate() {
        let field = format!("spec.ipFamilies[{i}]");
        if spec.ip_families[..i].contains(family) {
            findings.add(field, format!("{family} is there twice: name each family once"));
        } else {
            findings.leaf(field, Some(family), "a family: write IPv4 or IPv6");
        }
    }
}

fn cluster_ip(field: String, entry: Option<&Leaf<ClusterIp>>, findings: &mut Findings) {
    match entry {
        Some(Leaf::Valid(ClusterIp::Ip(ip))) => {
            if let Some(what) = special(*ip) {
                findings.add(field, format!("{ip} is {what}: write an address that nothing else uses"));
            }
        }
        entry => findings.leaf(field, entry, "an IP address: write one such as 10.96.0.1, or None"),
    }
}

fn check_ports(spec: &ServiceSpec, findings: &mut Findings) {
    let headless = spec.cluster_ip == Some(Leaf::Valid(ClusterIp::Headless));
    let named_only = spec.service_type == Some(Leaf::Valid(ServiceType::ExternalName));
    if spec.ports.is_empty() && !headless && !named_only {
        findings.add("spec.ports", "is empty: write at least one port");
    }
    for (i, port) in spec.ports.iter().enumerate() {
        check_port(spec, i, port, findings);
    }
}

fn check_port(spec: &ServiceSpec, i: usize, port: &ServicePort, findings: &mut Findings) {
    let earlier = &spec.ports[..i];
    let at = |leaf: &str| format!("spec.ports[{i}].{leaf}");
    if port.port.is_none() {
        findings.add(at("port"), "is missing: write a number from 1 to 65535");
    }
    findings.port(at("port"), port.port.as_ref());
    findings.protocol(at("protocol"), port.protocol.as_ref());

    if port.name.is_empty() && spec.ports.len() > 1 {
        findings.add(at("name"), "is empty: with several ports each needs a name");
    } else if !port.name.is_empty() && !is_label(&port.name) {
        findings.add(at("name"), format!("{:?} is not a DNS label: use a-z, 0-9 and -", port.name));
    } else if earlier.iter().any(|other| other.name == port.name) {
        findings.add(at("name"), format!("{:?} is there twice: give each port its own name", port.name));
    }

    let protocol = protocol_of(port);
    let number = port.port.as_ref().and_then(|p| p.port());
    let same = |other: &&ServicePort| protocol.is_some() && protocol_of(other) == protocol;
    if number.is_some()
        && earlier.iter().filter(same).any(|o| o.port.as_ref().and_then(|p| p.port()) == number)
    {
        findings.add(at("port"), "is there twice with this protocol: each port and protocol may appear once");
    }
    check_node_port(spec, i, port, findings);
}

fn check_node_port(spec: &ServiceSpec, i: usize, port: &ServicePort, findings: &mut Findings) {
    // An explicit 0 asks the API server to choose, as absence does.
    let Some(node_port) = port.node_port.as_ref().filter(|n| **n != Leaf::Valid(0)) else { return };
    let field = format!("spec.ports[{i}].nodePort");
    findings.port(field.clone(), Some(node_port));
    if matches!(
        spec.service_type.as_ref().map_or(Some(ServiceType::ClusterIp), Leaf::get),
        Some(ServiceType::ClusterIp | ServiceType::ExternalName)
    ) {
        findings.add(field, "has no place in this type of Service: set spec.type to NodePort, or remove it");
    } else if spec.ports[..i]
        .iter()
        .any(|other| other.node_port.as_ref() == Some(node_port) && protocol_of(other) == protocol_of(port))
    {
        findings.add(field, "is there twice with this protocol: choose another number");
    }
}

fn protocol_of(port: &ServicePort) -> Option<Protocol> {
    port.protocol.as_ref().map_or(Some(Protocol::Tcp), Leaf::get)
}

fn check_policies(spec: &ServiceSpec, findings: &mut Findings) {
    let what = "a traffic policy: write Cluster or Local";
    findings.leaf("spec.externalTrafficPolicy", spec.external_traffic_policy.as_ref(), what);
    findings.leaf("spec.internalTrafficPolicy", spec.internal_traffic_policy.as_ref(), what);
}

fn check_affinity(spec: &ServiceSpec, findings: &mut Findings) {
    findings.leaf(
        "spec.sessionAffinity",
        spec.session_affinity.as_ref(),
        "a session affinity: write None or ClientIP",
    );
    let timeout = spec.session_affinity_config.client_ip.timeout_seconds.as_ref();
    let sticky = spec.session_affinity == Some(Leaf::Valid(SessionAffinity::ClientIp));
    if let Some(timeout) = timeout.filter(|_| sticky)
        && !timeout.get().is_some_and(|t| (1..=MAX_AFFINITY_TIMEOUT_SECONDS).contains(&t))
    {
        findings.add(
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            format!("{timeout} is out of range: write 1 to {MAX_AFFINITY_TIMEOUT_SECONDS} seconds"),
        );
    }
}

fn check_load_balancer(service: &Service, findings: &mut Findings) {
    let spec = &service.spec;
    for (i, prefix) in spec.load_balancer_source_ranges.iter().enumerate() {
        findings.prefix(format_args!("spec.loadBalancerSourceRanges[{i}]"), prefix);
    }
    let is_load_balancer = spec.service_type == Some(Leaf::Valid(ServiceType::LoadBalancer));
    if !spec.load_balancer_source_ranges.is_empty() && !is_load_balancer {
        findings.add(
            "spec.loadBalancerSourceRanges",
            "has no place in this type of Service: set spec.type to LoadBalancer, or remove it",
        );
    }
    let health_port = spec.health_check_node_port.as_ref().filter(|n| **n != Leaf::Valid(0));
    findings.port("spec.healthCheckNodePort", health_port);
    for (i, ingress) in service.status.load_balancer.ingress.iter().enumerate() {
        let at = |leaf: &str| format!("status.loadBalancer.ingress[{i}].{leaf}");
        if let Some(ip) = &ingress.ip {
            findings.address(at("ip"), ip);
        }
        findings.leaf(at("ipMode"), ingress.ip_mode.as_ref(), "a mode: write VIP or Proxy");
    }
}
