//! What kube-proxy's IPVS mode left beside its iptables chains: virtual servers, and the device that has their
//! addresses. They are found and named, and stay: established connections need both (with the sysctls of reference
//! §12.3 a virtual server takes its connections with it), and our rules translate new ones before IPVS sees them.
//! Facts: reference §12.4; /proc/net/dev, and /proc/net/ip_vs of net/netfilter/ipvs/ip_vs_ctl.c.

use std::fs;

use super::Report;

const DEVICE: &str = "kube-ipvs0";

/// Looks for them.
pub fn look(report: &mut Report) {
    // No such file: there is no IPVS in the kernel.
    let read = |name: &str| fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    if has_device(&read("dev")) {
        let servers = virtual_servers(&read("ip_vs"));
        report.left.push(format!(
            "kube-proxy's device {DEVICE} stays, and {servers} virtual servers of IPVS: connections that they have \
             need them. When these have ended: `ipvsadm --clear; ip link delete {DEVICE}`, and destroy the ipsets KUBE-*"
        ));
    }
}

fn has_device(devices: &str) -> bool {
    devices.lines().filter_map(|line| line.split_once(':')).any(|(name, _)| name.trim() == DEVICE)
}

/// A line each; real servers follow theirs with an arrow.
fn virtual_servers(servers: &str) -> usize {
    servers.lines().filter(|line| ["TCP ", "UDP ", "SCTP "].iter().any(|word| line.starts_with(word))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_found_by_its_whole_name() {
        let devices = "Inter-|   Receive\n face |bytes    packets\n    lo: 0 0\nkube-ipvs0: 0 0\n";
        assert!(has_device(devices));
        assert!(!has_device(&devices.replace(DEVICE, "kube-ipvs01")));
    }

    #[test]
    fn virtual_servers_are_counted_without_their_real_ones() {
        let servers = "IP Virtual Server version 1.2.1 (size=4096)\n\
                       Prot LocalAddress:Port Scheduler Flags\n  \
                       -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n\
                       TCP  0A600001:0050 rr\n  -> 0AF40102:1F90      Masq    1      0          0\n\
                       UDP  0A60000A:0035 rr\n";
        assert_eq!(virtual_servers(servers), 2);
        assert_eq!(virtual_servers(""), 0);
    }
}
