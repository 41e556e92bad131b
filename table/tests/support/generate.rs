//! Random sets of objects. Names, addresses, ports, zones and nodes come from small pools, so that Services
//! contest frontends, slices move between Services and endpoints are duplicated.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kube_verdict_table::objects::{
    AddressType, ClientIpConfig, ClusterIp, Conditions, Endpoint, EndpointPort, EndpointSlice, Hints, IpMode,
    Labels, Leaf, LoadBalancerIngress, LoadBalancerStatus, Metadata, Object, ObjectKey, OurAnnotations,
    Service, ServiceCidr, ServiceCidrSpec, ServicePort, ServiceSpec, ServiceStatus, ServiceType,
    SessionAffinity, SessionAffinityConfig,
};
use kube_verdict_table::{
    Balancer, Cidr, Family, LocalDetector, NodePortAddresses, NodeState, PerFamily, Policy, Protocol,
    Settings,
};
use proptest::prelude::*;
use proptest::sample::select;

/// A set of objects, each once.
pub(crate) type Objects = BTreeMap<ObjectKey, Object>;

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn metadata(namespace: &str, name: String, labels: Labels) -> Metadata {
    Metadata { namespace: namespace.into(), name: name.into(), labels, ..Metadata::default() }
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Option<T>> {
    prop_oneof![2 => Just(None), 3 => select(values).prop_map(Some)]
}

fn vip(family: Family) -> impl Strategy<Value = IpAddr> {
    (1..6u8).prop_map(move |n| match family {
        Family::V4 => ip(&format!("10.96.0.{n}")),
        Family::V6 => ip(&format!("fd00:96::{n}")),
    })
}

fn any_vip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![vip(Family::V4), vip(Family::V6)]
}

fn leaf<T>(value: T) -> Leaf<T> {
    Leaf::Valid(value)
}

fn service_port() -> impl Strategy<Value = ServicePort> {
    let names = select(vec!["a", "a", "a", ""]);
    let protocols = select(vec![Protocol::Tcp, Protocol::Tcp, Protocol::Tcp, Protocol::Udp]);
    (names, 80..82i64, protocols, maybe(vec![30080i64, 30081])).prop_map(
        |(name, port, protocol, node_port)| ServicePort {
            name: name.into(),
            port: Some(leaf(port)),
            protocol: Some(leaf(protocol)),
            node_port: node_port.map(leaf),
        },
    )
}

/// As an API server lets them through: names, numbers and node ports of a protocol each once.
fn service_ports() -> impl Strategy<Value = Vec<ServicePort>> {
    proptest::collection::vec(service_port(), 1..4).prop_map(|ports| {
        let mut kept: Vec<ServicePort> = Vec::new();
        for port in ports {
            let clashes = |other: &ServicePort| {
                let same_number = other.port == port.port;
                let same_node_port = port.node_port.is_some() && other.node_port == port.node_port;
                other.name == port.name || other.protocol == port.protocol && (same_number || same_node_port)
            };
            if !kept.iter().any(clashes) {
                kept.push(port);
            }
        }
        kept
    })
}

fn cluster_ips() -> impl Strategy<Value = Vec<IpAddr>> {
    prop_oneof![
        1 => Just(Vec::new()),
        4 => vip(Family::V4).prop_map(|ip| vec![ip]),
        2 => vip(Family::V6).prop_map(|ip| vec![ip]),
        3 => (vip(Family::V6), vip(Family::V4)).prop_map(|(a, b)| vec![a, b]),
    ]
}

fn ranges() -> impl Strategy<Value = Vec<Cidr>> {
    let pool = ["10.0.0.0/24", "192.168.0.0/24", "10.0.0.4/30", "fd00::/64", "fd00:1::/64"];
    let pool: Vec<Cidr> = pool.iter().map(|text| text.parse().unwrap()).collect();
    prop_oneof![2 => Just(Vec::new()), 1 => proptest::collection::vec(select(pool), 1..3)]
}

