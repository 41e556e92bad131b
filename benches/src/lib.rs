//! The benchmark of service proxies: contenders are put to work on the same objects, in the same namespaces, in
//! turns, and what a client of theirs notices is written down.
//!
//! From objects to a report the data flows one way: a [`workload`] of Services → a [`contender`] that makes the kernel
//! serve them → measurements → [`results`] → a report. Figures are printed, never judged: no timing here is a test's
//! pass or fail.

pub mod api;
pub mod cli;
pub mod contender;
pub mod inside;
pub mod measure;
pub mod parts;
pub mod report;
pub mod results;
pub mod runner;
pub mod shape;
pub mod stage;
pub mod workload;

/// Anything that keeps a measurement from being made, with what it was about. It ends up in the report as a failure.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
