//! One test a behaviour of the configuration file.

use std::path::Path;
use std::time::Duration;

use kube_verdict_table::{Cidr, Family, LocalDetector, NodePortEntry};
use proptest::prelude::*;

use super::*;

const HEADER: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

fn try_load(text: &str) -> Result<Loaded, ConfigError> {
    from_text(Path::new("config.yaml"), text.as_bytes())
}

/// The settings of a file that begins on line 3 with `body`.
fn loaded(body: &str) -> Loaded {
    try_load(&format!("{HEADER}{body}")).unwrap_or_else(|error| panic!("{error}"))
}

fn effective(body: &str) -> Effective {
    loaded(body).effective
}

fn refused(body: &str) -> String {
    try_load(&format!("{HEADER}{body}")).expect_err("an error").to_string()
}

fn warnings(loaded: &Loaded) -> Vec<&str> {
    loaded
        .messages
        .iter()
        .filter_map(|message| match message {
            Message::Warning(text) => Some(text.as_str()),
            Message::Info(_) => None,
        })
        .collect()
}

fn infos(loaded: &Loaded) -> Vec<&str> {
    loaded
        .messages
        .iter()
        .filter_map(|message| match message {
            Message::Info(text) => Some(text.as_str()),
            Message::Warning(_) => None,
        })
        .collect()
}

