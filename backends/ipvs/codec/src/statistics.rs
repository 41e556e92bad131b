//! What virtual and real servers have counted: IPVS_STATS_ATTR_*.

use crate::attributes::group;

group! {
    /// One of IPVS_STATS_ATTR_* of 64 bits. Those of the 32 bit form are of another length and stay unread, but
    /// for octets.
    StatisticsAttribute {
        /// CONNS: connections that were scheduled
        Connections(u64) = 1,
        /// INPKTS
        PacketsIn(u64) = 2,
        /// OUTPKTS
        PacketsOut(u64) = 3,
        /// INBYTES
        OctetsIn(u64) = 4,
        /// OUTBYTES
        OctetsOut(u64) = 5,
        /// CPS: connections a second at present
        ConnectionRate(u64) = 6,
        /// INPPS
        PacketRateIn(u64) = 7,
        /// OUTPPS
        PacketRateOut(u64) = 8,
        /// INBPS
        OctetRateIn(u64) = 9,
        /// OUTBPS
        OctetRateOut(u64) = 10,
    }
}

/// What was counted since the server was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// connections that were scheduled
    pub connections: u64,
    /// packets from clients
    pub packets_in: u64,
    /// packets to clients
    pub packets_out: u64,
    /// octets from clients
    pub octets_in: u64,
    /// octets to clients
    pub octets_out: u64,
}

impl Statistics {
    pub(crate) fn of(attributes: &[StatisticsAttribute]) -> Self {
        let mut all = Statistics::default();
        for attribute in attributes {
            match attribute {
                StatisticsAttribute::Connections(count) => all.connections = *count,
                StatisticsAttribute::PacketsIn(count) => all.packets_in = *count,
                StatisticsAttribute::PacketsOut(count) => all.packets_out = *count,
                StatisticsAttribute::OctetsIn(count) => all.octets_in = *count,
                StatisticsAttribute::OctetsOut(count) => all.octets_out = *count,
                _ => {}
            }
        }
        all
    }
}
