//! What is left unsaid (reference §15.2): a file with every field filled in. Everything that is in effect, that
//! `--write-config-to` writes and that `/configz` shows comes from such a file, so that a default is written
//! down once.
//!
//! `minSyncPeriod` stays as it was given: unset, kube-proxy waits a second and this daemon does not, so no value
//! that could be written here would be true.

use kube_verdict_table::net::parse_ip;

use super::duration::GoDuration;
use super::file::{
    ClientConnection, Conntrack, DetectLocalNames, File, FlushFrequency, Iptables, Ipvs, Logging,
    LoggingOptions, Nftables, OutputOptions, Quantity, Winkernel,
};
use super::mode::Mode;

/// The port of `/healthz` and `/livez`.
pub(super) const HEALTHZ_PORT: u16 = 10256;
/// The port of `/metrics`.
pub(super) const METRICS_PORT: u16 = 10249;
pub(super) const MASQUERADE_BIT: i32 = 14;
pub(super) const SYNC_PERIOD: GoDuration = GoDuration::seconds(30);
pub(super) const CONFIG_SYNC_PERIOD: GoDuration = GoDuration::seconds(15 * 60);
pub(super) const OOM_SCORE_ADJ: i32 = -999;
pub(super) const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// Where settings come from, as far as defaults depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// a file, rather than flags: an empty address is the default, and cannot turn a server off
    pub(super) is_file: bool,
    /// a directory of manifests is served, rather than a cluster: what is not asked for is not done to the host
    pub(super) is_standalone: bool,
}

/// The same settings with every field filled in.
pub(super) fn complete(file: &File, origin: Origin) -> File {
    let mode = file.mode.as_deref().filter(|mode| !mode.is_empty());
    let mode = mode.unwrap_or(if origin.is_standalone && !origin.is_file { "nftables" } else { "iptables" });
    let bind = file.bind_address.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| "0.0.0.0".into());
    let is_v6 = parse_ip(&bind).is_some_and(|ip| ip.is_ipv6());
    let [any, local] = if is_v6 { ["[::]", "[::1]"] } else { ["0.0.0.0", "127.0.0.1"] };
    let text = |value: &Option<String>| Some(value.clone().unwrap_or_default());
    File {
        api_version: Some(super::file::API_VERSION.into()),
        kind: Some(super::file::KIND.into()),
        feature_gates: Some(file.feature_gates.clone().unwrap_or_default()),
        client_connection: Some(client_connection(file.client_connection.clone().unwrap_or_default())),
        logging: Some(logging(file.logging.clone().unwrap_or_default())),
        hostname_override: text(&file.hostname_override),
        healthz_bind_address: Some(address(&file.healthz_bind_address, any, HEALTHZ_PORT, origin)),
        metrics_bind_address: Some(address(&file.metrics_bind_address, local, METRICS_PORT, origin)),
        bind_address: Some(bind),
        bind_address_hard_fail: Some(file.bind_address_hard_fail.unwrap_or(false)),
        enable_profiling: Some(file.enable_profiling.unwrap_or(false)),
        show_hidden_metrics_for_version: text(&file.show_hidden_metrics_for_version),
        mode: Some(mode.to_owned()),
        iptables: Some(iptables(file.iptables.clone().unwrap_or_default())),
        ipvs: Some(ipvs(file.ipvs.clone().unwrap_or_default(), origin)),
        nftables: Some(nftables(file.nftables.clone().unwrap_or_default())),
        winkernel: Some(winkernel(file.winkernel.clone().unwrap_or_default())),
        windows_run_as_service: Some(file.windows_run_as_service.unwrap_or(false)),
        detect_local_mode: Some(
            file.detect_local_mode.clone().filter(|mode| !mode.is_empty()).unwrap_or("ClusterCIDR".into()),
        ),
        detect_local: Some(detect_local(file.detect_local.clone().unwrap_or_default())),
        cluster_cidr: text(&file.cluster_cidr),
        node_port_addresses: node_port_addresses(file, mode),
        oom_score_adj: file.oom_score_adj.or((!origin.is_standalone).then_some(OOM_SCORE_ADJ)),
        conntrack: Some(conntrack(file.conntrack.clone().unwrap_or_default(), origin)),
        config_sync_period: period(file.config_sync_period, CONFIG_SYNC_PERIOD),
        port_range: text(&file.port_range),
    }
}

/// Zero is how a file says "the default": kube-proxy cannot tell it from absent.
fn period(value: Option<GoDuration>, default: GoDuration) -> Option<GoDuration> {
    Some(value.filter(|period| *period != GoDuration::ZERO).unwrap_or(default))
}

fn given(value: Option<GoDuration>) -> Option<GoDuration> {
    Some(value.unwrap_or(GoDuration::ZERO))
}

/// An IP alone gets the default port. Flags can turn a server off, a file cannot.
fn address(value: &Option<String>, default: &str, port: u16, origin: Origin) -> String {
    match value.as_deref() {
        Some("") if !origin.is_file => String::new(),
        None | Some("") => format!("{default}:{port}"),
        Some(text) => match parse_ip(text) {
            Some(ip) => std::net::SocketAddr::new(ip, port).to_string(),
            None => text.to_owned(),
        },
    }
}

