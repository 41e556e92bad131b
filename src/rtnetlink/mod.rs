//! The kernel's rtnetlink: one request and its answers, and what it tells to everybody who listens. Which
//! addresses, links, rules and routes anybody wants to know of, and what is to be done about them, is the business
//! of those who ask. The messages themselves are the crate's `netlink-packet-route`.
//!
//! [`message`] is bytes and without I/O; no bytes make it panic. [`Rtnetlink`] asks, [`Listener`] listens. Facts:
//! linux/rtnetlink.h and linux/netlink.h of the kernel.

mod listen;
mod message;
mod socket;

pub use listen::{Groups, Listener};
pub use socket::Rtnetlink;

/// The index of `lo`, the loopback device of every network namespace (LOOPBACK_IFINDEX).
pub const LOOPBACK: u32 = 1;
