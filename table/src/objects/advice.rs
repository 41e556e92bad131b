//! What is legal but has no effect, for people who write objects by hand.
//!
//! In a cluster something allocates addresses and ports, and controllers keep slices consistent. Where there
//! is only a directory of files, their absence is worth a word.

use super::endpoint_slice::{AddressType, EndpointSlice};
use super::leaf::Leaf;
use super::service::{Service, ServiceSpec, ServiceType, SessionAffinity};
use super::validate::Findings;
use super::{FieldError, Object};
use crate::fate::Policy;

impl Object {
    /// Fields that are legal but do nothing here, and what to write for them to work. To be asked after
    /// [`Object::apply_api_defaults`]. Not meant for objects that a cluster keeps.
    pub fn advice(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        match self {
            Object::Service(service) => advise_service(service, &mut findings),
            Object::EndpointSlice(slice) => advise_slice(slice, &mut findings),
            Object::Node(node) if node.ips().is_empty() => {
                findings.add("status.addresses", "names no IP: write an address of type InternalIP");
            }
            Object::Node(_) | Object::ServiceCidr(_) => {}
        }
        findings.0
    }
}

fn advise_service(service: &Service, findings: &mut Findings) {
    let spec = &service.spec;
    let service_type = spec.service_type.as_ref().map_or(Some(ServiceType::ClusterIp), Leaf::get);
    if service_type == Some(ServiceType::ExternalName) {
        findings.add("spec.type", "ExternalName is a DNS alias: a service proxy does nothing for it");
        return;
    }
    if service.metadata.labels.has_proxy_name {
        findings.add(
            "metadata.labels",
            "service.kubernetes.io/service-proxy-name gives this Service to another proxy: remove the label",
        );
    }
    for wrong in service.probe().err().unwrap_or_default() {
        findings.add(wrong.field, wrong.message + "; there is no health check");
    }
    if spec.cluster_ip.is_none() {
        findings.add("spec.clusterIP", "is empty and nothing here allocates one: write an address");
    }
    let external = matches!(service_type, Some(ServiceType::NodePort | ServiceType::LoadBalancer));
    for (i, port) in spec.ports.iter().enumerate() {
        if external && port.node_port.as_ref().is_none_or(|n| *n == Leaf::Valid(0)) {
            findings.add(
                format_args!("spec.ports[{i}].nodePort"),
                "is empty and nothing here allocates one: write a port, usually 30000 to 32767",
            );
        }
    }
    advise_external(service, external, findings);
    if !is_sticky(spec) && spec.session_affinity_config.client_ip.timeout_seconds.is_some() {
        findings.add("spec.sessionAffinityConfig", "does nothing unless spec.sessionAffinity is ClientIP");
    }
}

fn is_sticky(spec: &ServiceSpec) -> bool {
    spec.session_affinity == Some(Leaf::Valid(SessionAffinity::ClientIp))
}

fn advise_external(service: &Service, external: bool, findings: &mut Findings) {
    let spec = &service.spec;
    let local = spec.external_traffic_policy == Some(Leaf::Valid(Policy::Local));
    let load_balancer = spec.service_type == Some(Leaf::Valid(ServiceType::LoadBalancer));
    let has_ingress = service.status.load_balancer.ingress.iter().any(|ingress| ingress.ip.is_some());
    if local && !external && spec.external_ips.is_empty() {
        findings.add(
            "spec.externalTrafficPolicy",
            "Local does nothing here: this Service has neither externalIPs, nodePorts nor a load balancer",
        );
    }
    if load_balancer && !has_ingress {
        findings.add(
            "status.loadBalancer.ingress",
            "is empty and nothing here is a load balancer: write its address for it to be served",
        );
    }
    let health_port = spec.health_check_node_port.as_ref().filter(|n| **n != Leaf::Valid(0));
    if health_port.is_some() && !(load_balancer && local) {
        findings.add(
            "spec.healthCheckNodePort",
            "does nothing unless spec.type is LoadBalancer and spec.externalTrafficPolicy is Local",
        );
    }
    if health_port.is_none() && load_balancer && local {
        findings.add(
            "spec.healthCheckNodePort",
            "is empty and nothing here allocates one: write a port if a load balancer is to ask for endpoints",
        );
    }
}

fn advise_slice(slice: &EndpointSlice, findings: &mut Findings) {
    if slice.metadata.labels.service_name.is_none() {
        findings.add(
            "metadata.labels",
            "kubernetes.io/service-name is missing: write the name of the Service that these endpoints serve",
        );
    }
    if slice.address_type == Some(Leaf::Valid(AddressType::Fqdn)) {
        findings
            .add("addressType", "FQDN is ignored by service proxies: write IPv4 or IPv6 and IP addresses");
    }
    for (i, port) in slice.ports.iter().enumerate() {
        if port.port.is_none() {
            findings.add(
                format_args!("ports[{i}].port"),
                "is missing: a slice for all ports does nothing, write the number",
            );
        }
    }
    if slice.ports.is_empty() {
        findings.add("ports", "is empty: these endpoints serve no port");
    }
}
