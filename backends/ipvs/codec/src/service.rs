//! The attributes of a virtual server: IPVS_SVC_ATTR_*.

use crate::StatisticsAttribute;
use crate::attributes::group;
use crate::value::{Flags, Name, NetworkOrder};

group! {
    /// One of IPVS_SVC_ATTR_*, in `IPVS_CMD_ATTR_SERVICE`.
    ServiceAttribute {
        /// AF: AF_INET or AF_INET6
        Family(u16) = 1,
        /// PROTOCOL: that of IP; not of a virtual server by mark
        Protocol(u16) = 2,
        /// ADDR
        Address([u8; 16]) = 3,
        /// PORT
        Port(NetworkOrder<u16>) = 4,
        /// FWMARK: that of packets, in place of protocol, address and port
        Mark(u32) = 5,
        /// SCHED_NAME
        Scheduler(Name) = 6,
        /// FLAGS: [`crate::flags`]
        Flags(Flags) = 7,
        /// TIMEOUT: how long a client keeps its real server; seconds
        Timeout(u32) = 8,
        /// NETMASK: which clients count as one. IPv4: a mask, first bit first; IPv6: a prefix's length, in the
        /// machine's order
        Netmask([u8; 4]) = 9,
        /// STATS: 32 bits wide
        Statistics(Vec<StatisticsAttribute>) = 10,
        /// PE_NAME: the persistence engine
        PersistenceEngine(Name) = 11,
        /// STATS64: the same, 64 bits wide
        Statistics64(Vec<StatisticsAttribute>) = 12,
    }
}
