//! IPVS as a balancer: virtual servers that packets reach by their mark, one for each that is wanted, kept equal to
//! that in the kernel.
//!
//! ```text
//! marks -> Server ──> Director (what the kernel holds) ──> orders ──> Kernel ──> ip_vs
//!                                                           netlink, or in memory
//! ```
//!
//! * [`Marks`] says which marks are ours, [`Server`] what one of them stands for, [`Scheduler`] how that balances;
//! * [`Director`] writes what differs, drains what is not wanted any more, and mends what others break;
//! * [`save`] says what there would be in ipvsadm's words, without a kernel;
//! * [`remove`] deletes all of it at once, as `cleanup` wants it;
//! * [`kernel`] is the boundary: a trait with two implementations, [`Netlink`] and one in memory.
//!
//! Which packets get which mark, and how packets with a mark come to IPVS, is not here. Facts: reference §12.

mod backend;
mod director;
pub mod kernel;
mod remove;
mod scheduler;
mod text;

pub use backend::{Failed, Ipvs, Written};
pub use director::{Director, Error, Figures, Refused, Replaced, Report, StillServes};
pub use kernel::{Kernel, Netlink};
pub use kube_verdict_nftables::layout::{Marks, NoMarks};
pub use kube_verdict_nftables::{Server, Want, Wanted};
pub use remove::{Removed, remove};
pub use scheduler::{NoScheduler, Scheduler};
pub use text::{Saved, save};
