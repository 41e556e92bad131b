//! The real kube-proxy before and after the daemon: what it leaves behind, and that nobody notices the change.

#![allow(missing_docs)]

mod handover;
mod leftovers;
mod load;
mod stage;
