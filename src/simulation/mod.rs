//! The whole loop in a world of its own: the API server's watches, the table, the loop, the backends and time run as in
//! the daemon, by the same code, on kernels in memory ([`kube_verdict_nftables::kernel::memory`] and IPVS's). What goes
//! wrong, and when, follows from a seed: batches that fail or whose answer is lost, readings that break off, others who
//! change what is ours between any two calls, a process that is killed at any, watches that are lost, time that leaps.
//!
//! ```text
//! script ──> Api ──> Known, Inbox, Feed ──> Reconciler ──> backend ──> kernel ──> kernel in memory
//!    │                                          │                        │  ▲           │ each change
//!    └─ others, refusals, stops                 └─ witness ──> ledger <──┘  └─ faults   ▼
//!                                                                                 packets, judged
//! ```
//!
//! The ledger judges each change at once, and when nothing happens any more everything has to be as the table says,
//! within the longest pause that there is. Time is tokio's, held: it passes when everybody waits, so that an hour takes
//! nothing, and two runs of a seed are one.
//!
//! `KUBE_VERDICT_SEED=N` runs one seed, `KUBE_VERDICT_SEEDS=N` so many from that one on, or from a random one.

mod api;
mod kernel;
mod ledger;
mod life;
mod objects;
mod others;
mod plan;
mod rng;
mod script;
mod tests;
mod world;
