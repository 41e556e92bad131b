//! What `mode: ipvs` makes of its settings.

use kube_verdict_nftables::layout::Marks;
use kube_verdict_table::Balancer;

use super::*;

#[test]
fn is_a_part_of_its_own_with_kube_proxys_defaults() {
    let loaded = loaded("mode: ipvs\nclusterCIDR: 10.0.0.0/8\n");
    assert_eq!(loaded.messages, []);
    let expected = Ipvs {
        scheduler: "rr".into(),
        tcp_timeout: Duration::ZERO,
        tcp_fin_timeout: Duration::ZERO,
        udp_timeout: Duration::ZERO,
        marks: Marks::default(),
    };
    assert_eq!(loaded.effective.ipvs, Some(expected));
    assert_eq!(loaded.effective.node_port_addresses, [NodePortEntry::All]);
    assert_eq!(loaded.effective.min_sync_period, None);
    for mode in ["nftables", "iptables"] {
        let effective = effective(&format!("mode: {mode}\nipvs: {{scheduler: lc}}\n"));
        assert_eq!(effective.ipvs, None);
        assert_eq!(effective.settings("n", &[]).balancer, Balancer::Random);
    }
}

#[test]
fn reads_its_section_and_masquerades_as_iptables_says() {
    let loaded = loaded(
        "mode: ipvs\nclusterCIDR: 10.0.0.0/8\n\
        ipvs: {scheduler: \" sh, sh-port\", syncPeriod: 1m, minSyncPeriod: 2s, tcpTimeout: 15m, \
            tcpFinTimeout: 30s, udpTimeout: 3s}\n\
        iptables: {masqueradeBit: 20, masqueradeAll: true, syncPeriod: 9m, minSyncPeriod: 9s}\n\
        nftables: {masqueradeBit: 3, syncPeriod: 8m}\n",
    );
    let effective = &loaded.effective;
    let ipvs = effective.ipvs.as_ref().unwrap();
    let seconds = [ipvs.tcp_timeout, ipvs.tcp_fin_timeout, ipvs.udp_timeout].map(|time| time.as_secs());
    assert_eq!((&*ipvs.scheduler, seconds), ("sh,sh-port", [900, 30, 3]));
    assert_eq!((effective.masquerade_all, effective.masquerade_mark), (true, 1 << 20));
    assert_eq!(effective.sync_period.as_secs(), 60);
    assert_eq!(effective.min_sync_period, Some(Duration::from_secs(2)));
    let balancer = Balancer::Ipvs { scheduler: "sh,sh-port".into() };
    assert_eq!(effective.settings("n", &[]).balancer, balancer);
    assert_eq!(
        infos(&loaded),
        ["accepted, and without effect: iptables.syncPeriod, iptables.minSyncPeriod, \
            nftables.masqueradeBit, nftables.syncPeriod"]
    );
}

#[test]
fn what_it_has_no_use_for_is_explained_in_a_line_each() {
    let loaded =
        loaded("mode: ipvs\nclusterCIDR: 10.0.0.0/8\nipvs: {excludeCIDRs: [10.9.0.0/16], strictARP: true}\n");
    let said = infos(&loaded);
    assert!(said.len() == 2 && warnings(&loaded).is_empty(), "{:?}", loaded.messages);
    assert!(said[0].starts_with("ipvs.excludeCIDRs has nothing to exclude"), "{}", said[0]);
    assert!(said[1].starts_with("ipvs.strictARP has nothing to guard"), "{}", said[1]);
}

#[test]
fn mh_hashes_ports_as_in_kube_proxy() {
    let scheduler = |text: &str| {
        effective(&format!("mode: ipvs\nipvs: {{scheduler: \"{text}\"}}\n")).ipvs.unwrap().scheduler
    };
    assert_eq!(&*scheduler("mh"), "mh,mh-port");
    assert_eq!(&*scheduler("mh,mh-fallback"), "mh,mh-fallback", "who names flags names them all");
    assert_eq!(&*scheduler(""), "rr");
}

