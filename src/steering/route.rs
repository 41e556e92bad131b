//! Our route, and routes as the kernel lists them (linux/rtnetlink.h).

use kube_verdict_table::Family;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteScope, RouteType};

use super::{PROTOCOL, TABLE};
use crate::rtnetlink::LOOPBACK;

/// `local default dev lo`
pub(super) fn wanted(family: Family) -> RouteMessage {
    let mut route = question(family);
    route.header.protocol = PROTOCOL.into();
    route.header.kind = RouteType::Local;
    if family == Family::V4 {
        route.header.scope = RouteScope::Host;
    }
    route.attributes.push(RouteAttribute::Oif(LOOPBACK));
    route
}

/// The routes of the table.
pub(super) fn question(family: Family) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = address_family(family);
    route.attributes = vec![RouteAttribute::Table(TABLE)];
    route
}

/// Whether it delivers everything locally, whoever made it.
pub(super) fn is_wanted(route: &RouteMessage) -> bool {
    is_in_table(route)
        && route.header.kind == RouteType::Local
        && route.header.destination_prefix_length == 0
        && route.header.source_prefix_length == 0
        && route.header.tos == 0
        && route.attributes.contains(&RouteAttribute::Oif(LOOPBACK))
}

/// Whether we made it, now or earlier.
pub(super) fn is_ours(route: &RouteMessage) -> bool {
    is_in_table(route) && u8::from(route.header.protocol) == PROTOCOL
}

pub(super) fn is_in_table(route: &RouteMessage) -> bool {
    route.attributes.contains(&RouteAttribute::Table(TABLE))
}

pub(super) fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}
