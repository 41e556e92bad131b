//! Which figures a contender must have, and who may be absent.

use std::collections::BTreeSet;
use std::path::Path;

use kube_verdict_bench::contender::{Contender, Kind};
use kube_verdict_bench::results::{Group, Quantity};

/// The quantities, and whether they depend on the number of Services.
pub fn expected(contender: Contender) -> (BTreeSet<Quantity>, bool) {
    let of = |groups: &[Group]| -> BTreeSet<Quantity> {
        let all = Quantity::ALL.iter().copied();
        all.filter(|quantity| groups.contains(&quantity.group()) && *quantity != Quantity::Kernel).collect()
    };
    // A stream of changes needs more Services than there are here.
    match (contender.kind(), contender) {
        (Kind::Ours | Kind::Peer, _) => {
            let mut all = of(&[Group::Program, Group::Change, Group::Datapath, Group::Memory]);
            if contender == Contender::KubeVerdictNftables {
                all.insert(Quantity::Kernel);
            }
            (all, true)
        }
        (Kind::Rules, _) => {
            let mut all = of(&[Group::Change, Group::Datapath]);
            all.extend([Quantity::FirstSync, Quantity::FirstSyncCpu]);
            (all, true)
        }
        (Kind::Floor, Contender::FloorNetlink) => ([Quantity::Kernel].into(), true),
        (Kind::Floor, _) => (of(&[Group::Datapath]), false),
    }
}

/// Whether this machine's kernel cannot have a contender.
pub fn absent_here(contender: Contender) -> bool {
    let is_ipvs = matches!(contender, Contender::KubeVerdictIpvs | Contender::KubeProxyIpvs);
    is_ipvs && !Path::new("/proc/net/ip_vs").exists()
}
