//! The sentences. Each says one thing that decided, in the words of the Service's own fields.

use std::net::IpAddr;

use super::Packet;
use super::origin::Origin;
use crate::fate::{
    Affinity, Choice, Fate, Frontend, FrontendKind, Masquerade, Policy, Route, Selection, Topology,
};
use crate::net::{Cidr, Family};
use crate::node::NodeState;
use crate::node_ports::NodePortAddresses;
use crate::scheduler::SCHEDULER_ANNOTATION;

/// `clusterIP 10.96.0.1:80/TCP`, `nodePort 30080/TCP`
pub(super) fn frontend(frontend: &Frontend, kind: FrontendKind) -> String {
    match frontend {
        Frontend::Address { .. } => format!("{kind} {frontend}"),
        Frontend::NodePort { protocol, port, .. } => format!("{kind} {port}/{protocol}"),
    }
}

fn destination(packet: &Packet) -> Frontend {
    Frontend::Address { ip: packet.to, protocol: packet.protocol, port: packet.port }
}

pub(super) fn source_of_other_family(packet: &Packet) -> String {
    let from = packet.from.map(|from| from.to_string()).unwrap_or_default();
    format!("{from} cannot send to {}, which is of the other family: taken for an unknown source", packet.to)
}

pub(super) fn claimed(packet: &Packet, fate: &Fate) -> String {
    match fate.kind {
        FrontendKind::NodePort => format!(
            "{} is an address on which this node serves NodePorts, and {}/{} is a nodePort of {}.",
            packet.to, packet.port, packet.protocol, fate.service
        ),
        kind => format!("{} is a {kind} of {}.", destination(packet), fate.service),
    }
}

pub(super) fn rival(rival: &Fate) -> String {
    format!("{} claims it too ({}), and comes second.", rival.service, rival.kind)
}

pub(super) fn source_range(from: Option<IpAddr>, range: Option<&Cidr>) -> String {
    match (from, range) {
        (Some(from), Some(range)) => format!("loadBalancerSourceRanges lets {from} in, through {range}."),
        (Some(from), None) => format!("{from} is outside loadBalancerSourceRanges."),
        (None, _) => "loadBalancerSourceRanges keeps unknown sources out.".into(),
    }
}

pub(super) fn by_origin(origin: Origin) -> &'static str {
    match origin {
        Origin::LocalPod => {
            "The source is a local pod: externalTrafficPolicy Local is for outsiders, it may use every endpoint."
        }
        Origin::ThisNode => {
            "The source is this node: externalTrafficPolicy Local is for outsiders, it may use every endpoint."
        }
        Origin::Elsewhere => {
            "The source is neither a local pod nor this node: externalTrafficPolicy Local applies to it."
        }
    }
}

/// The policy field that governs a frontend.
fn policy_field(fate: &Fate) -> &'static str {
    match fate.kind {
        FrontendKind::ClusterIp => "internalTrafficPolicy",
        _ => "externalTrafficPolicy",
    }
}

pub(super) fn choice(fate: &Fate, selection: &Selection, zone: Option<&str>) -> String {
    let field = policy_field(fate);
    let by_origin = matches!(fate.route, Route::ByOrigin { .. });
    match selection.choice {
        Choice { policy: Policy::Local, terminating: false, .. } => {
            format!("{field} is Local: only ready endpoints on this node are used.")
        }
        Choice { policy: Policy::Local, terminating: true, .. } => format!(
            "{field} is Local and no endpoint on this node is ready: those here that still serve while they \
             terminate stand in."
        ),
        Choice { terminating: true, .. } => {
            "No endpoint is ready: those that still serve while they terminate stand in.".into()
        }
        Choice { topology: Topology::SameNode, .. } => {
            "Every ready endpoint has hints for nodes and some name this node: only those are used.".into()
        }
        Choice { topology: Topology::SameZone, .. } => format!(
            "Every ready endpoint has hints for zones and some name this node's zone {:?}: only those are used.",
            zone.unwrap_or_default()
        ),
        Choice { topology: Topology::Everywhere, .. } if by_origin => {
            "No hint narrows the choice: every ready endpoint may be used.".into()
        }
        Choice { topology: Topology::Everywhere, .. } => {
            format!("{field} is Cluster and no hint narrows the choice: every ready endpoint may be used.")
        }
    }
}

