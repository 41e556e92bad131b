//! On a directory that looks like a host.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::{self, Conntrack};

const SYSCTLS: [(&str, &str); 6] = [
    ("nf_conntrack_max", "65536"),
    ("nf_conntrack_tcp_timeout_established", "432000"),
    ("nf_conntrack_tcp_timeout_close_wait", "60"),
    ("nf_conntrack_tcp_be_liberal", "0"),
    ("nf_conntrack_udp_timeout", "30"),
    ("nf_conntrack_udp_timeout_stream", "120"),
];

struct Host(tempfile::TempDir);

impl Host {
    fn new(cpus: &str, buckets: &str) -> Host {
        let host = Host(tempfile::tempdir().unwrap());
        for (name, value) in SYSCTLS {
            host.put(&format!("proc/sys/net/netfilter/{name}"), value);
        }
        host.put("proc/self/oom_score_adj", "0");
        host.put("sys/devices/system/cpu/online", cpus);
        host.put("sys/module/nf_conntrack/parameters/hashsize", buckets);
        host
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, value: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), format!("{value}\n")).unwrap();
    }

    fn get(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap().trim().to_owned()
    }

    fn sysctl(&self, name: &str) -> String {
        self.get(&format!("proc/sys/net/netfilter/{name}"))
    }

    fn buckets(&self) -> String {
        self.get("sys/module/nf_conntrack/parameters/hashsize")
    }

    fn prepare(&self, change: impl FnOnce(&mut Effective)) -> Result<Outcome, HostError> {
        let mut effective = config::defaults().effective;
        change(&mut effective);
        prepare_below(&Tree::new(self.0.path()), &effective)
    }
}

#[test]
fn the_defaults_on_a_large_host() {
    let host = Host::new("0-7", "65536");
    let outcome = host.prepare(|_| {}).unwrap();
    assert_eq!(host.sysctl("nf_conntrack_max"), "262144");
    assert_eq!(host.buckets(), "65536", "a quarter is enough");
    assert_eq!(host.sysctl("nf_conntrack_tcp_timeout_established"), "86400");
    assert_eq!(host.sysctl("nf_conntrack_tcp_timeout_close_wait"), "3600");
    assert_eq!(host.sysctl("nf_conntrack_tcp_be_liberal"), "0");
    assert_eq!(host.sysctl("nf_conntrack_udp_timeout"), "30");
    assert_eq!(host.get("proc/self/oom_score_adj"), "-999");
    assert_eq!(outcome.changes.len(), 3);
    let expected =
        Change { setting: "/proc/sys/net/netfilter/nf_conntrack_max".into(), from: 65536, to: 262_144 };
    assert_eq!(outcome.changes[0], expected);
    assert_eq!(host.prepare(|_| {}).unwrap(), Outcome::default(), "nothing is left to do");
}

#[test]
fn the_maximum() {
    for (cpus, max_per_core, min, expected) in [
        ("0-1", 32_768, 131_072, "131072"),
        ("0-31", 32_768, 131_072, "1048576"),
        ("0-255", 32_768, 2_000_000, "1048576"),
        ("0", 100_000, 0, "100000"),
        ("0-7", 0, 131_072, "65536"),
        ("0", 10, 20, "65536"),
    ] {
        let host = Host::new(cpus, "1000000");
        host.prepare(|effective| {
            effective.conntrack = Conntrack { max_per_core, min, ..Conntrack::default() };
        })
        .unwrap();
        assert_eq!(host.sysctl("nf_conntrack_max"), expected, "{cpus} {max_per_core} {min}");
    }
}

#[test]
fn buckets_grow_with_it_even_if_it_was_large_enough() {
    let host = Host::new("0-3", "1024");
    host.put("proc/sys/net/netfilter/nf_conntrack_max", "500000");
    host.prepare(|_| {}).unwrap();
    assert_eq!(host.sysctl("nf_conntrack_max"), "500000", "never lowered");
    assert_eq!(host.buckets(), "32768");
}

#[test]
fn what_is_asked_for_is_set_up_or_down() {
    let host = Host::new("0", "1000000");
    host.prepare(|effective| {
        effective.conntrack = Conntrack {
            tcp_established_timeout: Duration::from_secs(600),
            tcp_be_liberal: true,
            udp_timeout: Duration::from_millis(10_900),
            udp_stream_timeout: Duration::from_secs(300),
            ..Conntrack::default()
        };
    })
    .unwrap();
    assert_eq!(host.sysctl("nf_conntrack_tcp_timeout_established"), "600");
    assert_eq!(host.sysctl("nf_conntrack_tcp_timeout_close_wait"), "60");
    assert_eq!(host.sysctl("nf_conntrack_tcp_be_liberal"), "1");
    assert_eq!(host.sysctl("nf_conntrack_udp_timeout"), "10", "whole seconds");
    assert_eq!(host.sysctl("nf_conntrack_udp_timeout_stream"), "300");
}

#[test]
fn nothing_asked_for_is_nothing_touched() {
    let host = Host::new("0-7", "1");
    fs::remove_dir_all(host.path("proc")).unwrap();
    fs::remove_dir_all(host.path("sys")).unwrap();
    let outcome = host.prepare(|effective| {
        effective.conntrack = Conntrack { min: 131_072, ..Conntrack::default() };
        effective.oom_score_adj = None;
    });
    assert_eq!(outcome.unwrap(), Outcome::default());
}

#[test]
fn a_setting_that_cannot_be_had_is_named_with_a_way_out() {
    let host = Host::new("0-7", "1000000");
    fs::remove_file(host.path("proc/sys/net/netfilter/nf_conntrack_max")).unwrap();
    let text = host.prepare(|_| {}).unwrap_err().to_string();
    for part in
        ["/proc/sys/net/netfilter/nf_conntrack_max to 262144", "set conntrack.maxPerCore to 0", "--init-only"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn oom_score_adj_is_no_reason_to_fail() {
    let host = Host::new("0-7", "1000000");
    fs::remove_file(host.path("proc/self/oom_score_adj")).unwrap();
    let outcome = host.prepare(|_| {}).unwrap();
    assert!(outcome.oom.is_some_and(|text| text.contains("CAP_SYS_RESOURCE")));
}

#[test]
fn a_read_only_sysfs_is_an_outcome() {
    let read_only = ReadOnly { buckets: 1, wanted: 2 };
    assert!(read_only.to_string().contains("hashsize is read-only"));
    assert_eq!(ReadOnly::REASON, "readOnlySysFS");
}

#[test]
fn families_are_the_kernels() {
    let host = Host::new("0", "1");
    let has_ipv6 = |host: &Host| super::families::has_ipv6(&Tree::new(host.0.path()));
    assert!(!has_ipv6(&host));
    host.put("proc/net/if_inet6", "");
    assert!(has_ipv6(&host));
    host.put("proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    assert!(!has_ipv6(&host));
    assert!(Path::new("/proc/net").exists());
}
