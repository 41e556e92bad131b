//! The flags: name, default as kube-proxy writes it, what `--help` says, and where the value goes (reference
//! §15.2). A sentence here is about this daemon; where it differs from kube-proxy's own, so does the daemon.

use std::path::PathBuf;

use super::Flags;
use super::value::Set;
use crate::config::file::FlushFrequency;

/// A flag of kube-proxy's.
pub struct Flag {
    /// without dashes
    pub name: &'static str,
    /// under which heading it is explained
    pub group: Group,
    /// its value when it is not given; empty where there is none, or where it depends
    pub default: &'static str,
    /// what it does
    pub help: &'static str,
    /// it counts even if there is a configuration file
    pub(super) is_beside_file: bool,
    pub(super) set: Set,
}

/// The headings of `--help`, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// where settings come from, and what ends the program
    Configuration,
    /// how the API server is reached
    Api,
    /// who this node is
    Node,
    /// what is programmed, and how often
    Proxy,
    /// how pods are told
    LocalTraffic,
    /// what is set in the kernel
    Conntrack,
    /// health and metrics
    Serving,
    /// what is logged
    Log,
    /// what only mode ipvs has
    Ipvs,
    /// what only old command lines have
    Deprecated,
}

impl Group {
    /// The heading.
    pub const fn heading(self) -> &'static str {
        match self {
            Group::Configuration => "Configuration",
            Group::Api => "Kubernetes API",
            Group::Node => "Node",
            Group::Proxy => "Proxy",
            Group::LocalTraffic => "Local traffic",
            Group::Conntrack => "Conntrack",
            Group::Serving => "Serving",
            Group::Log => "Log",
            Group::Ipvs => "IPVS mode",
            Group::Deprecated => "Deprecated",
        }
    }
}

impl Flag {
    /// What `--help` calls its value.
    pub fn placeholder(&self) -> &'static str {
        match self.name {
            "config" | "write-config-to" | "kubeconfig" => "FILE",
            "master" => "URL",
            "hostname-override" => "NAME",
            _ => self.set.placeholder(),
        }
    }

    /// Whether it may stand alone, without a value.
    pub fn is_switch(&self) -> bool {
        self.set.is_switch()
    }

    /// Whether every occurrence counts, and not just the last.
    pub fn accumulates(&self) -> bool {
        self.set.accumulates()
    }

    /// Whether its value is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.set, Set::List(_))
    }

    /// Reads a value, and forgets it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, text: &str) -> Result<(), String> {
        self.set.apply(&mut Flags::default(), text)
    }

    const fn new(
        name: &'static str,
        group: Group,
        default: &'static str,
        help: &'static str,
        set: Set,
    ) -> Flag {
        Flag { name, group, default, help, is_beside_file: false, set }
    }

    /// It counts even if there is a configuration file.
    const fn beside_file(mut self) -> Flag {
        self.is_beside_file = true;
        self
    }
}

fn path(text: String) -> Option<PathBuf> {
    Some(text).filter(|text| !text.is_empty()).map(PathBuf::from)
}

