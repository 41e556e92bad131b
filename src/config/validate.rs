//! What no configuration may say (reference §15.4). Everything that is wrong is collected, so that an operator
//! mends a file once.

use kube_verdict_table::net::parse_ip;
use kube_verdict_table::{Cidr, NodePortEntry};

use super::duration::GoDuration;
use super::effective::Shared;
use super::error::FieldError;
use super::file::{Conntrack, File, Logging, Quantity};
use super::mode::Mode;
use super::{detect, gates};
use crate::document::Node;

/// Collects errors and where their fields stand.
struct Errors<'d> {
    root: Option<&'d Node<'d>>,
    found: Vec<FieldError>,
}

impl Errors<'_> {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        let field = field.into();
        let at = self.root.map(|root| (root.locate(&field), root.at));
        let at = at.filter(|(at, start)| at != start).map(|(at, _)| at);
        self.found.push(FieldError { field, at, message: message.into() });
    }

    fn require(&mut self, good: bool, field: impl Into<String>, message: impl FnOnce() -> String) {
        if !good {
            self.add(field, message());
        }
    }
}

/// Every impossible field. `root` is the file's document, to say where.
pub(super) fn validate(file: &File, root: Option<&Node<'_>>) -> Vec<FieldError> {
    let mut errors = Errors { root, found: Vec::new() };
    feature_gates(&mut errors, file);
    client_connection(&mut errors, file);
    logging(&mut errors, &file.logging.clone().unwrap_or_default());
    addresses(&mut errors, file);
    let mode = mode(&mut errors, file);
    masquerade_bits(&mut errors, file, mode);
    periods(&mut errors, file, mode);
    ipvs(&mut errors, file, mode);
    detect_local(&mut errors, file);
    node_port_addresses(&mut errors, file);
    limits(&mut errors, file);
    conntrack(&mut errors, &file.conntrack.clone().unwrap_or_default());
    errors.found
}

fn feature_gates(errors: &mut Errors<'_>, file: &File) {
    for name in file.feature_gates.iter().flat_map(|gates| gates.keys()) {
        errors.require(gates::find(name).is_some(), format!("featureGates.{name}"), || {
            "no such feature gate is known; remove it, or check its spelling".into()
        });
    }
}

fn client_connection(errors: &mut Errors<'_>, file: &File) {
    let burst = file.client_connection.as_ref().and_then(|client| client.burst).unwrap_or(0);
    not_negative(errors, "clientConnection.burst", burst < 0, burst);
}

fn logging(errors: &mut Errors<'_>, logging: &Logging) {
    let format = logging.format.as_deref().unwrap_or_default();
    errors.require(matches!(format, "" | "text" | "json"), "logging.format", || {
        one_of(format, &["text", "json"])
    });
    let options = logging.options.clone().unwrap_or_default();
    for (name, output) in [("text", options.text), ("json", options.json)] {
        let size = output.and_then(|output| output.info_buffer_size);
        errors.require(
            size.is_none_or(|size| is_size(&size)),
            format!("logging.options.{name}.infoBufferSize"),
            || "must be a size of zero or more, such as 0 or 64Ki".into(),
        );
    }
}

fn is_size(size: &Quantity) -> bool {
    match size {
        Quantity::Number(bytes) => *bytes >= 0,
        Quantity::Text(text) => {
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let unit = &text[digits.len()..];
            let known = ["", "k", "M", "G", "Ki", "Mi", "Gi"].contains(&unit);
            known && digits.parse::<f64>().is_ok_and(|number| number >= 0.0)
        }
    }
}

