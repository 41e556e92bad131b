//! What changes something in IPVS. An order is written straight to the end of a buffer, without the lists of
//! attributes that it consists of, for there may be as many as a cluster has endpoints.

use netlink_packet_core::NLA_F_NESTED;

use crate::message::VERSION;
use crate::virtual_server::{netmask, octets};
use crate::{Command, Key, Name, RealServer, VirtualServer};
use crate::{CommandAttribute, Message, real_server::Tunnel};

/// One order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// make a virtual server
    Add(VirtualServer),
    /// change everything of a virtual server but its key
    Change(VirtualServer),
    /// delete a virtual server, and its real ones
    Delete(Key),
    /// add a real server to a virtual one
    AddTo(Key, RealServer),
    /// change a real server of a virtual one
    ChangeIn(Key, RealServer),
    /// take a real server away from a virtual one
    DeleteFrom(Key, RealServer),
}

/// An order that the kernel did not carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// its index
    pub order: usize,
    /// the kernel's error number: ENOENT, no such real server or scheduler; ESRCH, no such virtual one; EEXIST, it
    /// is there already
    pub errno: i32,
}

impl Order {
    /// More than any takes, netlink's header and all.
    pub(crate) const LONGEST: usize = 256;

    /// What it is called.
    pub fn command(&self) -> Command {
        match self {
            Order::Add(_) => Command::NewService,
            Order::Change(_) => Command::SetService,
            Order::Delete(_) => Command::DeleteService,
            Order::AddTo(..) => Command::NewDestination,
            Order::ChangeIn(..) => Command::SetDestination,
            Order::DeleteFrom(..) => Command::DeleteDestination,
        }
    }

    /// The virtual server that it is about.
    pub fn key(&self) -> &Key {
        match self {
            Order::Add(server) | Order::Change(server) => &server.key,
            Order::Delete(key)
            | Order::AddTo(key, _)
            | Order::ChangeIn(key, _)
            | Order::DeleteFrom(key, _) => key,
        }
    }

    /// The real server that it is about.
    pub fn real_server(&self) -> Option<&RealServer> {
        match self {
            Order::AddTo(_, real) | Order::ChangeIn(_, real) | Order::DeleteFrom(_, real) => Some(real),
            Order::Add(_) | Order::Change(_) | Order::Delete(_) => None,
        }
    }

    /// The same as a list of attributes, to look at.
    pub fn message(&self) -> Message {
        let virtual_server = match self {
            Order::Add(server) | Order::Change(server) => server.attributes(),
            _ => self.key().attributes(),
        };
        let real_server = match self {
            Order::DeleteFrom(_, real) => Some(real.key()),
            _ => self.real_server().map(RealServer::attributes),
        };
        let mut attributes = vec![CommandAttribute::Service(virtual_server)];
        attributes.extend(real_server.map(CommandAttribute::Destination));
        Message::new(self.command(), attributes)
    }

    /// Adds its bytes, from `struct genlmsghdr` on.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&[self.command().number(), VERSION, 0, 0]);
        nested(bytes, 1, |bytes| match self {
            Order::Add(server) | Order::Change(server) => write_server(bytes, server),
            _ => write_key(bytes, self.key()),
        });
        match self {
            Order::AddTo(_, real) | Order::ChangeIn(_, real) => {
                nested(bytes, 2, |bytes| write_real(bytes, real))
            }
            Order::DeleteFrom(_, real) => nested(bytes, 2, |bytes| write_real_key(bytes, real)),
            Order::Add(_) | Order::Change(_) | Order::Delete(_) => {}
        }
    }
}

/// IPVS_SVC_ATTR_*, as [`Key::attributes`].
fn write_key(bytes: &mut Vec<u8>, key: &Key) {
    attribute(bytes, 1, &key.family().number().to_ne_bytes());
    match *key {
        Key::Address { address, protocol, port } => {
            attribute(bytes, 2, &u16::from(protocol).to_ne_bytes());
            attribute(bytes, 3, &octets(address));
            attribute(bytes, 4, &port.to_be_bytes());
        }
        Key::Mark { mark, .. } => attribute(bytes, 5, &mark.to_ne_bytes()),
    }
}

/// As [`VirtualServer::attributes`].
fn write_server(bytes: &mut Vec<u8>, server: &VirtualServer) {
    write_key(bytes, &server.key);
    write_name(bytes, 6, &server.scheduler);
    let [flags, mask] = [server.flags, u32::MAX].map(u32::to_ne_bytes);
    attribute(bytes, 7, &[flags, mask].concat());
    attribute(bytes, 8, &server.timeout.to_ne_bytes());
    attribute(bytes, 9, &netmask(server.key.family(), server.client_prefix));
    if let Some(name) = &server.persistence_engine {
        write_name(bytes, 11, name);
    }
}

