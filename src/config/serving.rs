//! Where health and metrics are served (reference §§13, 14).

use std::net::SocketAddr;

use kube_verdict_table::net::parse_ip;

use super::file::File;

/// The addresses, and what else decides on serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// `/healthz` and `/livez`; None: not served
    pub healthz: Option<SocketAddr>,
    /// `/metrics` and its neighbours; None: not served
    pub metrics: Option<SocketAddr>,
    /// an address that cannot be had ends the process, instead of being tried again
    pub hard_fail: bool,
    /// `/debug/…`
    pub profiling: bool,
}

impl Serving {
    /// What a validated and complete file says.
    pub(super) fn of(file: &File) -> Self {
        Serving {
            healthz: file.healthz_bind_address.as_deref().and_then(listen_address),
            metrics: file.metrics_bind_address.as_deref().and_then(listen_address),
            hard_fail: file.bind_address_hard_fail == Some(true),
            profiling: file.enable_profiling == Some(true),
        }
    }
}

/// `IP:port`, the port from 1 to 65535, the IP as loosely written as kube-proxy reads it, in brackets if it has
/// colons.
pub(super) fn listen_address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inside) => inside.strip_suffix(']')?,
        None => Some(host).filter(|host| !host.contains(':'))?,
    };
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some(SocketAddr::new(parse_ip(host)?, port))
}
