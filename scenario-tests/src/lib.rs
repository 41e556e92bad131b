//! Real packets through network namespaces, against the daemon as a black box.
//!
//! A *scenario* is a topology of namespaces ([`topology`]), a daemon in one of them ([`daemon`]), objects
//! ([`manifest`]) and a table of packets ([`case`]): name, from, to, expected fate. Every line of a table is
//! judged three times: by the [`model`], which must agree with what was written by hand; by the daemon's
//! `explain`; and by real packets ([`probe`]) to real servers ([`echo`]), under the eyes of taps on every wire
//! ([`sightings`]).

pub mod case;
pub mod check;
pub mod cluster;
pub mod config;
pub mod conversation;
pub mod daemon;
pub mod echo;
pub mod exposition;
pub mod fate;
pub mod flood;
pub mod flow;
pub mod http;
pub mod kernel;
pub mod listing;
pub mod manifest;
pub mod metrics_page;
pub mod mode;
pub mod model;
pub mod netlink;
pub mod netns;
pub mod pace;
pub mod peer;
pub mod plan;
pub mod prelude;
pub mod probe;
pub mod random;
pub mod requirements;
pub mod rng;
pub mod scenario;
pub mod sightings;
pub mod tether;
pub mod topology;
pub mod watch;
pub mod wire;