#[test]
fn impossible_values_are_refused_in_this_mode_only() {
    for (body, expected) in [
        ("ipvs: {tcpTimeout: -1s}\n", "ipvs.tcpTimeout (line 4): -1s is below zero"),
        ("ipvs: {syncPeriod: -1s}\n", "ipvs.syncPeriod (line 4)"),
        ("ipvs: {syncPeriod: 1s, minSyncPeriod: 2s}\n", "2s is more than syncPeriod, 1s"),
        ("ipvs: {excludeCIDRs: [10.0.0.0/8, 10.0.0.1]}\n", "ipvs.excludeCIDRs[1] (line 4)"),
        ("ipvs: {scheduler: round robin}\n", "ipvs.scheduler (line 4): \"round robin\" is no scheduler"),
        ("ipvs: {scheduler: \"lc,sh-port\"}\n", "ipvs.scheduler (line 4): the scheduler lc has no flag"),
    ] {
        let text = refused(&format!("mode: ipvs\n{body}"));
        assert!(text.contains(expected), "{body}: {text}");
        assert_eq!(effective(&format!("mode: nftables\n{body}")).ipvs, None);
    }
}

#[test]
fn a_period_of_zero_is_the_default_in_a_file_and_no_period_on_the_command_line() {
    assert_eq!(effective("mode: ipvs\nipvs: {syncPeriod: 0s}\n").sync_period.as_secs(), 30);
    let zero = ("ipvs-sync-period", "0s");
    let text = load(&flags(&[("proxy-mode", "ipvs"), zero])).unwrap_err().to_string();
    assert!(text.contains("ipvs.syncPeriod: 0s is not above zero"), "{text}");
    assert_eq!(
        load(&flags(&[zero])).unwrap().effective,
        defaults().effective,
        "nobody minds in another mode"
    );
}

#[test]
fn marks_come_from_the_command_line_beside_a_file() {
    let with_marks = |body: &str, marks: &str| {
        let mut flags = flags(&[]);
        flags.ipvs_marks = Some(marks.parse().unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{HEADER}clusterCIDR: 10.0.0.0/8\n{body}")).unwrap();
        flags.config = Some(file.path().into());
        load(&flags)
    };
    let loaded = with_marks("mode: ipvs\n", "0x30000/0xf0000").unwrap();
    let marks = loaded.effective.ipvs.unwrap().marks;
    assert_eq!((marks.value(), marks.mask(), loaded.messages), (0x3_0000, 0xf_0000, vec![]));

    let other_mode = with_marks("mode: nftables\n", "0x30000/0xf0000").unwrap();
    // For what an earlier run in mode ipvs has left.
    assert_eq!((other_mode.effective.ipvs_marks, other_mode.effective.ipvs.is_none()), (marks, true));
    assert_eq!(infos(&other_mode), [""; 0]);

    let clash = "mode: ipvs\niptables: {masqueradeBit: 17}\n";
    let text = with_marks(clash, "0x30000/0xf0000").unwrap_err().to_string();
    assert!(
        text.contains(
            "iptables.masqueradeBit (line 5): 17 is one of the bits by which the packets of IPVS are told, \
            0x00030000/0x000f0000"
        ),
        "{text}"
    );
    assert!(with_marks(clash, "0x300000/0xf00000").is_ok());
    assert!(refused("mode: ipvs\niptables: {masqueradeBit: 31}\n").contains("0x4b000000/0xff000000"));
    assert_eq!(effective("mode: iptables\niptables: {masqueradeBit: 31}\n").masquerade_mark, 1 << 31);
}

#[test]
fn its_gate_is_always_on() {
    let line = "featureGates.KubeProxyIPVS=false";
    let loaded = loaded("mode: ipvs\nclusterCIDR: 10.0.0.0/8\nfeatureGates: {KubeProxyIPVS: false}\n");
    assert_eq!(infos(&loaded), [format!("accepted, and without effect: {line}")]);
}
