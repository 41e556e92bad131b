//! One test a behaviour of the configuration file.

use std::path::Path;

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

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

mod the_file {
    use super::*;

    #[test]
    fn empty_settings_are_the_defaults() {
        let expected = defaults().effective;
        assert_eq!(effective(""), expected);
        assert_eq!(expected.node_port_addresses, [NodePortEntry::Primary]);
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
	"nftables": {"masqueradeAll": true},
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
        assert_eq!(infos(&loaded), ["accepted, and not in effect yet: logging.options"]);
    }

    #[test]
    fn unknown_field_is_a_warning_with_its_path_and_line() {
        let loaded = loaded("nftables:\n  masqueradeAll: true\n  masquradeBit: 3\n");
        assert_eq!(
            warnings(&loaded),
            ["config.yaml:5:3: unknown field \"nftables.masquradeBit\" is ignored"]
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
        let flags = Flags { config: Some("/nowhere/config.yaml".into()), hostname_override: None };
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
    fn nftables_and_the_default_read_the_nftables_section() {
        for mode in ["\"\"", "nftables"] {
            let body = "nftables: {masqueradeAll: true, masqueradeBit: 20, syncPeriod: 1m, minSyncPeriod: 2s}\n\
                        iptables: {masqueradeBit: 3}\n";
            let effective = effective(&format!("mode: {mode}\n{body}"));
            assert!(effective.masquerade_all);
            assert_eq!(effective.masquerade_mark, 1 << 20);
            assert_eq!(effective.sync_period.as_secs(), 60);
            assert_eq!(effective.min_sync_period.map(|period| period.as_secs()), Some(2));
        }
    }

    #[test]
    fn iptables_runs_nftables_with_the_iptables_section_and_says_so() {
        let body = "mode: iptables\niptables: {masqueradeAll: true, masqueradeBit: 31}\nnftables: {masqueradeBit: 3}\n";
        let loaded = loaded(body);
        assert!(loaded.effective.masquerade_all);
        assert_eq!(loaded.effective.masquerade_mark, 1 << 31);
        assert_eq!(loaded.effective.node_port_addresses, [NodePortEntry::All]);
        assert!(infos(&loaded)[0].contains("nftables runs in its place"));
        assert!(infos(&loaded)[1].contains("nftables.masqueradeBit"));
    }

    #[test]
    fn ipvs_is_refused_with_a_way_out() {
        let text = refused("mode: ipvs\n");
        assert!(
            text.contains("KubeProxyConfiguration.mode (line 3): \"ipvs\" is not available yet"),
            "{text}"
        );
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
        assert!(infos(&loaded(""))[0].contains("clusterCIDR is not set"));
        assert_eq!(infos(&loaded("clusterCIDR: 10.0.0.0/8\n")), [""; 0]);
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

    #[test]
    fn prefixes_of_one_family_leave_the_other_open_and_say_so() {
        let loaded = loaded("nodePortAddresses: [10.0.0.0/8]\n");
        assert!(warnings(&loaded)[0].contains("has no IPv6 entry"));
    }
}

mod node_and_flags {
    use super::*;

    #[test]
    fn the_flag_goes_before_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{HEADER}hostnameOverride: from-file\n")).unwrap();
        let name = |flag: Option<&str>| {
            let flags = Flags { config: Some(file.path().into()), hostname_override: flag.map(Into::into) };
            load(&flags).unwrap().effective.hostname_override
        };
        assert_eq!(name(Some("from-flag")).as_deref(), Some("from-flag"));
        assert_eq!(name(None).as_deref(), Some("from-file"));
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
            "featureGates: {ServiceInternalTrafficPolicy: false, AllAlpha: true, KubeProxyIPVS: true}\n",
        );
        let line = infos(&loaded)[0];
        assert!(line.contains("featureGates.ServiceInternalTrafficPolicy=false"), "{line}");
        assert!(line.contains("featureGates.KubeProxyIPVS=true") && !line.contains("AllAlpha"), "{line}");
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
fn what_belongs_to_later_work_is_named_in_one_line() {
    let loaded = loaded(include_str!("tests/everything.yaml"));
    assert_eq!(warnings(&loaded), [""; 0]);
    let expected = "accepted, and not in effect yet: clientConnection.contentType, \
        clientConnection.acceptContentTypes, logging.vmodule, logging.options, healthzBindAddress, metricsBindAddress, bindAddressHardFail, enableProfiling, \
        showHiddenMetricsForVersion, iptables.masqueradeBit, iptables.masqueradeAll, iptables.syncPeriod, \
        iptables.minSyncPeriod, ipvs.syncPeriod, ipvs.minSyncPeriod, ipvs.scheduler, ipvs.excludeCIDRs, \
        ipvs.strictARP, ipvs.tcpTimeout, ipvs.tcpFinTimeout, ipvs.udpTimeout, oomScoreAdj, conntrack.maxPerCore, \
        conntrack.min, conntrack.tcpEstablishedTimeout, conntrack.tcpCloseWaitTimeout, conntrack.tcpBeLiberal, \
        conntrack.udpTimeout, conntrack.udpStreamTimeout, configSyncPeriod";
    assert_eq!(infos(&loaded), [expected]);
    assert_eq!(loaded.logging, (Some("json".into()), Some(2)));
}

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
        ("nftables: {syncPeriod: 1s, minSyncPeriod: 2s}\n", "2s is more than syncPeriod, 1s"),
        ("nftables: {syncPeriod: -1s}\n", "nftables.syncPeriod (line 3): -1s is not above zero"),
        ("portRange: 2000-1000\n", "portRange"),
        ("portRange: 60000+6000\n", "portRange"),
        ("metricsBindAddress: \"::1:10249\"\nhealthzBindAddress: \"[10.0.0.1]:80\"\n", "healthzBindAddress"),
    ] {
        let text = refused(body);
        assert!(text.contains(expected), "{body}: {text}");
    }
    for range in ["", "80", "1000-2000", "1000+500"] {
        loaded(&format!("portRange: \"{range}\"\n"));
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
