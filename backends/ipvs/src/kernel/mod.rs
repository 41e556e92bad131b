//! The kernel's IPVS, as the director sees it: orders go in, virtual servers with marks of ours come out.
//!
//! [`Netlink`] is the real one; [`memory::MemoryKernel`] keeps virtual servers in memory and refuses what the real
//! one refuses, so that the director can be tested without privileges and with faults. Facts: ip_vs_ctl.c of the
//! kernel.

pub mod memory;
mod netlink;

use kube_verdict_ipvs_codec::{self as codec, Key, Load, Order, Refusal, Timeouts, VirtualServer};
use kube_verdict_table::Family;

use crate::Marks;
pub use netlink::Netlink;

/// Where virtual servers live.
pub trait Kernel {
    /// Hands on every virtual server of a family that has a mark of ours, with its real servers.
    fn read(
        &mut self,
        family: Family,
        marks: Marks,
        each: &mut dyn FnMut(&VirtualServer, &[Load]),
    ) -> Result<(), Error>;

    /// Carries out orders one after the other, whatever becomes of those before, and tells which were refused, in
    /// their order. After an error nobody knows which were carried out.
    fn run(&mut self, orders: &[Order]) -> Result<Vec<Refusal>, Error>;

    /// Hands on the real servers of each of these marks, and what they have to do; none of one that is not there.
    fn real_servers(
        &mut self,
        family: Family,
        marks: &[u32],
        each: &mut dyn FnMut(u32, &[Load]),
    ) -> Result<(), Error>;

    /// Sets how long IPVS remembers idle connections; 0: as it is.
    fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), Error>;
}

/// Why the kernel could not be asked or told at all. What it held before it holds, save what was under way.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has no IPVS, and cannot load it by itself.
    #[error(
        "the kernel has no IPVS. Load its module (modprobe ip_vs), on every node and before the daemon starts, or \
         take mode: nftables, which needs none"
    )]
    Missing,
    /// It does not let us.
    #[error("the kernel does not let us change IPVS: run as root, or grant CAP_NET_ADMIN")]
    Denied,
    /// The socket failed, or an answer was lost.
    #[error("{0}")]
    Failed(#[source] codec::Error),
}

impl From<codec::Error> for Error {
    fn from(error: codec::Error) -> Self {
        match error {
            codec::Error::Missing => Error::Missing,
            error if error.errno() == Some(libc::EPERM) => Error::Denied,
            error => Error::Failed(error),
        }
    }
}

/// What the kernel knows the virtual server of a mark by.
pub fn key(family: Family, mark: u32) -> Key {
    let family = match family {
        Family::V4 => codec::Family::V4,
        Family::V6 => codec::Family::V6,
    };
    Key::Mark { family, mark }
}

/// The mark of a virtual server of this family, if it is one of ours.
fn our_mark(key: &Key, family: Family, marks: Marks) -> Option<u32> {
    match *key {
        Key::Mark { mark, .. } if marks.is_ours(mark) && *key == self::key(family, mark) => Some(mark),
        _ => None,
    }
}
