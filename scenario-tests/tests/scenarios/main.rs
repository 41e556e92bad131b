//! Real packets, a behaviour of the reference in each module.

#![allow(missing_docs)]

mod affinity;
mod claims;
mod cluster_ip;
mod configuration;
mod conntrack;
mod drift;
mod established;
mod external_ips;
mod external_policy;
mod families;
mod hairpin;
mod health;
mod health_checks;
mod hostile_clients;
mod ignored;
mod internal_policy;
mod ipvs;
mod layouts;
mod listing;
mod load_balancers;
mod masquerade;
mod metrics;
mod node_ports;
mod own_tables;
mod probes;
mod protocols;
mod random;
mod reject_or_drop;
mod restarts;
mod service_cidr;
mod slices;
mod source_ranges;
mod spread;
mod straddle;
mod terminating;
mod topology_hints;
mod warm;
