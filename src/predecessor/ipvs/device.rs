//! kube-proxy's device over rtnetlink: finds it, takes its addresses away one by one, deletes it; and has the
//! node speak from an address of its own to those that the device has.
//!
//! The last is because a node that opens a connection to an address of its own speaks from that address, so that
//! kube-proxy's would be the source of connections that our rules send to other machines: these could not
//! answer, and the connection would break when the address goes. A local route that names another source helps
//! (fib_prefsrc, in net/ipv4/route.c): kube-proxy's addresses remain the node's own, as established connections
//! need it, and nobody speaks from them any more. IPv6 refuses routes by a device that is down, so there it is
//! one by `lo`, in place of the one that came with the address.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::rtnetlink::{LOOPBACK, Rtnetlink};

/// RT_TABLE_LOCAL.
const LOCAL: u8 = 255;
/// What IPv6 makes of routes by rtnetlink that name no metric (IP6_RT_PRIO_USER). The kernel's own local routes
/// have 0.
const USERS: u32 = 1024;
/// No such route.
const NONE: [i32; 2] = [libc::ESRCH, libc::ENOENT];

/// What is asked of rtnetlink about the device.
pub struct Devices(Rtnetlink);

impl Devices {
    /// Opens a socket, in the network namespace of the calling thread.
    pub fn open() -> io::Result<Self> {
        Ok(Devices(Rtnetlink::open()?))
    }

    /// The index of a dummy device of this name.
    pub fn dummy(&mut self, name: &str) -> io::Result<Option<u32>> {
        let mut index = None;
        self.0.list(RouteNetlinkMessage::GetLink(LinkMessage::default()), |answer| {
            let RouteNetlinkMessage::NewLink(link) = answer else { return };
            let is_called =
                link.attributes.iter().any(|a| matches!(a, LinkAttribute::IfName(n) if n == name));
            let is_dummy = link.attributes.iter().any(|attribute| match attribute {
                LinkAttribute::LinkInfo(infos) => infos.contains(&LinkInfo::Kind(InfoKind::Dummy)),
                _ => false,
            });
            if is_called && is_dummy {
                index = Some(link.header.index);
            }
        })?;
        Ok(index)
    }

    /// Has the node speak from `source` to `address`, an address of the device.
    pub fn speak_from(&mut self, address: IpAddr, source: IpAddr, device: u32) -> io::Result<()> {
        let add = |devices: &mut Self, device, flags| {
            let mut route = local_route(address, device);
            route.attributes.push(RouteAttribute::PrefSource(source.into()));
            if address.is_ipv6() {
                route.attributes.push(RouteAttribute::Priority(USERS));
            }
            devices.0.order(RouteNetlinkMessage::NewRoute(route), flags)
        };
        if address.is_ipv4() {
            return add(self, device, NLM_F_CREATE | NLM_F_REPLACE);
        }
        add(self, LOOPBACK, NLM_F_CREATE | NLM_F_REPLACE)?;
        self.remove_route(address, device)
    }

    /// Takes an address away from the device, and the route that [`Devices::speak_from`] made.
    pub fn remove_address(&mut self, address: IpAddr, device: u32) -> io::Result<()> {
        if address.is_ipv6() {
            self.remove_route(address, LOOPBACK)?;
        }
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = whole(address);
        message.header.index = device;
        message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        match self.0.order(RouteNetlinkMessage::DelAddress(message), 0) {
            Err(error) if error.raw_os_error() != Some(libc::EADDRNOTAVAIL) => return Err(error),
            _ => {}
        }
        self.remove_route(address, device)
    }

    /// Deletes a device.
    pub fn remove_link(&mut self, index: u32) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        self.0.order(RouteNetlinkMessage::DelLink(link), 0)
    }

    fn remove_route(&mut self, address: IpAddr, device: u32) -> io::Result<()> {
        match self.0.order(RouteNetlinkMessage::DelRoute(local_route(address, device)), 0) {
            Err(error) if error.raw_os_error().is_none_or(|errno| !NONE.contains(&errno)) => Err(error),
            _ => Ok(()),
        }
    }
}

/// The route that makes an address the node's own.
fn local_route(address: IpAddr, device: u32) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = family(address);
    route.header.destination_prefix_length = whole(address);
    route.header.table = LOCAL;
    route.header.protocol = RouteProtocol::Kernel;
    route.header.scope = if address.is_ipv4() { RouteScope::Host } else { RouteScope::Universe };
    route.header.kind = RouteType::Local;
    route.attributes = vec![RouteAttribute::Destination(address.into()), RouteAttribute::Oif(device)];
    route
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn whole(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