fn addresses(errors: &mut Errors<'_>, file: &File) {
    let bind = file.bind_address.as_deref().unwrap_or_default();
    errors.require(bind.is_empty() || parse_ip(bind).is_some(), "bindAddress", || {
        format!("{bind:?} is not an IP address")
    });
    let healthz = ("healthzBindAddress", &file.healthz_bind_address);
    let metrics = ("metricsBindAddress", &file.metrics_bind_address);
    for (field, value) in [healthz, metrics] {
        let value = value.as_deref().unwrap_or_default();
        errors.require(value.is_empty() || is_listen_address(value), field, || {
            format!(
                "{value:?} is not an address with a port from 1 to 65535, such as 0.0.0.0:10256 or [::]:10256"
            )
        });
    }
}

/// `IP:port`, or an IP alone, which gets the default port.
fn is_listen_address(text: &str) -> bool {
    if parse_ip(text).is_some() {
        return true;
    }
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host = match host.strip_prefix('[') {
        Some(inside) => inside.strip_suffix(']').filter(|inside| inside.contains(':')),
        None => Some(host).filter(|host| !host.contains(':')),
    };
    host.and_then(parse_ip).is_some() && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn mode(errors: &mut Errors<'_>, file: &File) -> Mode {
    let text = file.mode.as_deref().unwrap_or_default();
    let Some(mode) = Mode::parse(text) else {
        errors.add("mode", one_of(text, &["nftables", "iptables", "ipvs"]));
        return Mode::Default;
    };
    errors.require(mode != Mode::Ipvs, "mode", || {
        "\"ipvs\" is not available yet; use nftables, which serves the same Services".into()
    });
    mode
}

fn masquerade_bits(errors: &mut Errors<'_>, file: &File, mode: Mode) {
    let iptables = file.iptables.as_ref().and_then(|section| section.masquerade_bit);
    masquerade_bit(errors, "iptables.masqueradeBit", iptables);
    if matches!(mode, Mode::Default | Mode::Nftables) {
        let nftables = file.nftables.as_ref().and_then(|section| section.masquerade_bit);
        masquerade_bit(errors, "nftables.masqueradeBit", nftables);
    }
}

fn masquerade_bit(errors: &mut Errors<'_>, field: &str, bit: Option<i32>) {
    if let Some(bit) = bit.filter(|bit| !(0..=31).contains(bit)) {
        errors.add(field, format!("{bit} is not within 0 to 31, the bits of a packet mark"));
    }
}

fn periods(errors: &mut Errors<'_>, file: &File, mode: Mode) {
    let (section, shared) = (mode.section(), Shared::of(file, mode));
    let sync = shared.effective_sync_period();
    errors.require(sync > GoDuration::ZERO, format!("{section}.syncPeriod"), || {
        format!("{sync} is not above zero")
    });
    if let Some(min) = shared.explicit_min_sync_period() {
        let field = format!("{section}.minSyncPeriod");
        not_negative(errors, &field, min.is_negative(), min);
        errors.require(min <= sync, field, || format!("{min} is more than syncPeriod, {sync}"));
    }
    if let Some(period) = file.config_sync_period.filter(|period| *period < GoDuration::ZERO) {
        errors.add("configSyncPeriod", format!("{period} is not above zero"));
    }
}

fn ipvs(errors: &mut Errors<'_>, file: &File, mode: Mode) {
    let Some(section) = file.ipvs.as_ref().filter(|_| mode == Mode::Ipvs) else { return };
    for (field, timeout) in [
        ("ipvs.tcpTimeout", section.tcp_timeout),
        ("ipvs.tcpFinTimeout", section.tcp_fin_timeout),
        ("ipvs.udpTimeout", section.udp_timeout),
    ] {
        let timeout = timeout.unwrap_or_default();
        not_negative(errors, field, timeout.is_negative(), timeout);
    }
    for (index, prefix) in section.exclude_cidrs.iter().flatten().enumerate() {
        if let Err(message) = prefix.parse::<Cidr>() {
            errors.add(format!("ipvs.excludeCIDRs[{index}]"), message);
        }
    }
}

fn detect_local(errors: &mut Errors<'_>, file: &File) {
    let mode = file.detect_local_mode.as_deref().unwrap_or_default();
    let names = file.detect_local.clone().unwrap_or_default();
    let is_blank = |name: Option<String>| name.unwrap_or_default().is_empty();
    match mode {
        "" | "ClusterCIDR" => cluster_cidr(errors, file.cluster_cidr.as_deref().unwrap_or_default()),
        "NodeCIDR" => {}
        "BridgeInterface" => {
            errors.require(!is_blank(names.bridge_interface), "detectLocal.bridgeInterface", || {
                "is needed in mode BridgeInterface: the bridge that this node's pods are attached to".into()
            })
        }
        "InterfaceNamePrefix" => {
            errors.require(!is_blank(names.interface_name_prefix), "detectLocal.interfaceNamePrefix", || {
                "is needed in mode InterfaceNamePrefix: how the names of this node's pod interfaces begin"
                    .into()
            });
        }
        _ => errors.add("detectLocalMode", one_of(mode, &detect::MODES)),
    }
}

fn cluster_cidr(errors: &mut Errors<'_>, text: &str) {
    let prefixes = match detect::prefixes(text) {
        Ok(prefixes) => prefixes,
        Err(message) => return errors.add("clusterCIDR", message),
    };
    let good = match prefixes.as_slice() {
        [] | [_] => true,
        [one, other] => one.family() != other.family(),
        _ => false,
    };
    errors.require(good, "clusterCIDR", || {
        format!("{text:?} is neither one prefix nor one of each IP family, separated by a comma")
    });
}

fn node_port_addresses(errors: &mut Errors<'_>, file: &File) {
    for (index, text) in file.node_port_addresses.iter().flatten().enumerate() {
        if let Err(message) = text.parse::<NodePortEntry>() {
            errors.add(format!("nodePortAddresses[{index}]"), message);
        }
    }
}

fn limits(errors: &mut Errors<'_>, file: &File) {
    if let Some(score) = file.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        errors.add("oomScoreAdj", format!("{score} is not within -1000 to 1000"));
    }
    let range = file.port_range.as_deref().unwrap_or_default();
    errors.require(is_port_range(range), "portRange", || {
        format!("{range:?} is not a port, a range such as 1000-2000, or 1000+500")
    });
}

