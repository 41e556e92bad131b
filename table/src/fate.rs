//! Frontends and fates: what the table says, in the terms of reference §§2–6.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::net::{Cidr, Family, Protocol};

/// What a packet is addressed to (reference §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Frontend {
    /// A service address: ClusterIP, externalIP or load balancer IP.
    Address {
        /// destination address
        ip: IpAddr,
        /// transport protocol
        protocol: Protocol,
        /// destination port
        port: u16,
    },
    /// A port on every accepted address of this node (reference §3.3).
    NodePort {
        /// the family whose node addresses are meant
        family: Family,
        /// transport protocol
        protocol: Protocol,
        /// destination port
        port: u16,
    },
}

impl Frontend {
    /// The family whose table holds this frontend.
    pub fn family(&self) -> Family {
        match self {
            Frontend::Address { ip, .. } => Family::of(*ip),
            Frontend::NodePort { family, .. } => *family,
        }
    }

    /// The transport protocol.
    pub fn protocol(&self) -> Protocol {
        match self {
            Frontend::Address { protocol, .. } | Frontend::NodePort { protocol, .. } => *protocol,
        }
    }

    /// The destination port.
    pub fn port(&self) -> u16 {
        match self {
            Frontend::Address { port, .. } | Frontend::NodePort { port, .. } => *port,
        }
    }
}

impl fmt::Display for Frontend {
    /// `10.96.0.1:80/TCP`, `[fd00::1]:80/TCP`, `node-port(IPv4):30080/TCP`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frontend::Address { ip: IpAddr::V4(ip), protocol, port } => write!(f, "{ip}:{port}/{protocol}"),
            Frontend::Address { ip: IpAddr::V6(ip), protocol, port } => write!(f, "[{ip}]:{port}/{protocol}"),
            Frontend::NodePort { family, protocol, port } => {
                write!(f, "node-port({family}):{port}/{protocol}")
            }
        }
    }
}

/// Why an address belongs to a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FrontendKind {
    /// `spec.clusterIPs`
    ClusterIp,
    /// `status.loadBalancer.ingress[].ip` in VIP mode
    LoadBalancer,
    /// `spec.externalIPs`
    ExternalIp,
    /// `spec.ports[].nodePort`
    NodePort,
}

impl fmt::Display for FrontendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrontendKind::ClusterIp => "clusterIP",
            FrontendKind::LoadBalancer => "load balancer IP",
            FrontendKind::ExternalIp => "externalIP",
            FrontendKind::NodePort => "nodePort",
        })
    }
}

/// The name of one port of one Service: `namespace/name:port` (`namespace/name` when the port has no name).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServicePortName {
    /// the Service's namespace
    pub namespace: Box<str>,
    /// the Service's name
    pub name: Box<str>,
    /// `spec.ports[].name`, may be empty
    pub port: Box<str>,
}

impl fmt::Display for ServicePortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)?;
        if !self.port.is_empty() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl Serialize for ServicePortName {
    /// As text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One address that connections are sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Backend {
    /// destination address after DNAT
    pub ip: IpAddr,
    /// destination port after DNAT
    pub port: u16,
}

impl fmt::Display for Backend {
    /// `10.0.0.1:80`, `[fd00::1]:80`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

impl Serialize for Backend {
    /// As text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A traffic policy, internal or external (reference §1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// any endpoint
    #[default]
    Cluster,
    /// endpoints on this node only
    Local,
}

/// Which topology hint narrowed the cluster's endpoints (reference §2 step A).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topology {
    /// none: every ready endpoint
    Everywhere,
    /// endpoints with a hint for this node
    SameNode,
    /// endpoints with a hint for this node's zone
    SameZone,
}

/// How a [`Selection`] came about; for people, not for programming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// restricted to this node's endpoints by a traffic policy
    pub policy: Policy,
    /// narrowed by hints (never with [`Policy::Local`])
    pub topology: Topology,
    /// no endpoint in scope is ready: serving, terminating ones stand in (reference §2 step B)
    pub terminating: bool,
}

/// The backends that a connection is spread over, uniformly, and how they were chosen. Never empty; sorted,
/// without duplicates. Frontends of one service port share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// the backends
    pub backends: Arc<[Backend]>,
    /// why these
    pub choice: Choice,
}

/// What one kind of source gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// DNAT to one of these.
    Backends(Selection),
    /// ICMP port unreachable: no usable endpoint anywhere (reference §3.2).
    Reject,
    /// Silence: a Local policy and none here, some elsewhere (reference §3.2).
    Drop,
}

/// Whether the source of a connection matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// It does not.
    Everyone(Target),
    /// externalTrafficPolicy Local on an external frontend (reference §3.4): local pods get `inside`,
    /// not masqueraded; sources that are addresses of this node get `inside`, masqueraded; everyone else
    /// gets `outside`, not masqueraded.
    ByOrigin {
        /// the cluster's endpoints
        inside: Target,
        /// this node's endpoints
        outside: Target,
    },
}

/// Which sources of a [`Route::Everyone`] are masqueraded, hairpins aside (reference §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Masquerade {
    /// nobody
    Never,
    /// everybody but local pods, as the family's detector tells them
    UnlessLocalPod,
    /// everybody
    Always,
}

/// Session affinity by client IP (reference §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Affinity {
    /// seconds since the client's last new connection after which its backend is forgotten
    pub timeout_seconds: u32,
}

/// What becomes of a new connection to a frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// whose frontend it is
    pub service: Arc<ServicePortName>,
    /// which field of the Service made it
    pub kind: FrontendKind,
    /// `loadBalancerSourceRanges`: sources outside are dropped before anything else. None: no restriction.
    /// Without nested prefixes, sorted; the node exception of reference §5 is in it.
    pub sources: Option<Arc<[Cidr]>>,
    /// session affinity
    pub affinity: Option<Affinity>,
    /// the scheduler of IPVS that the Service asks for ([`crate::parse_scheduler`]); None: the configuration's. Its
    /// frontends share the text.
    pub scheduler: Option<Arc<str>>,
    /// masquerading of [`Route::Everyone`]; [`Route::ByOrigin`] says its own
    pub masquerade: Masquerade,
    /// where it goes
    pub route: Route,
}

impl Fate {
    /// The selections that its connections are spread over: none, one, or (by origin) two.
    pub fn selections(&self) -> impl Iterator<Item = &Selection> {
        self.scoped_selections().map(|(_, selection)| selection)
    }

    /// The same, and of each whether it is only for sources from outside, under externalTrafficPolicy Local.
    pub fn scoped_selections(&self) -> impl Iterator<Item = (bool, &Selection)> {
        let (first, second) = match &self.route {
            Route::Everyone(target) => (target, None),
            Route::ByOrigin { inside, outside } => (inside, Some(outside)),
        };
        [Some((false, first)), second.map(|target| (true, target))].into_iter().flatten().filter_map(
            |(is_outside, target)| match target {
                Target::Backends(selection) => Some((is_outside, selection)),
                Target::Reject | Target::Drop => None,
            },
        )
    }
}
