//! UDP flows that the rules have overtaken are deleted from conntrack (reference §8).
//!
//! A flow keeps the translation of its first packet for as long as packets refresh it, so one whose endpoint is
//! gone would be lost for ever, and one that began before its Service was there would never reach an endpoint.
//! After a successful sync the [`Cleaner`] hands what the table says of touched frontends to a thread of its
//! own, which asks the kernel for UDP flows to them and deletes those that are at no serving endpoint. Entries
//! of other protocols are never deleted, nor are flows to frontends that are gone.
//!
//! [`Targets`] decides and is pure; [`Entry`] and [`Filter`] are the kernel's bytes
//! (linux/netfilter/nfnetlink_conntrack.h); [`Netlink`] is the kernel.

mod clean;
mod cleaner;
mod entry;
mod filter;
mod inbox;
mod netlink;
mod observed;
mod targets;
mod writer;

pub use clean::{Kernel, Round, clean};
pub use cleaner::Cleaner;
pub use entry::{Entry, Tuple};
pub use filter::Filter;
pub use netlink::Netlink;
pub use observed::Observed;
pub use targets::Targets;
