//! What the kernel says of IPVS as a whole: IPVS_INFO_ATTR_*, in the answer to `IPVS_CMD_GET_INFO`.

use crate::attributes::group;

group! {
    /// One of IPVS_INFO_ATTR_*. These stand where other messages have IPVS_CMD_ATTR_*.
    InfoAttribute {
        /// VERSION: of IPVS, a byte for each part
        Version(u32) = 1,
        /// CONN_TAB_SIZE: buckets of the table of connections
        ConnectionTableSize(u32) = 2,
    }
}

/// What it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// major, minor, patch
    pub version: (u8, u8, u8),
    /// buckets of the table of connections
    pub connection_table_size: u32,
}

impl Info {
    pub(crate) fn of(attributes: &[InfoAttribute]) -> Self {
        let mut info = Info::default();
        for attribute in attributes {
            match attribute {
                InfoAttribute::Version(version) => {
                    let [_, major, minor, patch] = version.to_be_bytes();
                    info.version = (major, minor, patch);
                }
                InfoAttribute::ConnectionTableSize(size) => info.connection_table_size = *size,
                InfoAttribute::Other(_) => {}
            }
        }
        info
    }
}