/// IPVS_DEST_ATTR_*, as [`RealServer::key`].
fn write_real_key(bytes: &mut Vec<u8>, real: &RealServer) {
    attribute(bytes, 11, &crate::Family::of(real.address).number().to_ne_bytes());
    attribute(bytes, 1, &octets(real.address));
    attribute(bytes, 2, &real.port.to_be_bytes());
}

/// As [`RealServer::attributes`].
fn write_real(bytes: &mut Vec<u8>, real: &RealServer) {
    write_real_key(bytes, real);
    attribute(bytes, 3, &real.forwarding.number().to_ne_bytes());
    attribute(bytes, 4, &real.weight.to_ne_bytes());
    attribute(bytes, 5, &real.upper_threshold.to_ne_bytes());
    attribute(bytes, 6, &real.lower_threshold.to_ne_bytes());
    if real.tunnel != Tunnel::default() {
        attribute(bytes, 13, &[real.tunnel.kind]);
        attribute(bytes, 14, &real.tunnel.port.to_be_bytes());
        attribute(bytes, 15, &real.tunnel.flags.to_ne_bytes());
    }
}

fn write_name(bytes: &mut Vec<u8>, kind: u16, name: &Name) {
    let mut value = [0; 16];
    let text = name.as_str().as_bytes();
    value[..text.len()].copy_from_slice(text);
    attribute(bytes, kind, &value[..=text.len()]);
}

/// `struct nlattr`, the value, and zeros up to a multiple of four bytes.
fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn nested(bytes: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    attribute(bytes, kind | NLA_F_NESTED, &[]);
    write(bytes);
    let length = (bytes.len() - start) as u16;
    bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::{Family, Forwarding};

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            (any::<IpAddr>(), any::<(u8, u16)>()).prop_map(|(address, (protocol, port))| Key::Address {
                address,
                protocol,
                port
            }),
            (any::<bool>(), any::<u32>()).prop_map(|(is_v4, mark)| Key::Mark {
                family: if is_v4 { Family::V4 } else { Family::V6 },
                mark
            }),
        ]
    }

    fn name() -> impl Strategy<Value = Name> {
        "[a-z-]{0,15}".prop_map(|name| Name::new(&name).unwrap())
    }

    fn virtual_server() -> impl Strategy<Value = VirtualServer> {
        (key(), name(), any::<(u32, u32)>(), 0..=32u8, proptest::option::of(name())).prop_map(
            |(key, scheduler, (flags, timeout), client_prefix, persistence_engine)| VirtualServer {
                flags,
                timeout,
                client_prefix,
                persistence_engine,
                ..VirtualServer::new(key, scheduler)
            },
        )
    }

    fn real_server() -> impl Strategy<Value = RealServer> {
        let tunnel = any::<(u8, u16, u16)>().prop_map(|(kind, port, flags)| Tunnel { kind, port, flags });
        (any::<(IpAddr, u16)>(), any::<(u32, u32, u32)>(), tunnel, any::<bool>()).prop_map(
            |((address, port), (weight, upper_threshold, lower_threshold), tunnel, is_plain)| {
                let plain = RealServer { weight, ..RealServer::new(address, port) };
                match is_plain {
                    true => plain,
                    false => RealServer {
                        forwarding: Forwarding::Tunnel,
                        upper_threshold,
                        lower_threshold,
                        tunnel,
                        ..plain
                    },
                }
            },
        )
    }

    fn order() -> impl Strategy<Value = Order> {
        prop_oneof![
            virtual_server().prop_map(Order::Add),
            virtual_server().prop_map(Order::Change),
            key().prop_map(Order::Delete),
            (key(), real_server()).prop_map(|(key, real)| Order::AddTo(key, real)),
            (key(), real_server()).prop_map(|(key, real)| Order::ChangeIn(key, real)),
            (key(), real_server()).prop_map(|(key, real)| Order::DeleteFrom(key, real)),
        ]
    }

    proptest! {
        #[test]
        fn the_short_way_writes_what_the_attributes_say(order in order()) {
            let mut bytes = Vec::new();
            order.write(&mut bytes);
            prop_assert_eq!(&bytes, &order.message().encode());
            prop_assert!(bytes.len() + 16 <= Order::LONGEST);
        }
    }
}
