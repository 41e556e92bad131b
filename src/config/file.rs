//! `KubeProxyConfiguration`, kubeproxy.config.k8s.io/v1alpha1: every field that a file may have (reference
//! §15.2), whether or not this daemon has a use for it. Absent, `null` and, where upstream cannot tell them
//! apart, zero values are the default. Defaults that are not zero are in [`super::effective`] and
//! [`super::later`].

use std::collections::BTreeMap;

use serde::Deserialize;

use super::duration::GoDuration;

/// The kind, which is also the root of field paths in messages.
pub(super) const KIND: &str = "KubeProxyConfiguration";
/// The only version that there is.
pub(super) const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct File {
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) feature_gates: Option<BTreeMap<String, bool>>,
    pub(super) client_connection: Option<ClientConnection>,
    pub(super) logging: Option<Logging>,
    pub(super) hostname_override: Option<String>,
    pub(super) bind_address: Option<String>,
    pub(super) healthz_bind_address: Option<String>,
    pub(super) metrics_bind_address: Option<String>,
    pub(super) bind_address_hard_fail: Option<bool>,
    pub(super) enable_profiling: Option<bool>,
    pub(super) show_hidden_metrics_for_version: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) iptables: Option<Iptables>,
    pub(super) ipvs: Option<Ipvs>,
    pub(super) nftables: Option<Nftables>,
    pub(super) winkernel: Option<Winkernel>,
    pub(super) windows_run_as_service: Option<bool>,
    pub(super) detect_local_mode: Option<String>,
    pub(super) detect_local: Option<DetectLocalNames>,
    #[serde(rename = "clusterCIDR")]
    pub(super) cluster_cidr: Option<String>,
    pub(super) node_port_addresses: Option<Vec<String>>,
    pub(super) oom_score_adj: Option<i32>,
    pub(super) conntrack: Option<Conntrack>,
    pub(super) config_sync_period: Option<GoDuration>,
    pub(super) port_range: Option<String>,
}

/// `clientConnection`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ClientConnection {
    pub(super) kubeconfig: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) accept_content_types: Option<String>,
    pub(super) qps: Option<f64>,
    pub(super) burst: Option<i32>,
}

/// `logging`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Logging {
    pub(super) format: Option<String>,
    pub(super) verbosity: Option<u32>,
    pub(super) vmodule: Option<Vec<ModuleVerbosity>>,
    pub(super) flush_frequency: Option<FlushFrequency>,
    pub(super) options: Option<LoggingOptions>,
}

/// `logging.vmodule[]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ModuleVerbosity {
    pub(super) file_pattern: Option<String>,
    pub(super) verbosity: Option<u32>,
}

/// `logging.flushFrequency`: a duration, or a number of nanoseconds as older files have it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum FlushFrequency {
    Duration(GoDuration),
    Nanoseconds(i64),
}

/// `logging.options`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct LoggingOptions {
    pub(super) text: Option<OutputOptions>,
    pub(super) json: Option<OutputOptions>,
}

/// `logging.options.text`, `logging.options.json`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct OutputOptions {
    pub(super) split_stream: Option<bool>,
    pub(super) info_buffer_size: Option<Quantity>,
}

/// A size such as `0` or `64Ki`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Quantity {
    Number(i64),
    Text(String),
}

/// `iptables`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Iptables {
    pub(super) masquerade_bit: Option<i32>,
    pub(super) masquerade_all: Option<bool>,
    pub(super) localhost_node_ports: Option<bool>,
    pub(super) sync_period: Option<GoDuration>,
    pub(super) min_sync_period: Option<GoDuration>,
}

/// `ipvs`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Ipvs {
    pub(super) sync_period: Option<GoDuration>,
    pub(super) min_sync_period: Option<GoDuration>,
    pub(super) scheduler: Option<String>,
    #[serde(rename = "excludeCIDRs")]
    pub(super) exclude_cidrs: Option<Vec<String>>,
    #[serde(rename = "strictARP")]
    pub(super) strict_arp: Option<bool>,
    pub(super) tcp_timeout: Option<GoDuration>,
    pub(super) tcp_fin_timeout: Option<GoDuration>,
    pub(super) udp_timeout: Option<GoDuration>,
}

/// `nftables`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Nftables {
    pub(super) masquerade_bit: Option<i32>,
    pub(super) masquerade_all: Option<bool>,
    pub(super) sync_period: Option<GoDuration>,
    pub(super) min_sync_period: Option<GoDuration>,
}

/// `winkernel`, which no Linux daemon reads.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Winkernel {
    pub(super) network_name: Option<String>,
    pub(super) source_vip: Option<String>,
    #[serde(rename = "enableDSR")]
    pub(super) enable_dsr: Option<bool>,
    pub(super) root_hns_endpoint_name: Option<String>,
    pub(super) forward_health_check_vip: Option<bool>,
}

/// `detectLocal`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DetectLocalNames {
    pub(super) bridge_interface: Option<String>,
    pub(super) interface_name_prefix: Option<String>,
}

/// `conntrack`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Conntrack {
    pub(super) max_per_core: Option<i32>,
    pub(super) min: Option<i32>,
    pub(super) tcp_established_timeout: Option<GoDuration>,
    pub(super) tcp_close_wait_timeout: Option<GoDuration>,
    pub(super) tcp_be_liberal: Option<bool>,
    pub(super) udp_timeout: Option<GoDuration>,
    pub(super) udp_stream_timeout: Option<GoDuration>,
}