fn service_spec() -> impl Strategy<Value = ServiceSpec> {
    let types = [ServiceType::NodePort, ServiceType::LoadBalancer].repeat(3);
    let types = [types, vec![ServiceType::ExternalName]].concat();
    let policies = || maybe(vec![Policy::Cluster, Policy::Local]);
    (
        proptest::option::weighted(0.6, select(types)),
        cluster_ips(),
        service_ports(),
        proptest::collection::vec(any_vip(), 0..2),
        ranges(),
        (policies(), policies()),
        maybe(vec![(SessionAffinity::ClientIp, 5i64), (SessionAffinity::None, 5)]),
    )
        .prop_map(|(service_type, cluster_ips, ports, external_ips, ranges, policies, affinity)| {
            let cluster_ips: Vec<_> = cluster_ips.into_iter().map(|ip| leaf(ClusterIp::Ip(ip))).collect();
            ServiceSpec {
                service_type: service_type.map(leaf),
                cluster_ip: cluster_ips.first().cloned(),
                cluster_ips,
                ports,
                external_ips: external_ips.into_iter().map(leaf).collect(),
                load_balancer_source_ranges: ranges.into_iter().map(leaf).collect(),
                external_traffic_policy: policies.0.map(leaf),
                internal_traffic_policy: policies.1.map(leaf),
                session_affinity: affinity.map(|(affinity, _)| leaf(affinity)),
                session_affinity_config: SessionAffinityConfig {
                    client_ip: ClientIpConfig { timeout_seconds: affinity.map(|(_, timeout)| leaf(timeout)) },
                },
                health_check_node_port: Some(leaf(32000)),
                ..ServiceSpec::default()
            }
        })
}