fn client_connection(section: ClientConnection) -> ClientConnection {
    ClientConnection {
        kubeconfig: Some(section.kubeconfig.unwrap_or_default()),
        content_type: Some(section.content_type.filter(|t| !t.is_empty()).unwrap_or(CONTENT_TYPE.into())),
        accept_content_types: Some(section.accept_content_types.unwrap_or_default()),
        qps: Some(section.qps.filter(|qps| *qps != 0.0).unwrap_or(5.0)),
        burst: Some(section.burst.filter(|burst| *burst != 0).unwrap_or(10)),
    }
}

fn logging(section: Logging) -> Logging {
    let default = FlushFrequency::Duration(GoDuration::seconds(5));
    let flush =
        section.flush_frequency.filter(|flush| flush.duration() != GoDuration::ZERO).unwrap_or(default);
    let options = section.options.unwrap_or_default();
    let output = |output: Option<OutputOptions>| {
        let OutputOptions { split_stream, info_buffer_size } = output.unwrap_or_default();
        Some(OutputOptions {
            split_stream: Some(split_stream.unwrap_or(false)),
            info_buffer_size: Some(info_buffer_size.unwrap_or(Quantity::Text("0".into()))),
        })
    };
    Logging {
        format: Some(section.format.filter(|format| !format.is_empty()).unwrap_or("text".into())),
        verbosity: Some(section.verbosity.unwrap_or(0)),
        vmodule: Some(section.vmodule.unwrap_or_default()),
        flush_frequency: Some(flush),
        options: Some(LoggingOptions { text: output(options.text), json: output(options.json) }),
    }
}

fn iptables(section: Iptables) -> Iptables {
    Iptables {
        masquerade_bit: Some(section.masquerade_bit.unwrap_or(MASQUERADE_BIT)),
        masquerade_all: Some(section.masquerade_all.unwrap_or(false)),
        localhost_node_ports: Some(section.localhost_node_ports.unwrap_or(true)),
        sync_period: period(section.sync_period, SYNC_PERIOD),
        min_sync_period: given(section.min_sync_period),
    }
}

/// The flag may say zero, which only this mode minds, and then refuses.
fn ipvs(section: Ipvs, origin: Origin) -> Ipvs {
    let flag = section.sync_period.filter(|_| !origin.is_file);
    Ipvs {
        sync_period: flag.or(period(section.sync_period, SYNC_PERIOD)),
        min_sync_period: given(section.min_sync_period),
        scheduler: Some(section.scheduler.unwrap_or_default()),
        exclude_cidrs: section.exclude_cidrs,
        strict_arp: Some(section.strict_arp.unwrap_or(false)),
        tcp_timeout: given(section.tcp_timeout),
        tcp_fin_timeout: given(section.tcp_fin_timeout),
        udp_timeout: given(section.udp_timeout),
    }
}

fn nftables(section: Nftables) -> Nftables {
    Nftables {
        masquerade_bit: Some(section.masquerade_bit.unwrap_or(MASQUERADE_BIT)),
        masquerade_all: Some(section.masquerade_all.unwrap_or(false)),
        sync_period: period(section.sync_period, SYNC_PERIOD),
        min_sync_period: given(section.min_sync_period),
    }
}

fn winkernel(section: Winkernel) -> Winkernel {
    Winkernel {
        network_name: Some(section.network_name.unwrap_or_default()),
        source_vip: Some(section.source_vip.unwrap_or_default()),
        enable_dsr: Some(section.enable_dsr.unwrap_or(false)),
        root_hns_endpoint_name: Some(section.root_hns_endpoint_name.unwrap_or_default()),
        forward_health_check_vip: Some(section.forward_health_check_vip.unwrap_or(false)),
    }
}

fn detect_local(section: DetectLocalNames) -> DetectLocalNames {
    DetectLocalNames {
        bridge_interface: Some(section.bridge_interface.unwrap_or_default()),
        interface_name_prefix: Some(section.interface_name_prefix.unwrap_or_default()),
    }
}

/// In nftables mode `primary`; in the others nothing, which is everywhere (reference §3.3).
fn node_port_addresses(file: &File, mode: &str) -> Option<Vec<String>> {
    let list = file.node_port_addresses.clone();
    if list.as_ref().is_some_and(|list| !list.is_empty()) || Mode::parse(mode) != Some(Mode::Nftables) {
        return list;
    }
    Some(vec!["primary".into()])
}

/// Zero leaves the kernel's value alone. That is what a machine without a cluster gets unless it asks: its
/// conntrack table has an owner, and it is not this daemon.
fn conntrack(section: Conntrack, origin: Origin) -> Conntrack {
    let unless_standalone = |seconds| GoDuration::seconds(if origin.is_standalone { 0 } else { seconds });
    Conntrack {
        max_per_core: Some(section.max_per_core.unwrap_or(if origin.is_standalone { 0 } else { 32_768 })),
        min: Some(section.min.unwrap_or(131_072)),
        tcp_established_timeout: Some(section.tcp_established_timeout.unwrap_or(unless_standalone(86_400))),
        tcp_close_wait_timeout: Some(section.tcp_close_wait_timeout.unwrap_or(unless_standalone(3_600))),
        tcp_be_liberal: Some(section.tcp_be_liberal.unwrap_or(false)),
        udp_timeout: given(section.udp_timeout),
        udp_stream_timeout: given(section.udp_stream_timeout),
    }
}
