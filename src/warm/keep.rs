//! Objects as bytes, and back: the fields that make a table (reference §1.2 to §1.4), field by field in the order of
//! their definition. Pure.
//!
//! A slice is kept as this node sees it, and the file says whose it is: of an endpoint's node, and of its hints by
//! node, only whether they mean this one. Left out is what no table is made of: versions, when a change was triggered,
//! how endpoints are asked for their health (what came of it is in the slice).
//!
//! A struct's fields are all named here, so one that is added does not compile until it is decided what becomes of it;
//! then [`VERSION`](super::file::VERSION) goes up.

use std::net::IpAddr;

use kube_verdict_table::objects::{
    AddressType, Annotations, ClientIpConfig, ClusterIp, Conditions, Endpoint, EndpointPort, EndpointSlice,
    Hints, IpMode, Kind, Labels, Leaf, LoadBalancerIngress, LoadBalancerStatus, Metadata, Node, NodeAddress,
    NodeSpec, NodeStatus, Object, ObjectKey, OurAnnotations, Service, ServiceCidr, ServiceCidrSpec,
    ServicePort, ServiceSpec, ServiceStatus, ServiceType, SessionAffinity, SessionAffinityConfig, Taint,
};
use kube_verdict_table::{Cidr, Family, Policy, Protocol};

use super::bytes::{Read, Reader, Wrong, put_chunk, put_number};

/// What can be kept. `node` is this node's name.
trait Keep: Sized {
    fn put(&self, node: &str, out: &mut Vec<u8>);
    fn take(from: &mut Reader<'_>, node: &str) -> Read<Self>;
}

/// Structs: their fields, one after the other.
macro_rules! fields {
    ($type:ident { $($field:ident),* $(,)? } $(without { $($left_out:ident),* })?) => {
        impl Keep for $type {
            fn put(&self, node: &str, out: &mut Vec<u8>) {
                let $type { $($field,)* $($($left_out: _,)*)? } = self;
                $($field.put(node, out);)*
            }

            fn take(from: &mut Reader<'_>, node: &str) -> Read<Self> {
                Ok($type {
                    $($field: Keep::take(from, node)?,)*
                    $($($left_out: Default::default(),)*)?
                })
            }
        }
    };
}

/// Enums: a byte for each value.
macro_rules! values {
    ($type:ident { $($pattern:pat => $number:literal = $value:expr),* $(,)? }) => {
        impl Keep for $type {
            fn put(&self, _: &str, out: &mut Vec<u8>) {
                out.push(match self { $($pattern => $number,)* });
            }

            fn take(from: &mut Reader<'_>, _: &str) -> Read<Self> {
                match from.byte()? { $($number => Ok($value),)* _ => Err(Wrong) }
            }
        }
    };
}

fields!(Service { metadata, spec, status } without { kind });
fields!(ServiceSpec {
    service_type,
    cluster_ip,
    cluster_ips,
    ip_families,
    ports,
    external_ips,
    load_balancer_source_ranges,
    external_traffic_policy,
    internal_traffic_policy,
    session_affinity,
    session_affinity_config,
    health_check_node_port,
});
fields!(ServicePort { name, port, protocol, node_port });
fields!(SessionAffinityConfig { client_ip });
fields!(ClientIpConfig { timeout_seconds });
fields!(ServiceStatus { load_balancer });
fields!(LoadBalancerStatus { ingress });
fields!(LoadBalancerIngress { ip, ip_mode });
fields!(EndpointSlice { metadata, address_type, endpoints, ports } without { kind });
fields!(EndpointPort { name, protocol, port });
fields!(Node { metadata, spec, status } without { kind });
fields!(NodeSpec { pod_cidr, pod_cidrs, taints });
fields!(NodeStatus { addresses });
fields!(NodeAddress { address_type, address });
fields!(Taint { key });
fields!(ServiceCidr { metadata, spec } without { kind });
fields!(ServiceCidrSpec { cidrs });
fields!(Metadata { namespace, name, creation_timestamp, deletion_timestamp, labels, annotations }
    without { resource_version });
fields!(Labels { has_proxy_name, is_headless, service_name, zone });
fields!(Annotations { ours } without { last_change_trigger_time });
fields!(OurAnnotations { ipvs_scheduler } without { health_check });

values!(bool { false => 0 = false, true => 1 = true });
values!(Family { Family::V4 => 4 = Family::V4, Family::V6 => 6 = Family::V6 });
values!(Protocol {
    Protocol::Tcp => 6 = Protocol::Tcp,
    Protocol::Udp => 17 = Protocol::Udp,
    Protocol::Sctp => 132 = Protocol::Sctp,
});
values!(Policy { Policy::Cluster => 0 = Policy::Cluster, Policy::Local => 1 = Policy::Local });
values!(ServiceType {
    ServiceType::ClusterIp => 0 = ServiceType::ClusterIp,
    ServiceType::NodePort => 1 = ServiceType::NodePort,
    ServiceType::LoadBalancer => 2 = ServiceType::LoadBalancer,
    ServiceType::ExternalName => 3 = ServiceType::ExternalName,
});
values!(SessionAffinity {
    SessionAffinity::None => 0 = SessionAffinity::None,
    SessionAffinity::ClientIp => 1 = SessionAffinity::ClientIp,
});
values!(IpMode { IpMode::Vip => 0 = IpMode::Vip, IpMode::Proxy => 1 = IpMode::Proxy });
values!(AddressType {
    AddressType::Ip(Family::V4) => 4 = AddressType::Ip(Family::V4),
    AddressType::Ip(Family::V6) => 6 = AddressType::Ip(Family::V6),
    AddressType::Fqdn => 0 = AddressType::Fqdn,
});
values!(Kind {
    Kind::Service => 1 = Kind::Service,
    Kind::EndpointSlice => 2 = Kind::EndpointSlice,
    Kind::Node => 3 = Kind::Node,
    Kind::ServiceCidr => 4 = Kind::ServiceCidr,
});

impl Keep for i64 {
    fn put(&self, _: &str, out: &mut Vec<u8>) {
        // Zigzag: small numbers of either sign are short.
        put_number(out, ((self << 1) ^ (self >> 63)).cast_unsigned());
    }

