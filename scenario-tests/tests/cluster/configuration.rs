//! The same configuration given to the real kube-proxy and to ours: what one accepts the other accepts, what one
//! refuses the other refuses, and both understand the same by it. Where they differ on purpose, the reason is
//! beside it.
//!
//! `--write-config-to` makes both read, check, write and leave, without an API server and without touching the
//! kernel. kube-proxy is the judge of meaning as well: what it writes of a configuration must be, to the letter,
//! what it writes of our rewriting of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use kube_verdict_scenario_tests::cluster::program;
use kube_verdict_scenario_tests::daemon;

/// Bodies of files that both accept.
const ACCEPTED: &[&str] = &[
    "",
    "mode: iptables",
    "mode: nftables",
    "mode: null",
    "strange: 1\niptables: {odd: true}",
    "hostnameOverride: a\nhostnameOverride: b",
    "hostnameOverride: Node-1",
    "featureGates: {AllAlpha: false}",
    "featureGates: {AllBeta: true, ContextualLogging: false}",
    "featureGates: {AllowServiceExternalIPs: false}",
    "featureGates: {GracefulNodeShutdown: true, PodLevelResources: true}",
    "clientConnection: {kubeconfig: /k, contentType: application/json, acceptContentTypes: a, qps: 0.5, burst: 0}",
    "clientConnection: {qps: -1}",
    "logging: {format: json, verbosity: 10, flushFrequency: 1m}",
    "logging: {format: \"\", flushFrequency: 1000000000}",
    "logging: {vmodule: [{filePattern: \"a*\", verbosity: 3}, {filePattern: b, verbosity: 0}]}",
    "logging: {options: {text: {splitStream: true}}}",
    "logging: {options: {json: {infoBufferSize: \"0\"}, text: {splitStream: false}}}",
    "logging: {options: {text: {splitStream: true, infoBufferSize: 64Ki}}}\nfeatureGates: {LoggingAlphaOptions: true}",
    "logging: {options: {json: {splitStream: true, infoBufferSize: 1.5M}}}\nfeatureGates: {AllAlpha: true, AllBeta: true}",
    "bindAddress: 192.168.0.1",
    "bindAddress: \"fd00::1\"",
    "bindAddress: 010.000.000.001",
    "bindAddress: \"::ffff:10.0.0.1\"",
    "healthzBindAddress: 127.0.0.1",
    "healthzBindAddress: \"[::]:80\"\nmetricsBindAddress: \"::1\"",
    "healthzBindAddress: \"[10.0.0.1]:80\"",
    "metricsBindAddress: 0.0.0.0:65535",
    "healthzBindAddress: \"\"\nmetricsBindAddress: \"\"",
    "bindAddressHardFail: true\nenableProfiling: true",
    "showHiddenMetricsForVersion: \"1.35\"",
    "iptables: {masqueradeBit: 0, masqueradeAll: true, localhostNodePorts: false, syncPeriod: 1m, minSyncPeriod: 1m}",
    "iptables: {masqueradeBit: 31, syncPeriod: 0s, minSyncPeriod: 0s}",
    "iptables: {syncPeriod: 1h2m3.5s, minSyncPeriod: 1ns}",
    "mode: nftables\nnftables: {masqueradeBit: 5, masqueradeAll: true, syncPeriod: 10s, minSyncPeriod: 10s}",
    "mode: iptables\nnftables: {masqueradeBit: 40, syncPeriod: -1s}",
    "mode: nftables\niptables: {syncPeriod: -1s, minSyncPeriod: 5h}",
    "ipvs: {syncPeriod: -1s, excludeCIDRs: [nonsense], tcpTimeout: -1s}",
    "ipvs: {scheduler: wrr, excludeCIDRs: [10.0.0.0/8], strictARP: true, tcpFinTimeout: 1s, udpTimeout: 1s}",
    "mode: ipvs",
    "mode: ipvs\nipvs: {syncPeriod: 1m, minSyncPeriod: 2s, scheduler: wlc}",
    "mode: ipvs\nipvs: {syncPeriod: 0s, minSyncPeriod: 0s}",
    "mode: ipvs\nipvs: {scheduler: mh, excludeCIDRs: [10.0.0.0/8, \"fd00::/8\"], strictARP: true}",
    "mode: ipvs\nipvs: {tcpTimeout: 15m, tcpFinTimeout: 1.5s, udpTimeout: 0s}",
    "mode: ipvs\niptables: {masqueradeBit: 3, masqueradeAll: true, syncPeriod: -1s}\nnftables: {masqueradeBit: 40}",
    "mode: ipvs\nnodePortAddresses: [primary]",
    "mode: ipvs\nfeatureGates: {AllAlpha: true}",
    "winkernel: {networkName: a, sourceVip: 10.0.0.1, enableDSR: true, rootHnsEndpointName: b, forwardHealthCheckVip: true}",
    "windowsRunAsService: false",
    "detectLocalMode: ClusterCIDR",
    "detectLocalMode: NodeCIDR\nclusterCIDR: nonsense",
    "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cbr0}",
    "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}",
    "detectLocal: {interfaceNamePrefix: \"\", bridgeInterface: x}",
    "clusterCIDR: 10.0.0.0/8",
    "clusterCIDR: fd00::/48,10.0.0.0/8",
    "clusterCIDR: 10.1.2.3/8",
    "nodePortAddresses: []",
    "nodePortAddresses: [primary]",
    "nodePortAddresses: [10.0.0.0/8, \"fd00::/8\", 0.0.0.0/0]",
    "nodePortAddresses: [010.0.0.0/8]",
    "oomScoreAdj: -1000",
    "oomScoreAdj: 1000",
    "conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}",
    "conntrack: {tcpBeLiberal: true, udpTimeout: 10s, udpStreamTimeout: 1h}",
    "conntrack: null\niptables: {masqueradeBit: null}\nnodePortAddresses: null",
    "configSyncPeriod: 0s",
    "configSyncPeriod: 1h",
    "portRange: 1000-2000",
    "portRange: anything",
];

