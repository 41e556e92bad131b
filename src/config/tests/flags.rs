//! What the command line decides.

use super::*;
use crate::config::duration::GoDuration;

fn of(given: &[(&'static str, &str)]) -> Loaded {
    load(&flags(given)).unwrap_or_else(|error| panic!("{given:?}: {error}"))
}

#[test]
fn every_default_is_what_happens_without_the_flag() {
    let expected = of(&[]);
    assert_eq!(expected.effective, defaults().effective);
    let special = ["config", "write-config-to", "hostname-override", "feature-gates", "version"];
    for flag in crate::config::flags::all().iter().filter(|flag| !special.contains(&flag.name)) {
        // Explicit wishes for no less than the default pace, and for kube-proxy's.
        if ["iptables-min-sync-period", "healthz-port", "metrics-port"].contains(&flag.name) {
            continue;
        }
        assert_eq!(of(&[(flag.name, flag.default)]).effective, expected.effective, "--{}", flag.name);
    }
}

#[test]
fn periods_and_masquerading_go_to_the_section_of_the_mode() {
    for mode in ["", "iptables", "nftables"] {
        let effective = of(&[
            ("proxy-mode", mode),
            ("masquerade-all", "true"),
            ("iptables-sync-period", "1m"),
            ("iptables-min-sync-period", "2s"),
            ("ipvs-sync-period", "9m"),
        ])
        .effective;
        assert!(effective.masquerade_all, "{mode}");
        assert_eq!(effective.sync_period.as_secs(), 60, "{mode}");
        assert_eq!(effective.min_sync_period, Some(Duration::from_secs(2)), "{mode}");
    }
    let mark = |mode| of(&[("proxy-mode", mode), ("iptables-masquerade-bit", "3")]).effective.masquerade_mark;
    assert_eq!((mark("iptables"), mark("nftables")), (1 << 3, 1 << 14), "it is that of iptables mode");
    let ipvs = of(&[
        ("proxy-mode", "ipvs"),
        ("masquerade-all", "true"),
        ("iptables-masquerade-bit", "3"),
        ("iptables-sync-period", "1m"),
        ("ipvs-sync-period", "9m"),
        ("ipvs-min-sync-period", "2s"),
        ("ipvs-scheduler", "wlc"),
        ("ipvs-tcpfin-timeout", "7s"),
    ])
    .effective;
    assert_eq!((ipvs.masquerade_all, ipvs.masquerade_mark), (true, 1 << 3));
    assert_eq!((ipvs.sync_period.as_secs(), ipvs.min_sync_period), (540, Some(Duration::from_secs(2))));
    let part = ipvs.ipvs.unwrap();
    assert_eq!((&*part.scheduler, part.tcp_fin_timeout.as_secs()), ("wlc", 7));
}

#[test]
fn servers_can_be_turned_off() {
    let serving = |given: &[(&'static str, &str)]| of(given).effective.serving;
    let address = |text: &str| Some(text.parse().unwrap());
    for given in [("healthz-bind-address", ""), ("healthz-port", "0")] {
        assert_eq!(serving(&[given]).healthz, None);
    }
    for given in [("metrics-bind-address", ""), ("metrics-port", "0")] {
        assert_eq!(serving(&[given]).metrics, None);
    }
    assert_eq!(serving(&[("healthz-port", "80")]).healthz, address("0.0.0.0:10256"), "as in kube-proxy");
    let both = [("healthz-bind-address", "127.0.0.1"), ("healthz-port", "80")];
    assert_eq!(serving(&both).healthz, address("127.0.0.1:80"));
    let six = serving(&[("bind-address", "fd00::1"), ("metrics-bind-address", "fd00::2")]);
    assert_eq!((six.healthz, six.metrics), (address("[::]:10256"), address("[fd00::2]:10249")));
    assert!(warnings(&of(&[("metrics-port", "0")]))[0].contains("use --metrics-bind-address"));
    // A file says "the default" by an empty text.
    assert_eq!(effective("healthzBindAddress: \"\"\n").serving.healthz, address("0.0.0.0:10256"));
}

#[test]
fn everything_impossible_is_collected_from_flags_too() {
    let flags =
        flags(&[("iptables-masquerade-bit", "40"), ("oom-score-adj", "-2000"), ("proxy-mode", "ebpf")]);
    let text = load(&flags).unwrap_err().to_string();
    assert!(text.starts_with("the command line: the configuration is impossible:"), "{text}");
    for field in ["iptables.masqueradeBit: 40", "oomScoreAdj: -2000", "mode: \"ebpf\""] {
        assert!(text.contains(field), "{field}: {text}");
    }
}

#[test]
fn a_file_makes_flags_void_and_says_which() {
    let given = [
        ("cluster-cidr", "10.0.0.0/8"),
        ("kubeconfig", "/k"),
        ("master", "https://m"),
        ("v", "4"),
        ("hostname-override", "n"),
        ("init-only", "true"),
    ];
    let loaded = with_file("mode: nftables\nlogging: {verbosity: 2, format: json}\n", &given).unwrap();
    assert_eq!(
        warnings(&loaded),
        ["ignored, because --config is given: --cluster-cidr, --kubeconfig; set them in the file"]
    );
    assert_eq!(loaded.effective.detect_local, DetectLocal::ClusterCidr(vec![]));
    assert_eq!(loaded.effective.client.kubeconfig, None);
    assert_eq!(loaded.effective.client.master.as_deref(), Some("https://m"));
    assert_eq!(loaded.effective.hostname_override.as_deref(), Some("n"));
    assert_eq!(loaded.logging, Logging { is_json: true, verbosity: 4, modules: vec![] });
}

#[test]
fn modules_of_flags_go_before_those_of_the_file() {
    let body = "logging: {vmodule: [{filePattern: a, verbosity: 1}]}\n";
    let loaded = with_file(body, &[("vmodule", "b=2"), ("vmodule", "c=3")]).unwrap();
    assert_eq!(loaded.logging.modules, [("b".into(), 2), ("c".into(), 3), ("a".into(), 1)]);
}

#[test]
fn a_machine_without_a_cluster_is_left_as_it_is() {
    let mut flags = flags(&[]);
    flags.standalone = true;
    let effective = load(&flags).unwrap().effective;
    let untouched = Conntrack { min: 131_072, ..Conntrack::default() };
    assert_eq!((effective.conntrack, effective.oom_score_adj), (untouched, None));
    assert_eq!(effective.node_port_addresses, [NodePortEntry::Primary], "nftables is its mode");
    assert_eq!(load(&flags).unwrap().messages.len(), 1, "only that pods cannot be told");
    let max_per_core = |body: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{HEADER}{body}")).unwrap();
        let mut flags = flags.clone();
        flags.config = Some(file.path().into());
        load(&flags).unwrap().effective.conntrack.max_per_core
    };
    assert_eq!(max_per_core(""), 0);
    assert_eq!(max_per_core("conntrack: {maxPerCore: 5}\n"), 5, "it asks for it");
}

#[test]
fn what_is_written_reads_back() {
    let given = [
        ("proxy-mode", "nftables"),
        ("nodeport-addresses", "10.0.0.0/8,fd00::/8"),
        ("feature-gates", "AllowServiceExternalIPs=false"),
        ("kube-api-qps", "2.5"),
        ("hostname-override", "Node-1"),
        ("conntrack-tcp-timeout-established", "0"),
        ("vmodule", "a*=3"),
        ("cluster-cidr", "10.0.0.0/8,fd00::/48"),
        ("masquerade-all", "true"),
    ];
    for given in [&given[..], &[]] {
        let first = of(given);
        let text = first.configuration.yaml();
        let second =
            from_text(Path::new("written.yaml"), text.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(warnings(&second), [""; 0], "{text}");
        assert_eq!(second.effective, first.effective, "{text}");
        assert_eq!(second.logging, first.logging, "{text}");
        assert_eq!(second.configuration, first.configuration, "{text}");
    }
}

#[test]
fn flagz_has_every_flag() {
    let flagz = of(&[("v", "3"), ("nodeport-addresses", "primary")]).flagz;
    assert_eq!(flagz.len(), crate::config::flags::all().len());
    for (name, value) in [
        ("v", "3"),
        ("nodeport-addresses", "[primary]"),
        ("ipvs-exclude-cidrs", "[]"),
        ("conntrack-min", "131072"),
    ] {
        assert!(flagz.contains(&(name.into(), value.into())), "{name}: {flagz:?}");
    }
    assert!(flagz.is_sorted(), "{flagz:?}");
}

#[test]
fn defaults_of_durations_are_written_as_go_writes_them() {
    for flag in crate::config::flags::all().iter().filter(|flag| flag.placeholder() == "DURATION") {
        let duration: GoDuration = flag.default.parse().unwrap();
        assert_eq!(duration.to_string(), flag.default, "--{}", flag.name);
    }
}

/// `configz.json` is what kube-proxy 1.36.3 answered with this configuration and `-v=2`.
#[test]
fn configz_is_that_of_kube_proxy() {
    let body = "mode: nftables\nhostnameOverride: n1\nclientConnection: {kubeconfig: /etc/kubeconfig}\n\
        conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}\n";
    let ours = with_file(body, &[("v", "2")]).unwrap().configuration.configz();
    let mut theirs: serde_json::Value = serde_json::from_str(include_str!("configz.json")).unwrap();
    let fields = &mut theirs["kubeproxy.config.k8s.io"];
    // It forgets the periods of modes that were not chosen; and it waits a second where we do not wait.
    fields["iptables"]["syncPeriod"] = "30s".into();
    fields["ipvs"]["syncPeriod"] = "30s".into();
    fields["nftables"]["minSyncPeriod"] = "0s".into();
    assert_eq!(ours, theirs);
}
