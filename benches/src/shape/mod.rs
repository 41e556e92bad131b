//! Rules of kube-proxy's shape: what kube-proxy 1.36 hands to `iptables-restore` and to `nft` for a world of Services,
//! with its chains, its names and its order, as text. Nothing is loaded here.
//!
//! The facts come from kube-proxy itself: a test compares every line with what the real one writes for the same objects
//! (reference §11.2 and the appendix describe the layouts). One thing is left out: the rule that drops packets of invalid
//! state counts them with `nfacct` where the kernel has that, and here does not. Services stand in the order of their
//! numbers, where kube-proxy's order is another one at every sync.

mod hash;
pub mod iptables;
pub mod nftables;

use crate::workload::{PORT_NAME, Service, TARGET_PORT};

/// The mark of packets that are to be masqueraded: kube-proxy's default, bit 14.
const MARK: &str = "0x00004000";

/// `namespace/name:port`, as kube-proxy calls a Service's port.
fn port_name(service: &Service) -> String {
    format!("{}/{}:{PORT_NAME}", crate::workload::NAMESPACE, service.name)
}

/// The protocol in rules.
fn protocol(service: &Service) -> String {
    service.protocol.as_str().to_ascii_lowercase()
}

/// Endpoints as addresses with ports, in kube-proxy's order: that of the text.
fn endpoints(service: &Service) -> Vec<String> {
    let mut endpoints: Vec<String> =
        service.endpoints.iter().map(|ip| format!("{ip}:{TARGET_PORT}")).collect();
    endpoints.sort_unstable();
    endpoints
}