/// Bodies of files that both refuse.
const REFUSED: &[&str] = &[
    "mode: ebpf",
    "mode: [nftables",
    "mode: 1",
    "featureGates: {NoSuchGate: true}",
    "featureGates: {AllBeta: 1}",
    "clientConnection: {burst: -1}",
    "clientConnection: {qps: fast}",
    "logging: {format: xml}",
    "logging: {format: json}\nfeatureGates: {LoggingBetaOptions: false}",
    "logging: {flushFrequency: -1s}",
    "logging: {verbosity: -1}",
    "logging: {verbosity: 3000000000}",
    "logging: {format: json, vmodule: [{filePattern: a, verbosity: 1}]}",
    "logging: {vmodule: [{filePattern: \"\", verbosity: 1}]}",
    "logging: {vmodule: [{filePattern: \"a,b\", verbosity: 1}]}",
    "logging: {options: {json: {infoBufferSize: 1}}}",
    "logging: {options: {json: {infoBufferSize: -1}}}",
    "logging: {options: {json: {infoBufferSize: much}}}",
    "bindAddress: nowhere",
    "bindAddress: 10.0.0.0/8",
    "healthzBindAddress: localhost:80",
    "healthzBindAddress: 127.0.0.1:0",
    "healthzBindAddress: 127.0.0.1:65536",
    "healthzBindAddress: \":80\"",
    "metricsBindAddress: \"10.0.0.1:http\"",
    "metricsBindAddress: \"[::1\"",
    "bindAddressHardFail: maybe",
    "showHiddenMetricsForVersion: \"1.20\"",
    "showHiddenMetricsForVersion: latest",
    "iptables: {masqueradeBit: 32}",
    "iptables: {masqueradeBit: -1}",
    "iptables: {masqueradeBit: \"14\"}",
    "mode: nftables\niptables: {masqueradeBit: 32}",
    "mode: nftables\nnftables: {masqueradeBit: 32}",
    "iptables: {syncPeriod: -1s}",
    "iptables: {syncPeriod: 30}",
    "iptables: {syncPeriod: 30 s}",
    "iptables: {syncPeriod: 10s, minSyncPeriod: 11s}",
    "iptables: {minSyncPeriod: -1s}",
    "mode: nftables\nnftables: {syncPeriod: 1s, minSyncPeriod: 2s}",
    "mode: ipvs\nipvs: {tcpTimeout: -1s}",
    "mode: ipvs\nipvs: {tcpFinTimeout: -1s}",
    "mode: ipvs\nipvs: {udpTimeout: -1ns}",
    "mode: ipvs\nipvs: {syncPeriod: -1s}",
    "mode: ipvs\nipvs: {minSyncPeriod: -1s}",
    "mode: ipvs\nipvs: {syncPeriod: 1s, minSyncPeriod: 2s}",
    "mode: ipvs\niptables: {masqueradeBit: 32}",
    "mode: ipvs\nipvs: {excludeCIDRs: [nonsense]}",
    "detectLocalMode: Magic",
    "detectLocalMode: clustercidr",
    "detectLocalMode: BridgeInterface",
    "detectLocalMode: InterfaceNamePrefix",
    "clusterCIDR: nonsense",
    "clusterCIDR: 10.0.0.1",
    "clusterCIDR: 10.0.0.0/33",
    "clusterCIDR: 10.0.0.0/8,11.0.0.0/8",
    "clusterCIDR: 10.0.0.0/8,fd00::/48,fd01::/48",
    "nodePortAddresses: primary",
    "nodePortAddresses: [10.0.0.1]",
    "nodePortAddresses: [secondary]",
    "oomScoreAdj: -1001",
    "oomScoreAdj: 1001",
    "oomScoreAdj: 3000000000",
    "conntrack: {maxPerCore: -1}",
    "conntrack: {min: -1}",
    "conntrack: {tcpEstablishedTimeout: -1s}",
    "conntrack: {tcpCloseWaitTimeout: -1s}",
    "conntrack: {udpTimeout: -1s}",
    "conntrack: {udpStreamTimeout: -1s}",
    "conntrack: 5",
    "configSyncPeriod: -1s",
    "configSyncPeriod: 1d",
];

