//! IPVS, the load balancer of the Linux kernel, over generic netlink: virtual servers and their real servers are
//! listed, made, changed and deleted, as `ipvsadm` does it.
//!
//! ```text
//! VirtualServer, RealServer ──> attributes ──> Message ──> bytes ──> Ipvs (a socket) ──> ip_vs
//! ```
//!
//! * [`VirtualServer`] and [`RealServer`] are what commands are about and listings say;
//! * [`ServiceAttribute`], [`DestinationAttribute`], [`StatisticsAttribute`], [`InfoAttribute`] and
//!   [`CommandAttribute`] are the five groups of attributes as the kernel has them; one that is not known here, or
//!   not of the expected length, is kept as it is;
//! * [`Message`] is one message without the header of netlink, [`control`] finds the family's number;
//! * [`Order`] is what changes something, written without detours: thousands of them go in few sends;
//! * [`Ipvs`] asks the kernel. All else is without I/O, and no bytes make it panic.
//!
//! It decides nothing: no service table, no reconciling. Facts: linux/ip_vs.h, linux/genetlink.h, and
//! net/netfilter/ipvs/ip_vs_ctl.c of the kernel.

mod attributes;
mod command;
pub mod control;
mod destination;
mod info;
mod message;
mod order;
mod real_server;
mod service;
mod socket;
mod statistics;
mod value;
mod virtual_server;

pub use command::CommandAttribute;
pub use destination::DestinationAttribute;
pub use info::{Info, InfoAttribute};
pub use message::{Attributes, Command, Message};
pub use order::{Order, Refusal};
pub use real_server::{Connections, Forwarding, ListedRealServer, Load, RealServer, Tunnel};
pub use service::ServiceAttribute;
pub use socket::{Error, Ipvs, Timeouts, is_loaded};
pub use statistics::{Statistics, StatisticsAttribute};
pub use value::{Flags, Name, NameTooLong, NetworkOrder};
pub use virtual_server::{Family, Key, ListedVirtualServer, VirtualServer, flags};
