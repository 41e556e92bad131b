//! Which entries a dump is about. The kernel passes over the others (CTA_FILTER, Linux 5.8), which spares
//! copying and reading them; those before pay no attention, so that nothing may rely on it. Pure.
//!
//! Addresses of IPv6 are not the kernel's to compare: it passes over those that are equal
//! (`ctnetlink_filter_match_tuple`, Linux 5.8 to 6.18 at least).

use std::net::IpAddr;

use kube_verdict_table::{Family, Protocol};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST};

use super::entry::{
    DESTINATION_PORT, PROTOCOL_NUMBER, TUPLE_IP, TUPLE_ORIGINAL, TUPLE_PROTOCOL, address_family,
    put_destination,
};
use super::writer::Writer;

// enum cntl_msg_types
const GET: u8 = 1;
// enum ctattr_type, enum ctattr_filter
const FILTER: u16 = 25;
const ORIGINAL_FLAGS: u16 = 1;
// net/netfilter/nf_internals.h: what of the tuple is to be compared
const IP_DESTINATION: u32 = 1 << 1;
const NUMBER: u32 = 1 << 3;
const PORT: u32 = 1 << 5;

/// UDP flows of one family, or some of them by where they were sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter {
    /// the family
    pub family: Family,
    /// only those that were sent to this address, as far as the kernel can tell
    pub address: Option<IpAddr>,
    /// only those that were sent to this port
    pub port: Option<u16>,
}

impl Filter {
    /// The request for a dump of these entries, or, `unfiltered`, of everything of the family.
    pub(super) fn ask(&self, writer: &mut Writer, sequence: u32, unfiltered: bool) {
        let flags = NLM_F_REQUEST | NLM_F_DUMP;
        writer.message(GET, flags, sequence, address_family(self.family), |message| {
            if unfiltered {
                return;
            }
            let mut compared = NUMBER;
            message.nest(TUPLE_ORIGINAL, |tuple| {
                if let Some(ip) = self.address.filter(IpAddr::is_ipv4) {
                    compared |= IP_DESTINATION;
                    tuple.nest(TUPLE_IP, |addresses| put_destination(addresses, ip));
                }
                tuple.nest(TUPLE_PROTOCOL, |protocol| {
                    protocol.put(PROTOCOL_NUMBER, &[Protocol::Udp.number()]);
                    if let Some(port) = self.port {
                        compared |= PORT;
                        protocol.put(DESTINATION_PORT, &port.to_be_bytes());
                    }
                });
            });
            // In the host's order, unlike everything else.
            message.nest(FILTER, |filter| filter.put(ORIGINAL_FLAGS, &compared.to_ne_bytes()));
        });
    }
}