fn flags(given: &[(&'static str, &str)]) -> Flags {
    let mut flags = Flags::default();
    for (name, text) in given {
        let flag = super::flags::all().iter().find(|flag| flag.name == *name).unwrap();
        flags.set(flag, text).unwrap_or_else(|error| panic!("--{name}={text}: {error}"));
    }
    flags
}

/// The settings of a file with this body beside flags.
fn with_file(body: &str, given: &[(&'static str, &str)]) -> Result<Loaded, ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{HEADER}{body}")).unwrap();
    let mut flags = flags(given);
    flags.config = Some(file.path().into());
    load(&flags)
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

mod the_file {
    use super::*;

    #[test]
    fn empty_settings_are_the_defaults() {
        let expected = defaults().effective;
        assert_eq!(effective(""), expected);
        assert_eq!(expected.node_port_addresses, [NodePortEntry::All]);
        assert_eq!(expected.detect_local, DetectLocal::ClusterCidr(vec![]));
        assert_eq!(expected.masquerade_mark, 0x4000);
        assert_eq!(expected.sync_period.as_secs(), 30);
        assert_eq!(expected.min_sync_period, None);
        assert!(expected.allow_external_ips && !expected.masquerade_all);
    }

    #[test]
    fn may_be_json() {
        let text = r#"{
	"apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
	"kind": "KubeProxyConfiguration",
	"iptables": {"masqueradeAll": true},
	"strange": 1
}"#;
        let loaded = try_load(text).unwrap();
        assert!(loaded.effective.masquerade_all);
        assert_eq!(warnings(&loaded), ["config.yaml:5:2: unknown field \"strange\" is ignored"]);
    }

    #[test]
    fn as_kubeadm_writes_it_is_quiet() {
        let loaded = loaded(include_str!("tests/kubeadm.yaml"));
        assert_eq!(warnings(&loaded), [""; 0]);
        assert_eq!(infos(&loaded).len(), 1, "{:?}", loaded.messages);
        assert!(infos(&loaded)[0].contains("nftables runs in its place"), "{:?}", loaded.messages);
        let expected = effective("clusterCIDR: 10.244.0.0/16\n");
        let client = Client {
            kubeconfig: Some("/var/lib/kube-proxy/kubeconfig.conf".into()),
            ..expected.client.clone()
        };
        assert_eq!(loaded.effective, Effective { client, ..expected });
    }

    #[test]
    fn unknown_field_is_a_warning_with_its_path_and_line() {
        let loaded = loaded("iptables:\n  masqueradeAll: true\n  masquradeBit: 3\n");
        assert_eq!(
            warnings(&loaded),
            ["config.yaml:5:3: unknown field \"iptables.masquradeBit\" is ignored"]
        );
        assert!(loaded.effective.masquerade_all);
    }

    #[test]
    fn duplicate_field_is_a_warning_and_the_last_counts() {
        let loaded = loaded("hostnameOverride: a\nclusterCIDR: 10.0.0.0/8\nhostnameOverride: b\n");
        let expected = "config.yaml:5:1: field \"hostnameOverride\" stands twice; the last one counts";
        assert_eq!(warnings(&loaded), [expected]);
        assert_eq!(loaded.effective.hostname_override.as_deref(), Some("b"));
    }

    #[test]
    fn wrong_kind_or_version_is_fatal_with_its_line() {
        let error = try_load("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeletConfiguration\n");
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("config.yaml:2:7: kind is \"KubeletConfiguration\""), "{text}");
        let error = try_load("apiVersion: kubeproxy.config.k8s.io/v1\nkind: KubeProxyConfiguration\n");
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("config.yaml:1:13: apiVersion is"), "{text}");
        let text = try_load("kind: KubeProxyConfiguration\n").unwrap_err().to_string();
        assert!(text.contains("apiVersion is missing"), "{text}");
    }

    #[test]
    fn wrong_type_is_fatal_with_its_line() {
        let text = refused("nftables:\n  masqueradeBit: \"14\"\n");
        assert!(
            text.starts_with(
                "config.yaml:4:18: nftables.masqueradeBit: is the text \"14\", and should be a whole number"
            ),
            "{text}"
        );
        let text = refused("nodePortAddresses: primary\n");
        assert!(
            text.starts_with(
                "config.yaml:3:20: nodePortAddresses: is the text \"primary\", and should be a list"
            ),
            "{text}"
        );
        let text = refused("configSyncPeriod: 15\n");
        assert!(text.starts_with("config.yaml:3:19: configSyncPeriod:"), "{text}");
        let text = refused("configSyncPeriod: soon\n");
        assert!(text.contains("\"soon\" is not a duration such as 30s"), "{text}");
    }

    #[test]
    fn no_yaml_is_fatal_with_its_line() {
        let text = refused("mode: [nftables\n");
        assert!(text.starts_with("config.yaml:"), "{text}");
        assert!(try_load("").unwrap_err().to_string().contains("the file is empty"));
    }

    #[test]
    fn more_documents_are_a_warning() {
        let loaded = loaded("---\nkind: Other\n");
        assert_eq!(warnings(&loaded), ["config.yaml: only the first document of the file is read"]);
    }

    #[test]
    fn a_missing_file_says_which() {
        let flags = flags(&[("config", "/nowhere/config.yaml")]);
        let text = load(&flags).unwrap_err().to_string();
        assert!(text.contains("/nowhere/config.yaml"), "{text}");
    }

    #[test]
    fn null_is_absent() {
        let body = "conntrack: null\nnftables: {masqueradeBit: null, syncPeriod: null}\nnodePortAddresses: null\n\
                    mode: null\n";
        assert_eq!(effective(body), defaults().effective);
    }
}

mod mode {
    use super::*;

    #[test]
    fn nftables_reads_its_own_section() {
        let body = "nftables: {masqueradeAll: true, masqueradeBit: 20, syncPeriod: 1m, minSyncPeriod: 2s}\n\
                    iptables: {masqueradeBit: 3}\n";
        let loaded = loaded(&format!("mode: nftables\nclusterCIDR: 10.0.0.0/8\n{body}"));
        let effective = &loaded.effective;
        assert!(effective.masquerade_all);
        assert_eq!(effective.masquerade_mark, 1 << 20);
        assert_eq!(effective.sync_period.as_secs(), 60);
        assert_eq!(effective.min_sync_period.map(|period| period.as_secs()), Some(2));
        assert_eq!(effective.node_port_addresses, [NodePortEntry::Primary]);
        assert_eq!(infos(&loaded), ["accepted, and without effect: iptables.masqueradeBit"]);
    }

    #[test]
    fn iptables_and_none_run_nftables_with_the_iptables_section_and_say_so_once() {
        for mode in ["\"\"", "iptables"] {
            let body = "iptables: {masqueradeAll: true, masqueradeBit: 31}\nnftables: {masqueradeBit: 3}\n";
            let loaded = loaded(&format!("mode: {mode}\nclusterCIDR: 10.0.0.0/8\n{body}"));
            assert!(loaded.effective.masquerade_all);
            assert_eq!(loaded.effective.masquerade_mark, 1 << 31);
            assert_eq!(loaded.effective.node_port_addresses, [NodePortEntry::All]);
            assert!(infos(&loaded)[0].contains("nftables runs in its place"));
            assert_eq!(infos(&loaded)[1], "accepted, and without effect: nftables.masqueradeBit");
        }
    }

    #[test]
    fn others_are_refused() {
        assert!(refused("mode: ebpf\n").contains("\"ebpf\" is not one of nftables, iptables, ipvs"));
    }
}

mod local_traffic {
    use super::*;

    #[test]
    fn cluster_cidr_of_one_family() {
        let detectors = effective("clusterCIDR: 10.0.0.0/8\n").detect_local.detectors(&[]);
        assert_eq!(detectors.v4, Some(LocalDetector::Source(vec![cidr("10.0.0.0/8")])));
        assert_eq!(detectors.v6, None);
    }

    #[test]
    fn cluster_cidr_of_both_families() {
        let detectors = effective("clusterCIDR: fd00::/48, 10.0.0.0/8\n").detect_local.detectors(&[]);
        assert_eq!(detectors[Family::V4], Some(LocalDetector::Source(vec![cidr("10.0.0.0/8")])));
        assert_eq!(detectors[Family::V6], Some(LocalDetector::Source(vec![cidr("fd00::/48")])));
    }

    #[test]
    fn without_one_says_that_pods_cannot_be_told() {
        assert!(infos(&loaded("mode: nftables\n"))[0].contains("clusterCIDR is not set"));
        assert_eq!(infos(&loaded("mode: nftables\nclusterCIDR: 10.0.0.0/8\n")), [""; 0]);
    }

    #[test]
    fn node_cidr_takes_the_first_prefix_of_each_family() {
        let effective = effective("detectLocalMode: NodeCIDR\nclusterCIDR: nonsense\n");
        let pods = [cidr("10.1.1.0/24"), cidr("10.1.2.0/24"), cidr("fd00:1::/64")];
        let detectors = effective.settings("n", &pods).detector;
        assert_eq!(detectors.v4, Some(LocalDetector::Source(vec![cidr("10.1.1.0/24")])));
        assert_eq!(detectors.v6, Some(LocalDetector::Source(vec![cidr("fd00:1::/64")])));
    }

    #[test]
    fn interfaces_serve_both_families() {
        let body = "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cbr0}\n";
        let detectors = effective(body).detect_local.detectors(&[]);
        assert_eq!(detectors.v4, Some(LocalDetector::Interface("cbr0".into())));
        assert_eq!(detectors.v6, detectors.v4);
        let body = "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}\n";
        let detectors = effective(body).detect_local.detectors(&[]);
        assert_eq!(detectors.v6, Some(LocalDetector::InterfacePrefix("veth".into())));
    }
}

mod node_ports {
    use super::*;

    #[test]
    fn keywords_and_prefixes_mix() {
        let body = "nodePortAddresses: [primary, localhost, all, 192.168.0.0/16, \"fd00::/8\"]\n";
        let expected = [
            NodePortEntry::Primary,
            NodePortEntry::Localhost,
            NodePortEntry::All,
            NodePortEntry::Prefix(cidr("192.168.0.0/16")),
            NodePortEntry::Prefix(cidr("fd00::/8")),
        ];
        assert_eq!(effective(body).node_port_addresses, expected);
    }
}

mod node_and_flags {
    use super::*;

    #[test]
    fn the_name_on_the_command_line_goes_before_the_file() {
        let name = |given: &[(&'static str, &str)]| with_file("hostnameOverride: from-file\n", given);
        let name = |given| name(given).unwrap().effective.hostname_override;
        assert_eq!(name(&[("hostname-override", "from-flag")]).as_deref(), Some("from-flag"));
        assert_eq!(name(&[]).as_deref(), Some("from-file"));
        let blank = with_file("", &[("hostname-override", " ")]).unwrap_err().to_string();
        assert!(blank.contains("--hostname-override is blank"), "{blank}");
    }

    #[test]
    fn bind_address_counts_unless_it_is_a_wildcard() {
        assert_eq!(
            effective("bindAddress: 192.168.1.1\n").bind_address,
            Some("192.168.1.1".parse().unwrap())
        );
        assert_eq!(effective("bindAddress: 0.0.0.0\n").bind_address, None);
        assert_eq!(effective("bindAddress: \"::\"\n").bind_address, None);
    }
}

mod feature_gates {
    use super::*;

    #[test]
    fn allow_service_external_ips_works() {
        assert!(!effective("featureGates: {AllowServiceExternalIPs: false}\n").allow_external_ips);
    }

    #[test]
    fn known_ones_are_accepted_and_those_without_effect_are_named() {
        let loaded = loaded(
            "featureGates: {ServiceInternalTrafficPolicy: false, AllAlpha: true, KubeProxyIPVS: true, \
             KubeProxyNFTablesLocalhostNodePorts: true}\n",
        );
        let line = infos(&loaded)[1];
        assert!(line.contains("featureGates.ServiceInternalTrafficPolicy=false"), "{line}");
        assert!(line.contains("featureGates.KubeProxyNFTablesLocalhostNodePorts=true"), "{line}");
        assert!(!line.contains("AllAlpha") && !line.contains("KubeProxyIPVS"), "{line}");
    }

    #[test]
    fn unknown_ones_are_refused() {
        let text = refused("featureGates:\n  AllowServiceExternalIP: false\n");
        assert!(
            text.contains("KubeProxyConfiguration.featureGates.AllowServiceExternalIP (line 4)"),
            "{text}"
        );
    }
}

#[test]
fn what_has_no_effect_is_named_in_one_line() {
    let loaded = loaded(include_str!("tests/everything.yaml"));
    assert_eq!(warnings(&loaded), [""; 0]);
    let expected = "accepted, and without effect: clientConnection.contentType, \
        clientConnection.acceptContentTypes, logging.options, showHiddenMetricsForVersion, \
        iptables.masqueradeBit, iptables.masqueradeAll, iptables.syncPeriod, iptables.minSyncPeriod, \
        ipvs.syncPeriod, ipvs.minSyncPeriod, ipvs.scheduler, ipvs.excludeCIDRs, ipvs.strictARP, ipvs.tcpTimeout, \
        ipvs.tcpFinTimeout, ipvs.udpTimeout, configSyncPeriod";
    assert_eq!(infos(&loaded), [expected]);
    let logging = Logging { is_json: false, verbosity: 2, modules: vec![("proxy*".into(), 5)] };
    assert_eq!(loaded.logging, logging);
}

#[test]
fn what_serves_a_cluster() {
    let effective = effective(include_str!("tests/everything.yaml"));
    assert_eq!(
        effective.client,
        Client { kubeconfig: Some("/etc/kubeconfig".into()), master: None, qps: 50.0, burst: 100 }
    );
    let address = |text: &str| Some(text.parse().unwrap());
    assert_eq!(
        effective.serving,
        Serving {
            healthz: address("127.0.0.1:10256"),
            metrics: address("0.0.0.0:10249"),
            hard_fail: true,
            profiling: true
        }
    );
    assert_eq!(
        effective.conntrack,
        Conntrack {
            max_per_core: 1,
            min: 1,
            tcp_established_timeout: Duration::from_secs(3600),
            tcp_close_wait_timeout: Duration::from_secs(60),
            tcp_be_liberal: true,
            udp_timeout: Duration::from_secs(30),
            udp_stream_timeout: Duration::from_secs(180),
        }
    );
    assert_eq!(effective.oom_score_adj, Some(-500));
}

mod flags;
mod ipvs;

#[test]
fn everything_impossible_is_collected() {
    let text = refused(include_str!("tests/impossible.yaml"));
    let lines: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
    let expected: Vec<&str> = include_str!("tests/impossible.txt").lines().collect();
    assert_eq!(lines, expected);
}

#[test]
fn impossible_combinations() {
    for (body, expected) in [
        ("clusterCIDR: 10.0.0.0/8,10.1.0.0/16\n", "clusterCIDR (line 3)"),
        ("clusterCIDR: 10.0.0.0/8,fd00::/8,fd01::/16\n", "clusterCIDR (line 3)"),
        ("detectLocalMode: InterfaceNamePrefix\n", "detectLocal.interfaceNamePrefix"),
        ("detectLocalMode: Magic\n", "\"Magic\" is not one of ClusterCIDR, NodeCIDR"),
        ("iptables: {syncPeriod: 1s, minSyncPeriod: 2s}\n", "2s is more than syncPeriod, 1s"),
        ("iptables: {syncPeriod: -1s}\n", "iptables.syncPeriod (line 3): -1s is not above zero"),
        ("metricsBindAddress: \"::1:10249\"\nhealthzBindAddress: \"10.0.0.1:0\"\n", "healthzBindAddress"),
        ("showHiddenMetricsForVersion: \"1.20\"\n", "showHiddenMetricsForVersion"),
        ("logging: {flushFrequency: -1s}\n", "logging.flushFrequency"),
        ("logging: {format: json, vmodule: [{filePattern: a, verbosity: 1}]}\n", "logging.vmodule (line 3)"),
        ("logging: {vmodule: [{filePattern: \"a=\", verbosity: 1}]}\n", "logging.vmodule[0]"),
        ("logging: {verbosity: 3000000000}\n", "logging.verbosity"),
        ("logging: {options: {text: {infoBufferSize: 1Ki}}}\n", "needs the feature gate LoggingAlphaOptions"),
        ("logging: {format: json}\nfeatureGates: {AllBeta: false}\n", "the feature gate LoggingBetaOptions"),
    ] {
        let text = refused(body);
        assert!(text.contains(expected), "{body}: {text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(body in "[ -~\n]{0,200}") {
        let _ = try_load(&format!("{HEADER}{body}"));
    }

    #[test]
    fn no_prefix_of_a_file_makes_it_panic(end in 0usize..4000) {
        let text = format!("{HEADER}{}", include_str!("tests/everything.yaml"));
        let _ = try_load(&text[..end.min(text.len())]);
    }
}