pub(super) static FLAGS: &[Flag] = &[
    Flag::new("config", Group::Configuration, "", "KubeProxyConfiguration file (kubeproxy.config.k8s.io/v1alpha1); it makes void all flags but --hostname-override, --master, those of the log, and those that end the program", Set::Text(|f, v| f.config = path(v)))
    .beside_file(),
    Flag::new("write-config-to", Group::Configuration, "", "Write the configuration that the other flags make to this file, and exit", Set::Text(|f, v| f.write_config_to = path(v)))
    .beside_file(),
    Flag::new("feature-gates", Group::Configuration, "", "Feature gates of Kubernetes; docs/configuration.md says which do anything", Set::Gates(|f, v| f.file.feature_gates.get_or_insert_default().extend(v))),
    Flag::new("cleanup", Group::Configuration, "false", "Remove all rules from the kernel, kube-proxy's as well, and exit", Set::Switch(|f, v| f.cleanup = v))
    .beside_file(),
    Flag::new("init-only", Group::Configuration, "false", "Do what needs all of root's rights (the conntrack settings), and exit", Set::Switch(|f, v| f.init_only = v))
    .beside_file(),
    Flag::new("version", Group::Configuration, "false", "Print the version, and exit", Set::Version(|f, v| f.version = Some(v)))
    .beside_file(),
    Flag::new("kubeconfig", Group::Api, "", "How the API server is reached; without it and --master, as a pod's ServiceAccount", Set::Text(|f, v| f.client().kubeconfig = Some(v))),
    Flag::new("master", Group::Api, "", "The API server's URL, which goes before the kubeconfig's", Set::Text(|f, v| f.master = Some(v).filter(|url| !url.is_empty())))
    .beside_file(),
    Flag::new("kube-api-content-type", Group::Api, "application/vnd.kubernetes.protobuf", "Without effect: JSON is spoken", Set::Text(|f, v| f.client().content_type = Some(v))),
    Flag::new("kube-api-qps", Group::Api, "5", "Requests to the API server a second", Set::Rate(|f, v| f.client().qps = Some(v))),
    Flag::new("kube-api-burst", Group::Api, "10", "Requests to the API server at once", Set::Number(|f, v| f.client().burst = Some(v))),
    Flag::new("config-sync-period", Group::Api, "15m0s", "Without effect: nothing needs resyncing", Set::Period(|f, v| f.file.config_sync_period = Some(v))),
    Flag::new("hostname-override", Group::Node, "", "This node's name [default: the file's hostnameOverride, or the host's name]", Set::Text(|f, v| f.hostname_override = Some(v).filter(|name| !name.is_empty())))
    .beside_file(),
    Flag::new("bind-address", Group::Node, "0.0.0.0", "The node's IP, if it is not the Node object's; nothing listens on it", Set::Ip(|f, v| f.file.bind_address = Some(v))),
    Flag::new("nodeport-addresses", Group::Node, "", "Where NodePorts are served: prefixes, or primary [default: primary in nftables mode, or else everywhere]", Set::List(|f, v| f.file.node_port_addresses.get_or_insert_default().extend(v))),
    Flag::new("oom-score-adj", Group::Node, "-999", "How willingly the kernel ends the daemon when memory is short, -1000 to 1000", Set::Number(|f, v| f.file.oom_score_adj = Some(v))),
    Flag::new("proxy-mode", Group::Proxy, "", "nftables; ipvs; iptables, or nothing, runs nftables with the settings of iptables mode", Set::Text(|f, v| f.file.mode = Some(v))),
    Flag::new("masquerade-all", Group::Proxy, "false", "Masquerade everything that goes to a ClusterIP", Set::Switch(|f, v| f.masquerade_all = Some(v))),
    Flag::new("iptables-masquerade-bit", Group::Proxy, "14", "The bit of the packet mark that says \"masquerade\", in iptables and ipvs mode", Set::Number(|f, v| f.iptables().masquerade_bit = Some(v))),
    Flag::new("iptables-sync-period", Group::Proxy, "30s", "The longest time between two comparisons with the kernel, in any mode but ipvs", Set::Period(|f, v| f.sync_period = Some(v))),
    Flag::new("iptables-min-sync-period", Group::Proxy, "1s", "The shortest time between two changes, in any mode but ipvs; not given, none", Set::Duration(|f, v| f.min_sync_period = Some(v))),
    Flag::new("iptables-localhost-nodeports", Group::Proxy, "true", "Without effect: NodePorts are not served on loopback addresses", Set::Switch(|f, v| f.iptables().localhost_node_ports = Some(v))),
    Flag::new("detect-local-mode", Group::LocalTraffic, "", "ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix: how this node's pods are told [default: ClusterCIDR]", Set::Text(|f, v| f.file.detect_local_mode = Some(v))),
    Flag::new("cluster-cidr", Group::LocalTraffic, "", "The pods' prefix, or one of each IP family, separated by a comma (mode ClusterCIDR)", Set::Text(|f, v| f.file.cluster_cidr = Some(v))),
    Flag::new("pod-bridge-interface", Group::LocalTraffic, "", "The bridge of this node's pods (mode BridgeInterface)", Set::Text(|f, v| f.detect_local().bridge_interface = Some(v))),
    Flag::new("pod-interface-name-prefix", Group::LocalTraffic, "", "How the names of this node's pod interfaces begin (mode InterfaceNamePrefix)", Set::Text(|f, v| f.detect_local().interface_name_prefix = Some(v))),
    Flag::new("conntrack-max-per-core", Group::Conntrack, "32768", "Connections to track for each CPU; 0: the kernel's maximum stays as it is", Set::Number(|f, v| f.conntrack().max_per_core = Some(v))),
    Flag::new("conntrack-min", Group::Conntrack, "131072", "Connections to track at least; void if --conntrack-max-per-core is 0", Set::Number(|f, v| f.conntrack().min = Some(v))),
    Flag::new("conntrack-tcp-timeout-established", Group::Conntrack, "24h0m0s", "How long an established TCP connection may be idle; 0: as it is", Set::Duration(|f, v| f.conntrack().tcp_established_timeout = Some(v))),
    Flag::new("conntrack-tcp-timeout-close-wait", Group::Conntrack, "1h0m0s", "How long a TCP connection may be half closed; 0: as it is", Set::Duration(|f, v| f.conntrack().tcp_close_wait_timeout = Some(v))),
    Flag::new("conntrack-tcp-be-liberal", Group::Conntrack, "false", "Let packets outside of the TCP window pass", Set::Switch(|f, v| f.conntrack().tcp_be_liberal = Some(v))),
    Flag::new("conntrack-udp-timeout", Group::Conntrack, "0s", "How long a UDP flow without an answer is kept; 0: as it is", Set::Duration(|f, v| f.conntrack().udp_timeout = Some(v))),
    Flag::new("conntrack-udp-timeout-stream", Group::Conntrack, "0s", "How long a UDP flow with an answer is kept; 0: as it is", Set::Duration(|f, v| f.conntrack().udp_stream_timeout = Some(v))),
    Flag::new("healthz-bind-address", Group::Serving, "0.0.0.0:10256", "Where /healthz and /livez are served; empty: nowhere", Set::Listen(|f, v| f.file.healthz_bind_address = Some(v))),
    Flag::new("metrics-bind-address", Group::Serving, "127.0.0.1:10249", "Where /metrics is served; empty: nowhere", Set::Listen(|f, v| f.file.metrics_bind_address = Some(v))),
    Flag::new("bind-address-hard-fail", Group::Serving, "false", "End the daemon if one of these addresses cannot be had", Set::Switch(|f, v| f.file.bind_address_hard_fail = Some(v))),
    Flag::new("profiling", Group::Serving, "false", "Serve /debug beside /metrics", Set::Switch(|f, v| f.file.enable_profiling = Some(v))),
    Flag::new("show-hidden-metrics-for-version", Group::Serving, "", "Without effect: no metric is hidden", Set::Text(|f, v| f.file.show_hidden_metrics_for_version = Some(v))),
    Flag::new("v", Group::Log, "0", "Log more: 0 to 3 what matters, 4 and above everything that happens, 6 and above every detail", Set::Level(|f, v| f.logging.verbosity = Some(v)))
    .beside_file(),
    Flag::new("vmodule", Group::Log, "", "Log more in source files whose names match a pattern, such as reconciler=5,watch*=4", Set::Modules(|f, v| f.logging.vmodule.get_or_insert_default().extend(v)))
    .beside_file(),
    Flag::new("logging-format", Group::Log, "text", "How log lines are written: text or json", Set::Text(|f, v| f.logging.format = Some(v)))
    .beside_file(),
    Flag::new("log-flush-frequency", Group::Log, "5s", "Without effect: nothing is buffered", Set::Duration(|f, v| f.logging.flush_frequency = Some(FlushFrequency::Duration(v))))
    .beside_file(),
    Flag::new("log-text-split-stream", Group::Log, "false", "Without effect: the log goes to standard error", Set::Switch(|f, v| f.text_output().split_stream = Some(v)))
    .beside_file(),
    Flag::new("log-text-info-buffer-size", Group::Log, "0", "Without effect: nothing is buffered", Set::Size(|f, v| f.text_output().info_buffer_size = Some(v)))
    .beside_file(),
    Flag::new("log-json-split-stream", Group::Log, "false", "Without effect: the log goes to standard error", Set::Switch(|f, v| f.json_output().split_stream = Some(v)))
    .beside_file(),
    Flag::new("log-json-info-buffer-size", Group::Log, "0", "Without effect: nothing is buffered", Set::Size(|f, v| f.json_output().info_buffer_size = Some(v)))
    .beside_file(),
    Flag::new("ipvs-scheduler", Group::Ipvs, "", "The scheduler of Services that name none (annotation kube-verdict.io/ipvs-scheduler), such as lc or sh,sh-port [default: rr]", Set::Text(|f, v| f.ipvs().scheduler = Some(v))),
    Flag::new("ipvs-sync-period", Group::Ipvs, "30s", "The longest time between two comparisons with the kernel", Set::Duration(|f, v| f.ipvs().sync_period = Some(v))),
    Flag::new("ipvs-min-sync-period", Group::Ipvs, "1s", "The shortest time between two changes; not given, none", Set::Duration(|f, v| f.ipvs().min_sync_period = Some(v))),
    Flag::new("ipvs-exclude-cidrs", Group::Ipvs, "", "Without effect: virtual servers of others are left alone, whatever their addresses", Set::List(|f, v| f.ipvs().exclude_cidrs.get_or_insert_default().extend(v))),
    Flag::new("ipvs-strict-arp", Group::Ipvs, "false", "Without effect: no service address is on any device, so ARP is answered for none", Set::Switch(|f, v| f.ipvs().strict_arp = Some(v))),
    Flag::new("ipvs-tcp-timeout", Group::Ipvs, "0s", "How long a TCP connection may be idle; 0: as it is", Set::Duration(|f, v| f.ipvs().tcp_timeout = Some(v))),
    Flag::new("ipvs-tcpfin-timeout", Group::Ipvs, "0s", "How long a TCP connection is kept after FIN; 0: as it is", Set::Duration(|f, v| f.ipvs().tcp_fin_timeout = Some(v))),
    Flag::new("ipvs-udp-timeout", Group::Ipvs, "0s", "How long a UDP flow may be idle; 0: as it is", Set::Duration(|f, v| f.ipvs().udp_timeout = Some(v))),
    Flag::new("healthz-port", Group::Deprecated, "10256", "0: /healthz and /livez are not served; or the port of a --healthz-bind-address without one", Set::Number(|f, v| f.healthz_port = Some(v))),
    Flag::new("metrics-port", Group::Deprecated, "10249", "0: /metrics is not served; or the port of a --metrics-bind-address without one", Set::Number(|f, v| f.metrics_port = Some(v))),
    Flag::new("boot-id-file", Group::Deprecated, "/proc/sys/kernel/random/boot_id", "Ignored, as by kube-proxy", Set::Text(|f, v| { let _ = (f, v); }))
    .beside_file(),
    Flag::new("machine-id-file", Group::Deprecated, "/etc/machine-id,/var/lib/dbus/machine-id", "Ignored, as by kube-proxy", Set::Text(|f, v| { let _ = (f, v); }))
    .beside_file(),
];
