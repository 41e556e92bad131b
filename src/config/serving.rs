//! Where health and metrics are served (reference §§13, 14).

use std::net::{IpAddr, SocketAddr};

use kube_verdict_table::net::parse_ip;

use super::file::File;

/// The port of `/healthz` and `/livez`.
const HEALTHZ_PORT: u16 = 10256;
/// The port of `/metrics`.
const METRICS_PORT: u16 = 10249;

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
    /// What a validated file says. It cannot turn anything off: empty is the default.
    pub(super) fn of(file: &File) -> Self {
        let bind = file.bind_address.as_deref().and_then(parse_ip);
        let is_v6 = bind.is_some_and(|ip| ip.is_ipv6());
        let [any, local] = if is_v6 { ["::", "::1"] } else { ["0.0.0.0", "127.0.0.1"] };
        Serving {
            healthz: address(file.healthz_bind_address.as_deref(), any, HEALTHZ_PORT),
            metrics: address(file.metrics_bind_address.as_deref(), local, METRICS_PORT),
            hard_fail: file.bind_address_hard_fail.unwrap_or(false),
            profiling: file.enable_profiling.unwrap_or(false),
        }
    }
}

/// `IP:port`, or an IP alone, which gets the default port.
fn address(text: Option<&str>, default: &str, port: u16) -> Option<SocketAddr> {
    let text = text.filter(|text| !text.is_empty()).unwrap_or(default);
    if let Some(ip) = parse_ip(text) {
        return Some(SocketAddr::new(ip, port));
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let ip: IpAddr = parse_ip(host)?;
    Some(SocketAddr::new(ip, port.parse().ok()?))
}
