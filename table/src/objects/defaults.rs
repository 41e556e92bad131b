//! What an API server fills in (reference §1): done here too, for objects that never saw one.

use super::endpoint_slice::EndpointSlice;
use super::leaf::Leaf;
use super::service::{ClusterIp, Service, ServiceSpec, ServiceType, SessionAffinity};
use super::{Metadata, Object};
use crate::fate::Policy;
use crate::net::{Family, Protocol};

/// `sessionAffinityConfig.clientIP.timeoutSeconds` when nobody says otherwise: three hours.
pub const DEFAULT_AFFINITY_TIMEOUT_SECONDS: u32 = 10_800;

impl Object {
    /// Fills in what an API server would have filled in. Does nothing to an object that comes from one.
    pub fn apply_api_defaults(&mut self) {
        match self {
            Object::Service(service) => default_service(service),
            Object::EndpointSlice(slice) => default_slice(slice),
            Object::Node(_) | Object::ServiceCidr(_) => {}
        }
    }
}

fn default_namespace(metadata: &mut Metadata) {
    if metadata.namespace.is_empty() {
        metadata.namespace = "default".into();
    }
}

fn default_slice(slice: &mut EndpointSlice) {
    default_namespace(&mut slice.metadata);
    for port in &mut slice.ports {
        port.protocol.get_or_insert(Leaf::Valid(Protocol::Tcp));
    }
}

fn default_service(service: &mut Service) {
    default_namespace(&mut service.metadata);
    let spec = &mut service.spec;
    let service_type = spec.service_type.get_or_insert_default().get();
    for port in &mut spec.ports {
        port.protocol.get_or_insert(Leaf::Valid(Protocol::Tcp));
    }
    if spec.session_affinity.get_or_insert_default() == &Leaf::Valid(SessionAffinity::ClientIp) {
        let timeout = &mut spec.session_affinity_config.client_ip.timeout_seconds;
        timeout.get_or_insert(Leaf::Valid(DEFAULT_AFFINITY_TIMEOUT_SECONDS.into()));
    }
    if service_type == Some(ServiceType::ExternalName) {
        return;
    }
    spec.internal_traffic_policy.get_or_insert(Leaf::Valid(Policy::Cluster));
    let external = matches!(service_type, Some(ServiceType::NodePort | ServiceType::LoadBalancer));
    if external || !spec.external_ips.is_empty() {
        spec.external_traffic_policy.get_or_insert(Leaf::Valid(Policy::Cluster));
    }
    default_cluster_ips(spec);
}

fn default_cluster_ips(spec: &mut ServiceSpec) {
    if spec.cluster_ips.is_empty() {
        spec.cluster_ips.extend(spec.cluster_ip.clone());
    } else if spec.cluster_ip.is_none() {
        spec.cluster_ip = spec.cluster_ips.first().cloned();
    }
    if spec.ip_families.is_empty() {
        let ips = spec.cluster_ips.iter().filter_map(|ip| ip.get().and_then(ClusterIp::ip));
        spec.ip_families = ips.map(|ip| Leaf::Valid(Family::of(ip))).collect();
    }
}

impl<T: Default> Default for Leaf<T> {
    fn default() -> Self {
        Leaf::Valid(T::default())
    }
}
