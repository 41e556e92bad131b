//! Tables that belong to a socket: nobody else may change or remove them while it is open, not even with all rights.
//!
//! NFT_TABLE_F_OWNER (Linux 5.12) alone has the kernel remove the table with its owner; NFT_TABLE_F_PERSIST (6.9) has it
//! stay, as nobody's, until somebody takes it over by making it once more with both flags. A table that was made without
//! them cannot be given them, nor can it lose them; the kernel refuses unknown flags. Facts: `enum nft_table_flags` of
//! linux/netfilter/nf_tables.h; `nf_tables_updtable`, `nft_table_is_orphan` and `nft_rcv_nl_event` of
//! net/netfilter/nf_tables_api.c.

use std::io;

use kube_verdict_table::Family;

use super::attributes::attribute;
use super::encode::kind;
use super::objects::{self, Header};
use super::{Netlink, Prepared};
use crate::kernel::{CommitError, Tenure};

const OWNER: u32 = 2;
const PERSIST: u32 = 4;
/// Both.
pub(super) const FLAGS: u32 = OWNER | PERSIST;

/// NFTA_TABLE_*
const TABLE_FLAGS: u16 = 2;
const TABLE_OWNER: u16 = 7;

/// Made and removed in one batch.
const PROBE: &str = "kube-verdict-probe";

/// Whose a table is, for the socket with this number; `body` is that of an NFT_MSG_NEWTABLE message.
pub(super) fn tenure(body: &[u8], us: u32) -> Tenure {
    let number = |kind| attribute(body, kind).and_then(|attribute| attribute.u32());
    let flags = number(TABLE_FLAGS).unwrap_or(0);
    match (flags & OWNER != 0, flags & PERSIST != 0) {
        (true, _) if number(TABLE_OWNER) == Some(us) => Tenure::Ours,
        (true, _) => Tenure::Others,
        (false, true) => Tenure::Orphan,
        (false, false) => Tenure::Nobodys,
    }
}

impl Netlink {
    /// Whether the kernel has tables that can be owned and outlive their owner. Finding out leaves nothing behind.
    ///
    /// # Errors
    /// When it does not say, as without CAP_NET_ADMIN.
    pub fn can_own(&mut self) -> io::Result<bool> {
        let mut encoder = std::mem::take(&mut self.spare);
        let first = self.sequence.wrapping_add(1);
        let last = encoder.encode_each(2, first, |out, index, sequence| {
            let flags = libc::NLM_F_REQUEST as u16;
            if index == 0 {
                let flags = flags | libc::NLM_F_CREATE as u16;
                let header = Header { kind: kind::of(kind::NEWTABLE), flags, sequence };
                objects::table(out, Family::V4, header, PROBE, Some(("made and removed at once", FLAGS)));
            } else {
                let header = Header { kind: kind::of(kind::DELTABLE), flags, sequence };
                objects::table(out, Family::V4, header, PROBE, None);
            }
        });
        self.sequence = last.wrapping_add(1);
        let prepared = Prepared { encoder, first, last };
        let result = self.send(&prepared);
        self.spare = prepared.encoder;
        self.spare.reset();
        match result {
            Ok(()) => Ok(true),
            Err(CommitError::Refused(refusals)) => {
                match refusals.first().map_or(0, |refusal| refusal.errno) {
                    libc::EINVAL | libc::EOPNOTSUPP => Ok(false),
                    errno => Err(io::Error::from_raw_os_error(errno)),
                }
            }
            Err(CommitError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }
}