/// Accepted here and refused by kube-proxy 1.36, and why.
const OURS_ALONE: &[(&str, &str)] = &[
    ("nodePortAddresses: [primary, 10.0.0.0/8]", "kube-proxy allows the mixture from 1.37"),
    ("nodePortAddresses: [localhost]", "kube-proxy knows the word from 1.37"),
    ("showHiddenMetricsForVersion: \"1.36\"", "the version before 1.37"),
    ("clusterCIDR: \"10.0.0.0/8, fd00::/48\"", "white space can mean nothing else"),
    (
        "featureGates: {ServiceInternalTrafficPolicy: false}",
        "older files have it; it is named as without effect",
    ),
    ("featureGates: {KubeProxyNFTablesLocalhostNodePorts: true}", "a gate of 1.37; named as without effect"),
    ("featureGates: {PreferSameTrafficDistribution: false}", "kube-proxy locks it; named as without effect"),
];

/// Refused here and accepted by kube-proxy 1.36, and why.
const THEIRS_ALONE: &[(&str, &str)] = &[
    ("mode: ipvs\nipvs: {scheduler: round robin}", "kube-proxy ends when the kernel refuses it"),
    ("mode: ipvs\niptables: {masqueradeBit: 31}", "one of the bits by which packets of IPVS are told"),
];