pub(super) fn affinity(affinity: Affinity) -> String {
    format!(
        "sessionAffinity is ClientIP: a client keeps its backend until {} s after its last new connection.",
        affinity.timeout_seconds
    )
}

pub(super) fn scheduler(fate: &Fate, default: &str) -> String {
    let (scheduler, said_by) = match &fate.scheduler {
        Some(scheduler) => (&**scheduler, format!("the Service's annotation {SCHEDULER_ANNOTATION}")),
        None => (default, "the configuration's ipvs.scheduler".to_owned()),
    };
    let whom = if fate.affinity.is_some() { "a client that has none" } else { "each connection" };
    format!("IPVS chooses the backend of {whom}, by the scheduler {scheduler} ({said_by}).")
}

pub(super) fn masquerade(fate: &Fate, origin: Origin, masquerade_all: bool) -> String {
    match (&fate.route, fate.masquerade, origin) {
        (Route::ByOrigin { .. }, _, Origin::LocalPod) => "Local pods keep their source address.",
        (Route::ByOrigin { .. }, _, Origin::ThisNode) => "What this node sends is masqueraded.",
        (Route::ByOrigin { .. }, _, Origin::Elsewhere) => {
            "externalTrafficPolicy Local keeps the client's source address."
        }
        (_, Masquerade::Always, _) if masquerade_all && fate.kind == FrontendKind::ClusterIp => {
            "masqueradeAll is set: masqueraded."
        }
        (_, Masquerade::Always, _) => {
            "externalTrafficPolicy Cluster masquerades every source, since answers must come back this way."
        }
        (_, Masquerade::Never, _) => {
            "No detector of local pods is configured: every source is taken for a pod and keeps its address."
        }
        (_, Masquerade::UnlessLocalPod, Origin::LocalPod) => {
            "The source is a local pod and keeps its address."
        }
        (_, Masquerade::UnlessLocalPod, _) => "The source is not a local pod: masqueraded.",
    }
    .into()
}

pub(super) fn hairpin(from: IpAddr, only: bool) -> String {
    if only {
        format!("{from} is the only backend: its connection to itself (a hairpin) is masqueraded.")
    } else {
        format!(
            "{from} is one of the backends: if it is chosen, the connection to itself (a hairpin) is masqueraded."
        )
    }
}

pub(super) fn rejected(fate: &Fate) -> String {
    format!("No endpoint of {} is ready, nor one serving while it terminates, anywhere.", fate.service)
}

pub(super) fn dropped(fate: &Fate) -> String {
    format!(
        "{} is Local and no usable endpoint is on this node, though others have some.",
        policy_field(fate)
    )
}

pub(super) fn node_port_not_served(packet: &Packet, fate: &Fate, node: &NodeState) -> String {
    let place = match &node.node_port_addresses[Family::of(packet.to)] {
        NodePortAddresses::AnyLocal => "which is no address of this node".to_owned(),
        NodePortAddresses::Only(addresses) if addresses.is_empty() => {
            "nor on any other address: nodePortAddresses matches none of this node's".to_owned()
        }
        NodePortAddresses::Only(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            format!("only on {} (nodePortAddresses)", addresses.join(", "))
        }
    };
    format!(
        "{}/{} is a nodePort of {}, but NodePorts are not served on {}, {place}.",
        packet.port, packet.protocol, fate.service, packet.to
    )
}

pub(super) fn left_to_the_host(packet: &Packet) -> String {
    format!("{} is an address of this node and no Service has {}: left to the host.", packet.to, port(packet))
}

pub(super) fn unknown_port(packet: &Packet) -> String {
    format!("{} is a ClusterIP, but no Service has {} there.", packet.to, port(packet))
}

pub(super) fn unallocated(packet: &Packet, prefix: &Cidr) -> String {
    format!("{} is inside the service prefix {prefix}, but is nobody's ClusterIP.", packet.to)
}

pub(super) fn nobodys(packet: &Packet) -> String {
    format!("No Service has {}: left to the network.", destination(packet))
}

fn port(packet: &Packet) -> String {
    format!("port {}/{}", packet.port, packet.protocol)
}
