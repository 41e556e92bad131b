//! `KubeProxyConfiguration`, kubeproxy.config.k8s.io/v1alpha1: every field that a file may have (reference
//! §15.2), whether or not this daemon has a use for it. Absent, `null` and, where upstream cannot tell them
//! apart, zero values are the default; the defaults themselves are in [`super::defaults`]. Flags are written
//! into the same struct ([`super::flags`]).
//!
//! Written out, it looks as kube-proxy writes it: fields that it leaves out when they are empty are left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::duration::GoDuration;

/// The kind, which is also the root of field paths in messages.
pub(super) const KIND: &str = "KubeProxyConfiguration";
/// The only version that there is.
pub(super) const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct File {
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
    #[serde(skip_serializing_if = "is_empty_map")]
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
    #[serde(skip_serializing_if = "is_not_true")]
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ClientConnection {
    pub(super) kubeconfig: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) accept_content_types: Option<String>,
    #[serde(serialize_with = "shortest")]
    pub(super) qps: Option<f64>,
    pub(super) burst: Option<i32>,
}

/// `logging`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Logging {
    pub(super) format: Option<String>,
    pub(super) verbosity: Option<u32>,
    #[serde(skip_serializing_if = "is_empty_list")]
    pub(super) vmodule: Option<Vec<ModuleVerbosity>>,
    pub(super) flush_frequency: Option<FlushFrequency>,
    pub(super) options: Option<LoggingOptions>,
}

/// `logging.vmodule[]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ModuleVerbosity {
    pub(super) file_pattern: Option<String>,
    pub(super) verbosity: Option<u32>,
}

/// `logging.flushFrequency`: a duration, or a number of nanoseconds as older files have it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum FlushFrequency {
    Duration(GoDuration),
    Nanoseconds(i64),
}

impl FlushFrequency {
    pub(super) fn duration(&self) -> GoDuration {
        match self {
            FlushFrequency::Duration(duration) => *duration,
            FlushFrequency::Nanoseconds(number) => GoDuration::nanoseconds(*number),
        }
    }
}

/// `logging.options`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct LoggingOptions {
    pub(super) text: Option<OutputOptions>,
    pub(super) json: Option<OutputOptions>,
}

/// `logging.options.text`, `logging.options.json`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct OutputOptions {
    #[serde(skip_serializing_if = "is_not_true")]
    pub(super) split_stream: Option<bool>,
    pub(super) info_buffer_size: Option<Quantity>,
}

/// A size such as `0` or `64Ki`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Quantity {
    Number(i64),
    Text(String),
}

impl Quantity {
    /// A number, a decimal point or an exponent perhaps, and a unit. There are negative ones.
    pub(super) fn is_valid(&self) -> bool {
        let Quantity::Text(text) = self else { return true };
        let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        const UNITS: [&str; 16] =
            ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        let exponent = unit.strip_prefix(['e', 'E']).is_some_and(|e| e.parse::<i32>().is_ok());
        number.parse::<f64>().is_ok() && (exponent || UNITS.contains(&unit))
    }

    /// Nothing, in any unit.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Quantity::Number(number) => *number == 0,
            Quantity::Text(text) => {
                text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse() == Ok(0.0)
            }
        }
    }
}

/// `iptables`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Iptables {
    pub(super) masquerade_bit: Option<i32>,
    pub(super) masquerade_all: Option<bool>,
    pub(super) localhost_node_ports: Option<bool>,
    pub(super) sync_period: Option<GoDuration>,
    pub(super) min_sync_period: Option<GoDuration>,
}

/// `ipvs`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Nftables {
    pub(super) masquerade_bit: Option<i32>,
    pub(super) masquerade_all: Option<bool>,
    pub(super) sync_period: Option<GoDuration>,
    pub(super) min_sync_period: Option<GoDuration>,
}

/// `winkernel`, which no Linux daemon reads.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DetectLocalNames {
    pub(super) bridge_interface: Option<String>,
    pub(super) interface_name_prefix: Option<String>,
}

/// `conntrack`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
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

fn is_empty_map(map: &Option<BTreeMap<String, bool>>) -> bool {
    map.as_ref().is_none_or(BTreeMap::is_empty)
}

fn is_empty_list<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

fn is_not_true(value: &Option<bool>) -> bool {
    *value != Some(true)
}

/// Whole numbers without a decimal point, as Go writes them.
fn shortest<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            serializer.serialize_i64(*number as i64)
        }
        other => other.serialize(serializer),
    }
}
