//! The Kubernetes objects that make a service table, slimmed to the fields that matter (reference §1).
//!
//! One set of types for every source: a directory of files now, a cluster's watch as well. They decode from
//! the API's own field names, tolerate what they do not know, and keep bad leaves so that
//! [`Object::validate`] can name them. What an API server would do to an object that it takes in is here too:
//! [`Object::apply_api_defaults`], then [`Object::validate`]; and what its watch would filter out:
//! [`Object::is_watched`]. No I/O.

mod advice;
mod decode;
mod defaults;
mod endpoint_slice;
mod leaf;
mod metadata;
mod node;
mod probe;
mod service;
mod service_cidr;
#[cfg(test)]
mod tests;
mod validate;

use std::fmt;

pub use defaults::DEFAULT_AFFINITY_TIMEOUT_SECONDS;
pub use endpoint_slice::{AddressType, Conditions, Endpoint, EndpointPort, EndpointSlice, Hints};
pub use leaf::{Address, Leaf, LeafValue, Number};
pub use metadata::{Annotations, Labels, Metadata, OurAnnotations};
pub use node::{Node, NodeAddress, NodeSpec, NodeStatus, Taint};
pub use probe::{AllDown, PROBE_ANNOTATION, Probe, ProbeKind};
pub use service::{
    ClientIpConfig, ClusterIp, IpMode, LoadBalancerIngress, LoadBalancerStatus, Service, ServicePort,
    ServiceSpec, ServiceStatus, ServiceType, SessionAffinity, SessionAffinityConfig,
};
pub use service_cidr::{ServiceCidr, ServiceCidrSpec};
pub use validate::FieldError;

/// An object of one of the kinds that we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// v1 Service; boxed because it is by far the largest and slices are many
    Service(Box<Service>),
    /// discovery.k8s.io/v1 EndpointSlice
    EndpointSlice(EndpointSlice),
    /// v1 Node
    Node(Node),
    /// networking.k8s.io/v1 ServiceCIDR
    ServiceCidr(ServiceCidr),
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// v1 Service
    Service,
    /// discovery.k8s.io/v1 EndpointSlice
    EndpointSlice,
    /// v1 Node
    Node,
    /// networking.k8s.io/v1 ServiceCIDR
    ServiceCidr,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Service, Kind::EndpointSlice, Kind::Node, Kind::ServiceCidr];

    /// As a document's `kind` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Service => "Service",
            Kind::EndpointSlice => "EndpointSlice",
            Kind::Node => "Node",
            Kind::ServiceCidr => "ServiceCIDR",
        }
    }

    /// The API group, empty for the core group.
    pub fn api_group(self) -> &'static str {
        match self {
            Kind::Service | Kind::Node => "",
            Kind::EndpointSlice => "discovery.k8s.io",
            Kind::ServiceCidr => "networking.k8s.io",
        }
    }

    /// Whether objects of this kind live in a namespace.
    pub fn is_namespaced(self) -> bool {
        matches!(self, Kind::Service | Kind::EndpointSlice)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An object's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// what it is
    pub kind: Kind,
    /// empty for cluster-scoped kinds
    pub namespace: Box<str>,
    /// its name
    pub name: Box<str>,
}

impl fmt::Display for ObjectKey {
    /// `Service default/web`, `Node n1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

impl Object {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Object::Service(_) => Kind::Service,
            Object::EndpointSlice(_) => Kind::EndpointSlice,
            Object::Node(_) => Kind::Node,
            Object::ServiceCidr(_) => Kind::ServiceCidr,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Object::Service(service) => &service.metadata,
            Object::EndpointSlice(slice) => &slice.metadata,
            Object::Node(node) => &node.metadata,
            Object::ServiceCidr(cidr) => &cidr.metadata,
        }
    }

    /// Its identity. A namespace on a cluster-scoped object does not count.
    pub fn key(&self) -> ObjectKey {
        let (kind, metadata) = (self.kind(), self.metadata());
        let namespace = if kind.is_namespaced() { metadata.namespace.clone() } else { "".into() };
        ObjectKey { kind, namespace, name: metadata.name.clone() }
    }

    /// Whether kube-proxy's watch would deliver it (reference §1.1). An object that stops being watched is
    /// to be treated as deleted.
    pub fn is_watched(&self) -> bool {
        match self {
            Object::Service(service) => {
                let headless = service.spec.cluster_ip == Some(Leaf::Valid(ClusterIp::Headless));
                !service.metadata.labels.has_proxy_name && !headless
            }
            Object::EndpointSlice(slice) => !slice.metadata.labels.is_headless,
            Object::Node(_) | Object::ServiceCidr(_) => true,
        }
    }
}

/// What a source tells the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectEvent {
    /// it is new, or now looks like this
    Applied(Object),
    /// it is gone
    Deleted(ObjectKey),
}

impl ObjectEvent {
    /// The object that it is about.
    pub fn key(&self) -> ObjectKey {
        match self {
            ObjectEvent::Applied(object) => object.key(),
            ObjectEvent::Deleted(key) => key.clone(),
        }
    }
}
