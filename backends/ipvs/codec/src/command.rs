//! The attributes that commands have: IPVS_CMD_ATTR_*. Most hold a list of another group.

use crate::attributes::group;
use crate::{DestinationAttribute, ServiceAttribute};

group! {
    /// One of IPVS_CMD_ATTR_*.
    CommandAttribute {
        /// SERVICE: a virtual server
        Service(Vec<ServiceAttribute>) = 1,
        /// DEST: a real server
        Destination(Vec<DestinationAttribute>) = 2,
        /// TIMEOUT_TCP: of established connections; seconds
        TimeoutTcp(u32) = 4,
        /// TIMEOUT_TCP_FIN: of those that end; seconds
        TimeoutTcpFin(u32) = 5,
        /// TIMEOUT_UDP: seconds
        TimeoutUdp(u32) = 6,
    }
}