fn is_port_range(text: &str) -> bool {
    let port = |text: &str| text.trim().parse::<u16>().ok();
    if let Some((first, last)) = text.split_once('-') {
        return port(first).zip(port(last)).is_some_and(|(first, last)| first <= last);
    }
    if let Some((first, more)) = text.split_once('+') {
        return port(first).zip(port(more)).is_some_and(|(first, more)| first.checked_add(more).is_some());
    }
    text.trim().is_empty() || port(text).is_some()
}

fn conntrack(errors: &mut Errors<'_>, conntrack: &Conntrack) {
    let numbers = [("conntrack.maxPerCore", conntrack.max_per_core), ("conntrack.min", conntrack.min)];
    for (field, number) in numbers {
        let number = number.unwrap_or(0);
        not_negative(errors, field, number < 0, number);
    }
    for (field, timeout) in [
        ("conntrack.tcpEstablishedTimeout", conntrack.tcp_established_timeout),
        ("conntrack.tcpCloseWaitTimeout", conntrack.tcp_close_wait_timeout),
        ("conntrack.udpTimeout", conntrack.udp_timeout),
        ("conntrack.udpStreamTimeout", conntrack.udp_stream_timeout),
    ] {
        let timeout = timeout.unwrap_or_default();
        not_negative(errors, field, timeout.is_negative(), timeout);
    }
}

fn not_negative(errors: &mut Errors<'_>, field: &str, is_negative: bool, value: impl std::fmt::Display) {
    errors.require(!is_negative, field, || format!("{value} is below zero"));
}

fn one_of(value: &str, known: &[&str]) -> String {
    format!("{value:?} is not one of {}", known.join(", "))
}