/// Command lines that both accept.
const ACCEPTED_FLAGS: &[&str] = &[
    "",
    "-v=2",
    "-v 2",
    "-v2",
    "--v=2 --v 3",
    "--proxy-mode=nftables --masquerade-all --iptables-sync-period=1m --iptables-min-sync-period=2s",
    "--proxy-mode=nftables --iptables-masquerade-bit=5",
    "--proxy-mode iptables --masquerade_all=T --iptables_masquerade_bit 5",
    "--masquerade-all=false --profiling=0 --bind-address-hard-fail=True",
    "--iptables-localhost-nodeports=false",
    "--cluster-cidr=10.0.0.0/8,fd00::/48 --detect-local-mode=ClusterCIDR",
    "--detect-local-mode=BridgeInterface --pod-bridge-interface=cbr0",
    "--detect-local-mode=InterfaceNamePrefix --pod-interface-name-prefix veth",
    "--nodeport-addresses=10.0.0.0/8 --nodeport-addresses=fd00::/8,192.168.0.0/16",
    "--feature-gates=AllAlpha=false,ContextualLogging=true --feature-gates=AllBeta=true",
    "--oom-score-adj -5",
    "--oom-score-adj=-5",
    "--kubeconfig=/k --master=https://m --kube-api-qps=2.5 --kube-api-burst=7 --kube-api-content-type=x",
    "--hostname-override=Node-1",
    "--bind-address=fd00::1 --healthz-bind-address=[fd00::1]:80 --metrics-bind-address=0.0.0.0:81",
    "--conntrack-max-per-core=0 --conntrack-min=0 --conntrack-tcp-be-liberal",
    "--conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=30s",
    "--conntrack-udp-timeout=1m --conntrack-udp-timeout-stream=1h30m",
    "--config-sync-period=1h",
    "--ipvs-scheduler=rr --ipvs-exclude-cidrs=10.0.0.0/8,11.0.0.0/8 --ipvs-strict-arp --ipvs-tcp-timeout=1s",
    "--ipvs-tcpfin-timeout=1s --ipvs-udp-timeout=1s --ipvs-sync-period=1m --ipvs-min-sync-period=1s",
    "--proxy-mode=nftables --ipvs-sync-period=0s",
    // Without a --ipvs-min-sync-period kube-proxy writes down the second that it waits; here nothing waits.
    "--proxy-mode=ipvs --ipvs-min-sync-period=0",
    "--proxy-mode=ipvs --ipvs-min-sync-period=0 --masquerade-all --iptables-masquerade-bit=5 --iptables-sync-period=1m",
    "--proxy-mode=ipvs --ipvs-scheduler=sh --ipvs-sync-period=1m --ipvs-min-sync-period=2s",
    "--proxy-mode=ipvs --ipvs-min-sync-period=0 --ipvs-exclude-cidrs=10.0.0.0/8 --ipvs-strict-arp --ipvs-tcp-timeout=15m",
    "--logging-format=json --log-flush-frequency=1s",
    "--vmodule=a*=2,b=3 --vmodule=c=1",
    "--log-text-split-stream=false --log-json-info-buffer-size=0",
    "--feature-gates=LoggingAlphaOptions=true --log-text-info-buffer-size=1Mi",
    "--show-hidden-metrics-for-version=1.35",
    "--cleanup=false --init-only=false --version=false",
    "--boot-id-file=/x --machine-id-file=/y",
    "--healthz-port=10256 --metrics-port=10249",
    "--config=",
];

