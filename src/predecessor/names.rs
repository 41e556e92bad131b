//! Which chains are kube-proxy's, in iptables mode and IPVS mode, and so which of a table's go.
//!
//! Names are compared exactly or, where kube-proxy appends a hash, as prefix and hash: others (kubelet,
//! kube-router, network plugins) have chains that begin with `KUBE-` too. Facts: reference §12.7 and appendix;
//! the hash is 16 digits of base32.

use std::collections::BTreeSet;

/// Chains that there is one of in a table.
const NAMES: [&str; 13] = [
    MARK,
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-FORWARD",
    "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER",
    "KUBE-LOAD-BALANCER",
    "KUBE-NODE-PORT",
    "KUBE-NODEPORTS",
    "KUBE-POSTROUTING",
    "KUBE-PROXY-CANARY",
    "KUBE-PROXY-FIREWALL",
    "KUBE-SERVICES",
    "KUBE-SOURCE-RANGES-FIREWALL",
];
/// Chains of a Service port or an endpoint: a hash follows.
const PREFIXES: [&str; 6] = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-", "KUBE-XLB-"];
const HASH: usize = 16;

/// The chain that marks packets to be masqueraded. Others may use it too: the portmap plugin of CNI does where
/// its `externalSetMarkChain` says so. What they mark, our own rules masquerade.
const MARK: &str = "KUBE-MARK-MASQ";

/// Whether a chain of this name is kube-proxy's.
pub fn is_kube_proxys(chain: &str) -> bool {
    NAMES.contains(&chain)
        || PREFIXES.iter().any(|prefix| {
            chain.strip_prefix(prefix).is_some_and(|hash| {
                hash.len() == HASH && hash.bytes().all(|c| matches!(c, b'A'..=b'Z' | b'2'..=b'7'))
            })
        })
}

/// The chains of a table that go, given all of its chains, and its jumps from one to another. With them go the
/// jumps to them, wherever those are.
pub fn doomed<'a>(
    chains: impl IntoIterator<Item = &'a str>,
    jumps: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> BTreeSet<String> {
    let mut doomed: BTreeSet<String> =
        chains.into_iter().filter(|chain| is_kube_proxys(chain)).map(str::to_owned).collect();
    if jumps.into_iter().any(|(from, to)| to == MARK && !is_kube_proxys(from)) {
        doomed.remove(MARK);
    }
    doomed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_only_look_alike() {
        for name in NAMES.iter().chain(&["KUBE-SVC-ERIFXISQEP7F7OF4", "KUBE-SEP-WRKZCR53T6UYRZJ2"]) {
            assert!(is_kube_proxys(name), "{name}");
        }
        for name in [
            "PREROUTING",
            "KUBE-FIREWALL",
            "KUBE-MARK-DROP",
            "KUBE-KUBELET-CANARY",
            "KUBE-IPTABLES-HINT",
            "KUBE-HOSTPORTS",
            "KUBE-NWPLCY-DEFAULT",
            "KUBE-POD-FW-ERIFXISQEP7F7OF4",
            "KUBE-ROUTER-SERVICES",
            "KUBE-SERVICES-MINE",
            "KUBE-SVC-",
            "KUBE-SVC-ERIFXISQEP7F7OF",
            "KUBE-SVC-erifxisqep7f7of4",
            "MY-KUBE-SVC-ERIFXISQEP7F7OF4",
            "",
        ] {
            assert!(!is_kube_proxys(name), "{name}");
        }
    }

    #[test]
    fn the_mark_chain_stays_while_others_use_it() {
        let chains = ["PREROUTING", "KUBE-SERVICES", MARK, "CNI-HOSTPORT-SETMARK"];
        let own = [("PREROUTING", "KUBE-SERVICES"), ("KUBE-SERVICES", MARK)];
        assert_eq!(doomed(chains, own).into_iter().collect::<Vec<_>>(), [MARK, "KUBE-SERVICES"]);
        let and_portmaps = own.into_iter().chain([("CNI-HOSTPORT-SETMARK", MARK)]);
        assert_eq!(doomed(chains, and_portmaps).into_iter().collect::<Vec<_>>(), ["KUBE-SERVICES"]);
    }
}
