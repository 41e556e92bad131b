//! A Service as the table keeps it: translated, so that a change to a field that nothing reads is no change
//! (reference §1.2, §1.5).

use std::net::IpAddr;
use std::sync::Arc;

use crate::fate::{Affinity, Policy, ServicePortName};
use crate::net::{Cidr, Family, PerFamily, Protocol};
use crate::objects::{
    self, ClusterIp, DEFAULT_AFFINITY_TIMEOUT_SECONDS, IpMode, Leaf, Number, ServiceSpec, ServiceType,
    SessionAffinity,
};
use crate::scheduler::parse_scheduler;

/// A Service that is there for proxies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// age decides who keeps a contested frontend
    pub(crate) created: Option<Arc<str>>,
    pub(crate) ports: Box<[Port]>,
    /// the Service exists in the families that have one
    pub(crate) cluster_ips: PerFamily<Option<IpAddr>>,
    pub(crate) external_ips: Box<[IpAddr]>,
    /// those in VIP mode
    pub(crate) load_balancer_ips: Box<[IpAddr]>,
    pub(crate) source_ranges: Box<[Cidr]>,
    pub(crate) external_policy: Policy,
    pub(crate) internal_policy: Policy,
    pub(crate) affinity: Option<Affinity>,
    /// IPVS's; invalid: what is wrong with the text
    pub(crate) scheduler: Option<Leaf<Arc<str>>>,
    pub(crate) health: HealthCheck,
}

/// Whether a load balancer asks this node for endpoints (reference §13.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthCheck {
    NotNeeded,
    /// needed, but `healthCheckNodePort` is 0
    NoPort,
    On(u16),
}

/// A port of a Service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: Arc<ServicePortName>,
    pub(crate) protocol: Protocol,
    pub(crate) number: u16,
    pub(crate) node_port: Option<u16>,
}

impl Service {
    /// Translates a watched Service. None when no proxy has to do with it: ExternalName, or without a
    /// ClusterIP. Impossible leaves are passed over; `validate` names them.
    pub(crate) fn new(service: &objects::Service) -> Option<Service> {
        let spec = &service.spec;
        let service_type = spec.service_type.as_ref().map_or(Some(ServiceType::ClusterIp), Leaf::get);
        let cluster_ips = PerFamily::from_fn(|family| cluster_ip(spec, family));
        if service_type == Some(ServiceType::ExternalName) || cluster_ips == PerFamily::default() {
            return None;
        }
        let external_policy = external_policy(spec, service_type);
        let health_port = spec.health_check_node_port.as_ref().and_then(Number::port);
        Some(Service {
            created: service.metadata.creation_timestamp.as_deref().map(Arc::from),
            ports: spec.ports.iter().filter_map(|port| Port::new(service, port)).collect(),
            cluster_ips,
            external_ips: spec.external_ips.iter().filter_map(Leaf::get).collect(),
            load_balancer_ips: load_balancer_ips(service),
            source_ranges: spec.load_balancer_source_ranges.iter().filter_map(Leaf::get).collect(),
            external_policy,
            internal_policy: policy(spec.internal_traffic_policy.as_ref()),
            affinity: affinity(spec),
            scheduler: annotated_scheduler(service),
            health: match (service_type, external_policy, health_port) {
                (Some(ServiceType::LoadBalancer), Policy::Local, Some(port)) => HealthCheck::On(port),
                (Some(ServiceType::LoadBalancer), Policy::Local, None) => HealthCheck::NoPort,
                _ => HealthCheck::NotNeeded,
            },
        })
    }

    /// The scheduler of IPVS that it asks for and that could be one.
    pub(crate) fn scheduler(&self) -> Option<Arc<str>> {
        match self.scheduler.as_ref()? {
            Leaf::Valid(scheduler) => Some(Arc::clone(scheduler)),
            Leaf::Invalid(_) => None,
        }
    }
}

impl Port {
    fn new(service: &objects::Service, port: &objects::ServicePort) -> Option<Port> {
        Some(Port {
            name: Arc::new(ServicePortName {
                namespace: service.metadata.namespace.clone(),
                name: service.metadata.name.clone(),
                port: port.name.clone(),
            }),
            protocol: port.protocol.as_ref().map_or(Some(Protocol::Tcp), Leaf::get)?,
            number: port.port.as_ref()?.port()?,
            node_port: port.node_port.as_ref().and_then(Number::port),
        })
    }
}

/// The ClusterIP of a family (reference §1.5).
fn cluster_ip(spec: &ServiceSpec, family: Family) -> Option<IpAddr> {
    // Empty or None: the Service is skipped whatever the lists say.
    let first = spec.cluster_ip.as_ref()?;
    let ClusterIp::Ip(_) = first.get()? else { return None };
    let chosen = if spec.ip_families.is_empty() {
        first
    } else {
        let index = spec.ip_families.iter().position(|listed| listed.get() == Some(family))?;
        spec.cluster_ips.get(index)?
    };
    chosen.get()?.ip().filter(|ip| Family::of(*ip) == family)
}

fn policy(leaf: Option<&Leaf<Policy>>) -> Policy {
    leaf.and_then(Leaf::get).unwrap_or_default()
}

/// externalTrafficPolicy Local has no effect on a plain ClusterIP Service.
fn external_policy(spec: &ServiceSpec, service_type: Option<ServiceType>) -> Policy {
    let external = matches!(service_type, Some(ServiceType::NodePort | ServiceType::LoadBalancer))
        || !spec.external_ips.is_empty();
    if external { policy(spec.external_traffic_policy.as_ref()) } else { Policy::Cluster }
}

fn load_balancer_ips(service: &objects::Service) -> Box<[IpAddr]> {
    let ingress = service.status.load_balancer.ingress.iter();
    let captured =
        ingress.filter(|i| i.ip_mode.as_ref().is_none_or(|mode| *mode == Leaf::Valid(IpMode::Vip)));
    captured.filter_map(|i| i.ip.as_ref()?.get()).collect()
}

fn affinity(spec: &ServiceSpec) -> Option<Affinity> {
    if spec.session_affinity != Some(Leaf::Valid(SessionAffinity::ClientIp)) {
        return None;
    }
    let timeout = spec.session_affinity_config.client_ip.timeout_seconds.as_ref().and_then(Leaf::get);
    let timeout = timeout.and_then(|t| u32::try_from(t).ok()).filter(|t| *t > 0);
    Some(Affinity { timeout_seconds: timeout.unwrap_or(DEFAULT_AFFINITY_TIMEOUT_SECONDS) })
}

/// What is wrong is kept in the place of what was written, so that a new mistake is a change, too.
fn annotated_scheduler(service: &objects::Service) -> Option<Leaf<Arc<str>>> {
    let text = service.metadata.annotations.ours.as_ref()?.ipvs_scheduler.as_ref()?;
    parse_scheduler(text)
        .map_or_else(|wrong| Some(Leaf::Invalid(wrong.into())), |named| named.map(Leaf::Valid))
}
