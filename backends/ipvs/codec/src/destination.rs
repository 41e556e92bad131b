//! The attributes of a real server: IPVS_DEST_ATTR_*.

use crate::StatisticsAttribute;
use crate::attributes::group;
use crate::value::NetworkOrder;

group! {
    /// One of IPVS_DEST_ATTR_*, in `IPVS_CMD_ATTR_DEST`.
    DestinationAttribute {
        /// ADDR
        Address([u8; 16]) = 1,
        /// PORT
        Port(NetworkOrder<u16>) = 2,
        /// FWD_METHOD: [`crate::Forwarding`]
        Forwarding(u32) = 3,
        /// WEIGHT
        Weight(u32) = 4,
        /// U_THRESH: from so many connections on it gets no new ones; 0: never
        UpperThreshold(u32) = 5,
        /// L_THRESH: when it gets some again
        LowerThreshold(u32) = 6,
        /// ACTIVE_CONNS: connections that are established
        Active(u32) = 7,
        /// INACT_CONNS: connections that begin, end or have ended, and those of protocols without any
        Inactive(u32) = 8,
        /// PERSIST_CONNS: clients that are to come back here
        Persistent(u32) = 9,
        /// STATS: 32 bits wide
        Statistics(Vec<StatisticsAttribute>) = 10,
        /// ADDR_FAMILY: AF_INET or AF_INET6; without it that of its virtual server
        Family(u16) = 11,
        /// STATS64: the same, 64 bits wide
        Statistics64(Vec<StatisticsAttribute>) = 12,
        /// TUN_TYPE: what a tunnel wraps packets in
        TunnelType(u8) = 13,
        /// TUN_PORT: where a tunnel by UDP ends
        TunnelPort(NetworkOrder<u16>) = 14,
        /// TUN_FLAGS: about a tunnel's checksums
        TunnelFlags(u16) = 15,
    }
}