/// Command lines that both refuse.
const REFUSED_FLAGS: &[&str] = &[
    "something",
    "--no-such-flag",
    "-x",
    "-config=x",
    "--masquerade-all false",
    "--masquerade-all=yes",
    "--proxy-mode=ebpf",
    "--proxy-mode=ipvs --ipvs-sync-period=0s",
    "--proxy-mode=ipvs --ipvs-sync-period=1s --ipvs-min-sync-period=2s",
    "--proxy-mode=ipvs --ipvs-tcp-timeout=-1s",
    "--proxy-mode=ipvs --ipvs-exclude-cidrs=10.0.0.1",
    "--iptables-masquerade-bit=32",
    "--iptables-masquerade-bit=x",
    "--iptables-sync-period=0",
    "--iptables-sync-period=30",
    "--iptables-sync-period=1s --iptables-min-sync-period=2s",
    "--config-sync-period=0s",
    "--bind-address=nowhere",
    "--healthz-bind-address=localhost:80",
    "--metrics-bind-address=127.0.0.1:70000",
    "--feature-gates=NoSuchGate=true",
    "--feature-gates=AllAlpha",
    "--feature-gates=AllAlpha=maybe",
    "--oom-score-adj=2000",
    "--oom-score-adj=3000000000",
    "--kube-api-burst=-1",
    "--kube-api-qps=fast",
    "--conntrack-min=-1",
    "--conntrack-udp-timeout=-1s",
    "--detect-local-mode=Magic",
    "--detect-local-mode=BridgeInterface",
    "--cluster-cidr=10.0.0.1",
    "--nodeport-addresses=10.0.0.1",
    "--logging-format=xml",
    "--logging-format=json --vmodule=a=1",
    "--vmodule=a",
    "--log-text-split-stream",
    "--log-json-info-buffer-size=much",
    "--show-hidden-metrics-for-version=1.20",
    "--v=-1",
    "--config=/no/such/file",
    "--version=maybe",
];

/// A folder, and the two programs under kube-proxy's name.
struct Bench {
    folder: tempfile::TempDir,
    ours: PathBuf,
    theirs: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::Builder::new().prefix("kube-verdict-").tempdir().expect("a directory");
        let ours = folder.path().join("kube-proxy");
        std::os::unix::fs::symlink(daemon::program(), &ours).expect("a link");
        Bench { folder, ours, theirs: program("kube-proxy") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        let header = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
        fs::write(&path, format!("{header}{body}\n")).expect("a file");
        path
    }

