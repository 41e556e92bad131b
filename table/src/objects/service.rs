//! v1 Service: the fields of reference §1.2, and nothing else.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;

use super::decode::is_service;
use super::leaf::{Address, Leaf, LeafValue, Number, optional, or_default, text};
use super::metadata::Metadata;
use crate::fate::Policy;
use crate::net::{Cidr, Family, Protocol, parse_ip};

/// A v1 Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Service {
    /// `kind`: nothing is kept of it; an object that says to be of another kind is refused
    #[serde(default, deserialize_with = "is_service")]
    pub kind: (),
    /// names and labels
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// what is wanted
    #[serde(default, deserialize_with = "or_default")]
    pub spec: ServiceSpec,
    /// load balancer addresses
    #[serde(default, deserialize_with = "or_default")]
    pub status: ServiceStatus,
}

/// `spec`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// `type`
    #[serde(default, rename = "type", deserialize_with = "optional")]
    pub service_type: Option<Leaf<ServiceType>>,
    /// `clusterIP`
    #[serde(default, rename = "clusterIP", deserialize_with = "optional")]
    pub cluster_ip: Option<Leaf<ClusterIp>>,
    /// `clusterIPs`
    #[serde(default, rename = "clusterIPs", deserialize_with = "or_default")]
    pub cluster_ips: Vec<Leaf<ClusterIp>>,
    /// `ipFamilies`, parallel to `clusterIPs`
    #[serde(default, deserialize_with = "or_default")]
    pub ip_families: Vec<Leaf<Family>>,
    /// the ports
    #[serde(default, deserialize_with = "or_default")]
    pub ports: Vec<ServicePort>,
    /// `externalIPs`
    #[serde(default, rename = "externalIPs", deserialize_with = "or_default")]
    pub external_ips: Vec<Address>,
    /// source prefixes that may use the load balancer's addresses
    #[serde(default, deserialize_with = "or_default")]
    pub load_balancer_source_ranges: Vec<Leaf<Cidr>>,
    /// for externalIPs, load balancer IPs and NodePorts
    #[serde(default, deserialize_with = "optional")]
    pub external_traffic_policy: Option<Leaf<Policy>>,
    /// for ClusterIPs
    #[serde(default, deserialize_with = "optional")]
    pub internal_traffic_policy: Option<Leaf<Policy>>,
    /// sticky clients
    #[serde(default, deserialize_with = "optional")]
    pub session_affinity: Option<Leaf<SessionAffinity>>,
    /// how sticky
    #[serde(default, deserialize_with = "or_default")]
    pub session_affinity_config: SessionAffinityConfig,
    /// where a load balancer asks whether this node has endpoints
    #[serde(default, deserialize_with = "optional")]
    pub health_check_node_port: Option<Number>,
}

/// `spec.ports[]`. `targetPort` is never read: EndpointSlices carry the number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// may be empty when it is the only port
    #[serde(default, deserialize_with = "text")]
    pub name: Box<str>,
    /// the port that clients use
    #[serde(default, deserialize_with = "optional")]
    pub port: Option<Number>,
    /// TCP if absent
    #[serde(default, deserialize_with = "optional")]
    pub protocol: Option<Leaf<Protocol>>,
    /// the port on every node; 0 is none
    #[serde(default, deserialize_with = "optional")]
    pub node_port: Option<Number>,
}

/// `spec.sessionAffinityConfig`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SessionAffinityConfig {
    /// `clientIP`
    #[serde(default, rename = "clientIP", deserialize_with = "or_default")]
    pub client_ip: ClientIpConfig,
}

/// `spec.sessionAffinityConfig.clientIP`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientIpConfig {
    /// seconds
    #[serde(default, deserialize_with = "optional")]
    pub timeout_seconds: Option<Number>,
}

/// `status`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// what the load balancer's controller wrote
    #[serde(default, deserialize_with = "or_default")]
    pub load_balancer: LoadBalancerStatus,
}

/// `status.loadBalancer`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct LoadBalancerStatus {
    /// its addresses
    #[serde(default, deserialize_with = "or_default")]
    pub ingress: Vec<LoadBalancerIngress>,
}

/// `status.loadBalancer.ingress[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerIngress {
    /// absent when the load balancer has a host name only
    #[serde(default, deserialize_with = "optional")]
    pub ip: Option<Address>,
    /// VIP if absent
    #[serde(default, deserialize_with = "optional")]
    pub ip_mode: Option<Leaf<IpMode>>,
}

/// `spec.clusterIP`, or an item of `spec.clusterIPs`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClusterIp {
    /// `None`: headless
    Headless,
    /// an address
    Ip(IpAddr),
}

impl LeafValue for ClusterIp {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "None" => Some(ClusterIp::Headless),
            text => parse_ip(text).map(ClusterIp::Ip),
        }
    }
}

impl ClusterIp {
    /// The address, if it is one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            ClusterIp::Headless => None,
            ClusterIp::Ip(ip) => Some(ip),
        }
    }
}

impl fmt::Display for ClusterIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClusterIp::Headless => f.write_str("None"),
            ClusterIp::Ip(ip) => ip.fmt(f),
        }
    }
}

/// `spec.type`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServiceType {
    /// a virtual address inside the cluster
    #[default]
    ClusterIp,
    /// and a port on every node
    NodePort,
    /// and a load balancer in front
    LoadBalancer,
    /// a DNS alias; ignored by proxies
    ExternalName,
}

impl LeafValue for ServiceType {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "ClusterIP" => Some(ServiceType::ClusterIp),
            "NodePort" => Some(ServiceType::NodePort),
            "LoadBalancer" => Some(ServiceType::LoadBalancer),
            "ExternalName" => Some(ServiceType::ExternalName),
            _ => None,
        }
    }
}

/// `spec.sessionAffinity`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SessionAffinity {
    /// every connection is chosen for anew
    #[default]
    None,
    /// by source address
    ClientIp,
}

impl LeafValue for SessionAffinity {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "None" => Some(SessionAffinity::None),
            "ClientIP" => Some(SessionAffinity::ClientIp),
            _ => None,
        }
    }
}

/// `status.loadBalancer.ingress[].ipMode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IpMode {
    /// packets arrive with this destination: captured
    #[default]
    Vip,
    /// the load balancer rewrites the destination: not captured
    Proxy,
}

impl LeafValue for IpMode {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "VIP" => Some(IpMode::Vip),
            "Proxy" => Some(IpMode::Proxy),
            _ => None,
        }
    }
}