fn service() -> impl Strategy<Value = Object> {
    let ingress = (any_vip(), maybe(vec![IpMode::Vip, IpMode::Proxy]))
        .prop_map(|(ip, mode)| LoadBalancerIngress { ip: Some(leaf(ip)), ip_mode: mode.map(leaf) });
    let identity = (select(vec!["x", "x", "x", "y"]), 1..5u8);
    let created = maybe(vec!["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]);
    let scheduler = proptest::option::weighted(0.2, select(vec!["lc", "sh, sh-port", "no such thing"]));
    let ingress = proptest::collection::vec(ingress, 0..2);
    (identity, (created, scheduler), proptest::bool::weighted(0.1), service_spec(), ingress).prop_map(
        |((namespace, n), (created, scheduler), has_proxy_name, spec, ingress)| {
            let labels = Labels { has_proxy_name, ..Labels::default() };
            let mut metadata = metadata(namespace, format!("s{n}"), labels);
            metadata.creation_timestamp = created.map(Box::from);
            metadata.annotations.ours = scheduler.map(|text| {
                Box::new(OurAnnotations { ipvs_scheduler: Some(text.into()), ..OurAnnotations::default() })
            });
            let status = ServiceStatus { load_balancer: LoadBalancerStatus { ingress } };
            let mut object = Object::Service(Box::new(Service { kind: (), metadata, spec, status }));
            object.apply_api_defaults();
            object
        },
    )
}

fn endpoint(family: Family, hinted: (bool, bool)) -> impl Strategy<Value = Endpoint> {
    let condition = || proptest::bool::weighted(0.6);
    let place = maybe(vec!["n1", "n1", "n2"]);
    let zones = proptest::collection::vec(select(vec!["a", "b"]), 1..3);
    let nodes = proptest::collection::vec(select(vec!["n1", "n2"]), 1..3);
    let conditions = (condition(), condition(), proptest::bool::weighted(0.5));
    (1..9u8, conditions, place, zones, nodes, proptest::bool::weighted(0.9)).prop_map(
        move |(n, (ready, serving, terminating), node, zones, nodes, keeps_hints)| {
            let address = match family {
                Family::V4 => ip(&format!("10.0.0.{n}")),
                Family::V6 => ip(&format!("fd00::{n}")),
            };
            let names = |wanted: bool, names: Vec<&str>| {
                let wanted = wanted && keeps_hints;
                names.into_iter().filter(|_| wanted).map(Box::from).collect::<Box<[Box<str>]>>()
            };
            let hints = Hints { for_zones: names(hinted.0, zones), for_nodes: names(hinted.1, nodes) };
            Endpoint {
                address: Some(leaf(address)),
                conditions: Conditions { ready, serving, terminating },
                node_name: node.map(Box::from),
                hints: (hints != Hints::default()).then(|| Box::new(hints)),
            }
        },
    )
}

fn slice() -> impl Strategy<Value = Object> {
    let ports = proptest::collection::vec((select(vec!["a", "a", "a", ""]), 8080..8082i64), 1..3);
    let identity = (
        select(vec!["x", "x", "x", "y"]),
        1..13u8,
        proptest::option::weighted(0.95, select(vec!["s1", "s2", "s3", "s4"])),
    );
    let family = select(vec![Family::V4, Family::V4, Family::V6]);
    let endpoints = (family, any::<(bool, bool)>()).prop_flat_map(|(family, hinted)| {
        (Just(family), proptest::collection::vec(endpoint(family, hinted), 0..5))
    });
    let protocol = select(vec![Protocol::Tcp, Protocol::Tcp, Protocol::Tcp, Protocol::Udp]);
    (identity, ports, endpoints, protocol, proptest::bool::weighted(0.1)).prop_map(
        |((namespace, n, owner), ports, (family, endpoints), protocol, is_headless)| {
            let labels = Labels { is_headless, service_name: owner.map(Box::from), ..Labels::default() };
            let port = |(name, port): (&str, i64)| EndpointPort {
                name: name.into(),
                protocol: Some(leaf(protocol)),
                port: Some(leaf(port)),
            };
            Object::EndpointSlice(EndpointSlice {
                kind: (),
                metadata: metadata(namespace, format!("e{n}"), labels),
                address_type: Some(leaf(AddressType::Ip(family))),
                endpoints: endpoints.into(),
                ports: ports.into_iter().map(port).collect(),
            })
        },
    )
}

fn service_cidr() -> impl Strategy<Value = Object> {
    let pool = ["10.96.0.0/16", "10.96.0.0/24", "fd00:96::/64"].map(|text| text.parse::<Cidr>().unwrap());
    (1..3u8, select(pool.to_vec())).prop_map(|(n, cidr)| {
        Object::ServiceCidr(ServiceCidr {
            kind: (),
            metadata: metadata("", format!("c{n}"), Labels::default()),
            spec: ServiceCidrSpec { cidrs: vec![leaf(cidr)] },
        })
    })
}

/// Any object of the universe.
pub(crate) fn object() -> impl Strategy<Value = Object> {
    prop_oneof![5 => service(), 7 => slice(), 1 => service_cidr()]
}

/// A set of them.
pub(crate) fn objects() -> impl Strategy<Value = Objects> {
    proptest::collection::vec(object(), 0..40)
        .prop_map(|objects| objects.into_iter().map(|object| (object.key(), object)).collect())
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let source = |prefix: &str| LocalDetector::Source(vec![prefix.parse().unwrap()]);
    let detectors = (
        maybe(vec![source("10.0.0.0/29"), LocalDetector::Interface("cni0".into())]),
        maybe(vec![source("fd00::/64"), LocalDetector::InterfacePrefix("veth".into())]),
    );
    (detectors, proptest::bool::weighted(0.2), proptest::bool::weighted(0.9)).prop_map(
        |((v4, v6), masquerade_all, allow_external_ips)| Settings {
            node_name: "n1".into(),
            detector: PerFamily { v4, v6 },
            masquerade_all,
            allow_external_ips,
            balancer: Balancer::Random,
        },
    )
}

pub(crate) fn node() -> impl Strategy<Value = NodeState> {
    let addresses = || {
        let only = NodePortAddresses::Only([ip("192.168.0.1"), ip("fd00:1::1")].into());
        select(vec![NodePortAddresses::AnyLocal, only, NodePortAddresses::default()])
    };
    (maybe(vec!["a", "b", ""]), (addresses(), addresses()), any::<bool>()).prop_map(
        |(zone, (v4, v6), known)| {
            let local = ["127.0.0.1", "::1", "192.168.0.1", "fd00:1::1", "10.96.0.5"];
            NodeState {
                node_ips: PerFamily {
                    v4: known.then(|| ip("192.168.0.1")),
                    v6: known.then(|| ip("fd00:1::1")),
                },
                local_addresses: local.iter().map(|text| ip(text)).collect(),
                zone: zone.map(str::to_owned),
                node_port_addresses: PerFamily { v4, v6 },
            }
        },
    )
}