    fn take(from: &mut Reader<'_>, _: &str) -> Read<Self> {
        let number = from.number()?;
        Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }
}

impl Keep for Box<str> {
    fn put(&self, _: &str, out: &mut Vec<u8>) {
        put_chunk(out, self.as_bytes());
    }

    fn take(from: &mut Reader<'_>, _: &str) -> Read<Self> {
        from.text().map(Into::into)
    }
}

impl Keep for IpAddr {
    fn put(&self, _: &str, out: &mut Vec<u8>) {
        match self {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
    }

    fn take(from: &mut Reader<'_>, _: &str) -> Read<Self> {
        match from.byte()? {
            4 => from.array::<4>().map(IpAddr::from),
            6 => from.array::<16>().map(IpAddr::from),
            _ => Err(Wrong),
        }
    }
}

impl Keep for Cidr {
    fn put(&self, node: &str, out: &mut Vec<u8>) {
        self.first().put(node, out);
        out.push(self.length());
    }

    fn take(from: &mut Reader<'_>, node: &str) -> Read<Self> {
        let ip = IpAddr::take(from, node)?;
        Cidr::new(ip, from.byte()?).ok_or(Wrong)
    }
}

impl Keep for ClusterIp {
    fn put(&self, node: &str, out: &mut Vec<u8>) {
        self.ip().put(node, out);
    }

    fn take(from: &mut Reader<'_>, node: &str) -> Read<Self> {
        let ip: Option<IpAddr> = Keep::take(from, node)?;
        Ok(ip.map_or(ClusterIp::Headless, ClusterIp::Ip))
    }
}

impl<T: Keep> Keep for Option<T> {
    fn put(&self, node: &str, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(node, out);
        }
    }

    fn take(from: &mut Reader<'_>, node: &str) -> Read<Self> {
        bool::take(from, node)?.then(|| T::take(from, node)).transpose()
    }
}

impl<T: Keep> Keep for Leaf<T> {
    fn put(&self, node: &str, out: &mut Vec<u8>) {
        match self {
            Leaf::Valid(value) => {
                out.push(0);
                value.put(node, out);
            }
            Leaf::Invalid(text) => {
                out.push(1);
                text.put(node, out);
            }
        }
    }

    fn take(from: &mut Reader<'_>, node: &str) -> Read<Self> {
        match from.byte()? {
            0 => T::take(from, node).map(Leaf::Valid),
            1 => Keep::take(from, node).map(Leaf::Invalid),
            _ => Err(Wrong),
        }
    }
}

impl<T: Keep> Keep for Vec<T> {
    fn put(&self, node: &str, out: &mut Vec<u8>) {
        put_all(self, node, out);
    }

    fn take(from: &mut Reader<'_>, node: &str) -> Read<Self> {
        // Grows as it is read: a count that lies costs nothing.
        (0..from.count()?).map(|_| T::take(from, node)).collect()
    }
}

impl<T: Keep> Keep for Box<[T]> {
    fn put(&self, node: &str, out: &mut Vec<u8>) {
        put_all(self, node, out);
    }

    fn take(from: &mut Reader<'_>, node: &str) -> Read<Self> {
        Vec::take(from, node).map(Into::into)
    }
}

impl<T: Keep> Keep for Box<T> {
    fn put(&self, node: &str, out: &mut Vec<u8>) {
        T::put(self, node, out);
    }