    /// What the program writes of its settings, or what it complains of.
    fn written(&self, program: &Path, words: &[String], name: &str) -> Result<String, String> {
        let path = self.path(name);
        let mut command = Command::new(program);
        command.args(words).arg("--write-config-to").arg(&path).stdin(Stdio::null());
        command.env_remove("RUST_LOG");
        let output = command.output().expect("running a program");
        if output.status.success() {
            Ok(fs::read_to_string(&path).expect("what it wrote"))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// What is wrong with how the two understand these words, if anything is.
    fn compare(&self, number: usize, words: &[String], expected: [bool; 2]) -> Option<String> {
        let name = |what: &str| format!("{number}-{what}.yaml");
        let theirs = self.written(&self.theirs, words, &name("theirs"));
        let ours = self.written(&self.ours, words, &name("ours"));
        if [theirs.is_ok(), ours.is_ok()] != expected {
            return Some(format!("kube-proxy: {theirs:?}\nours: {ours:?}"));
        }
        let (Ok(theirs), Ok(_)) = (theirs, ours) else { return None };
        let config = format!("--config={}", self.path(&name("ours")).display());
        match self.written(&self.theirs, &[config], &name("again")) {
            Ok(again) if again == theirs => None,
            Ok(again) => Some(difference(&theirs, &again)),
            Err(error) => Some(format!("kube-proxy does not read what ours wrote: {error}")),
        }
    }
}

fn difference(theirs: &str, again: &str) -> String {
    let only = |these: &str, those: &str, sign| -> String {
        let those: Vec<&str> = those.lines().collect();
        these.lines().filter(|line| !those.contains(line)).map(|line| format!("{sign}{line}\n")).collect()
    };
    format!("kube-proxy's is -, ours +:\n{}{}", only(theirs, again, '-'), only(again, theirs, '+'))
}

/// Judges every case, four at a time, and tells of all that went wrong.
fn judge(cases: &[(String, Vec<String>, [bool; 2])], bench: &Bench) {
    let next = Mutex::new(cases.iter().enumerate());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let case = next.lock().expect("the cases").next();
                    let Some((number, (text, words, expected))) = case else { return };
                    if let Some(what) = bench.compare(number, words, *expected) {
                        wrong.lock().expect("the faults").push(format!("{text:?}\n{what}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("the faults");
    assert!(wrong.is_empty(), "{} of {}:\n\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

#[test]
fn files_mean_what_they_mean_to_kube_proxy() {
    let bench = Bench::new();
    let bodies = (ACCEPTED.iter().map(|body| (*body, [true, true])))
        .chain(REFUSED.iter().map(|body| (*body, [false, false])))
        .chain(OURS_ALONE.iter().map(|(body, _)| (*body, [false, true])))
        .chain(THEIRS_ALONE.iter().map(|(body, _)| (*body, [true, false])));
    let case = |(number, (body, expected)): (usize, (&str, _))| {
        let path = bench.file(&format!("{number}.yaml"), body);
        (body.to_owned(), vec![format!("--config={}", path.display())], expected)
    };
    let cases: Vec<_> = bodies.enumerate().map(case).collect();
    judge(&cases, &bench);
}

#[test]
fn other_kinds_and_versions_are_refused_by_both() {
    let bench = Bench::new();
    let texts = [
        "",
        "kind: KubeProxyConfiguration\n",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n",
        "apiVersion: kubeproxy.config.k8s.io/v1\nkind: KubeProxyConfiguration\n",
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n",
        "nonsense",
    ];
    let case = |(number, text): (usize, &&str)| {
        let path = bench.path(&format!("{number}.yaml"));
        fs::write(&path, text).expect("a file");
        ((*text).to_owned(), vec![format!("--config={}", path.display())], [false, false])
    };
    let cases: Vec<_> = texts.iter().enumerate().map(case).collect();
    judge(&cases, &bench);
}

#[test]
fn command_lines_mean_what_they_mean_to_kube_proxy() {
    let bench = Bench::new();
    let lines = (ACCEPTED_FLAGS.iter().map(|line| (*line, [true, true])))
        .chain(REFUSED_FLAGS.iter().map(|line| (*line, [false, false])));
    let case = |(line, expected): (&str, _)| {
        (
            line.to_owned(),
            line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            expected,
        )
    };
    let cases: Vec<_> = lines.map(case).collect();
    judge(&cases, &bench);
}

/// Name, whether it takes no value, and default of each flag that kube-proxy's help lists.
fn flags_of(help: &str) -> Vec<(String, String)> {
    let lines =
        help.lines().filter_map(|line| line.trim_start().strip_prefix("--").or(line.split(", --").nth(1)));
    lines
        .map(|line| {
            let name = line.split_whitespace().next().unwrap_or_default().to_owned();
            let default =
                line.rsplit_once("(default ").and_then(|(_, rest)| rest.trim_end().strip_suffix(')'));
            (name, default.unwrap_or_default().trim_matches('"').to_owned())
        })
        .collect()
}

#[test]
fn every_flag_of_kube_proxy_is_there_with_its_default() {
    let bench = Bench::new();
    let help = |program: &Path| {
        let output = Command::new(program).arg("--help").output().expect("running a program");
        String::from_utf8(output.stdout).expect("text")
    };
    let (theirs, ours) = (help(&bench.theirs), help(&bench.ours));
    let flags = flags_of(&theirs);
    assert!(flags.len() > 55, "{flags:?}");
    // The help of ours is wrapped.
    let ours = ours.split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, default) in flags {
        let start = ["<", "[=", "Print"].iter().find_map(|after| {
            let wanted = format!("--{name}{}{after}", if *after == "[=" { "" } else { " " });
            ours.find(&wanted).map(|at| at + wanted.len())
        });
        let start = start.unwrap_or_else(|| panic!("--{name} is not in the help of ours"));
        let section = ours[start..].split(['<', '=']).next().unwrap_or_default();
        let is_switch = ["true", "false", ""].contains(&default.as_str());
        assert!(
            is_switch || section.contains(&format!("default: {default}")),
            "--{name}: {default}: {section}"
        );
    }
}