    fn take(from: &mut Reader<'_>, node: &str) -> Read<Self> {
        T::take(from, node).map(Box::new)
    }
}

fn put_all<T: Keep>(items: &[T], node: &str, out: &mut Vec<u8>) {
    put_number(out, items.len() as u64);
    items.iter().for_each(|item| item.put(node, out));
}

/// Bits of an endpoint.
mod flag {
    pub(super) const READY: u8 = 1;
    pub(super) const SERVING: u8 = 1 << 1;
    pub(super) const TERMINATING: u8 = 1 << 2;
    pub(super) const HAS_NODE: u8 = 1 << 3;
    pub(super) const IS_HERE: u8 = 1 << 4;
    pub(super) const NODE_HINTS: u8 = 1 << 5;
    pub(super) const HINTS_HERE: u8 = 1 << 6;
    pub(super) const ZONE_HINTS: u8 = 1 << 7;
}

/// The name of a node that is another one: none has it.
const ELSEWHERE: &str = "";

impl Keep for Endpoint {
    fn put(&self, node: &str, out: &mut Vec<u8>) {
        let Endpoint { address, conditions, node_name, hints } = self;
        let Conditions { ready, serving, terminating } = *conditions;
        let (zones, nodes) =
            hints.as_deref().map_or((&[][..], &[][..]), |hints| (&*hints.for_zones, &*hints.for_nodes));
        let bits = [
            (flag::READY, ready),
            (flag::SERVING, serving),
            (flag::TERMINATING, terminating),
            (flag::HAS_NODE, node_name.is_some()),
            (flag::IS_HERE, node_name.as_deref() == Some(node)),
            (flag::NODE_HINTS, !nodes.is_empty()),
            (flag::HINTS_HERE, nodes.iter().any(|hint| **hint == *node)),
            (flag::ZONE_HINTS, !zones.is_empty()),
        ];
        out.push(bits.into_iter().filter_map(|(bit, is_set)| is_set.then_some(bit)).sum());
        address.put(node, out);
        if !zones.is_empty() {
            put_all(zones, node, out);
        }
    }

    fn take(from: &mut Reader<'_>, node: &str) -> Read<Self> {
        let bits = from.byte()?;
        let has = |bit| bits & bit != 0;
        let name = |is_here| Box::from(if is_here { node } else { ELSEWHERE });
        let address = Keep::take(from, node)?;
        let for_zones = if has(flag::ZONE_HINTS) { Keep::take(from, node)? } else { Box::default() };
        let for_nodes: Box<[Box<str>]> =
            has(flag::NODE_HINTS).then(|| name(has(flag::HINTS_HERE))).into_iter().collect();
        let hints = Hints { for_zones, for_nodes };
        Ok(Endpoint {
            address,
            conditions: Conditions {
                ready: has(flag::READY),
                serving: has(flag::SERVING),
                terminating: has(flag::TERMINATING),
            },
            node_name: has(flag::HAS_NODE).then(|| name(has(flag::IS_HERE))),
            hints: (hints != Hints::default()).then(|| Box::new(hints)),
        })
    }
}

/// What tells an object from all others.
pub(super) fn key(key: &ObjectKey) -> Box<[u8]> {
    let ObjectKey { kind, namespace, name } = key;
    let mut out = Vec::with_capacity(namespace.len() + name.len() + 5);
    kind.put("", &mut out);
    namespace.put("", &mut out);
    name.put("", &mut out);
    out.into()
}

/// An object, as the node of this name sees it.
pub(super) fn object(object: &Object, node: &str) -> Box<[u8]> {
    let mut out = Vec::with_capacity(256);
    object.kind().put(node, &mut out);
    match object {
        Object::Service(service) => service.put(node, &mut out),
        Object::EndpointSlice(slice) => slice.put(node, &mut out),
        Object::Node(own) => own.put(node, &mut out),
        Object::ServiceCidr(cidr) => cidr.put(node, &mut out),
    }
    out.into()
}

/// An object that the node of this name kept; all of the bytes.
pub(super) fn read(bytes: &[u8], node: &str) -> Read<Object> {
    let mut from = Reader::new(bytes);
    let object = match Kind::take(&mut from, node)? {
        Kind::Service => Object::Service(Keep::take(&mut from, node)?),
        Kind::EndpointSlice => Object::EndpointSlice(Keep::take(&mut from, node)?),
        Kind::Node => Object::Node(Keep::take(&mut from, node)?),
        Kind::ServiceCidr => Object::ServiceCidr(Keep::take(&mut from, node)?),
    };
    if from.left() == 0 { Ok(object) } else { Err(Wrong) }
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
