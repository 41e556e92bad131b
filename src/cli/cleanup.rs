//! `kube-verdict cleanup`: removes every trace from the kernel, of ours and of kube-proxy.

use kube_verdict_nftables::layout::TABLE;
use kube_verdict_table::Family;

use super::arguments::Whose;
use super::{Failure, kernel};
use crate::predecessor::{self, Established};
use crate::steering;

/// Removes what was left, by all or only one, and says so. What fails stops nothing else.
pub(super) fn run(only: Option<Whose>) -> Result<(), Failure> {
    let mut failures = Vec::new();
    if only != Some(Whose::KubeProxy) {
        own_tables(&mut failures)?;
        own_routing(&mut failures)?;
    }
    if only != Some(Whose::KubeVerdict) {
        kube_proxys(&mut failures)?;
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
}

/// The tables of both families, whoever left them in whatever state.
fn own_tables(failures: &mut Vec<String>) -> Result<(), Failure> {
    let mut netlink = kernel::open()?;
    for (family, name) in [(Family::V4, "ip kube-verdict"), (Family::V6, "ip6 kube-verdict")] {
        let done = match netlink.delete_table(family, TABLE) {
            Ok(true) => "removed",
            Ok(false) => "there is no",
            Err(error) => {
                failures.push(format!("cannot remove table {name}: {error}"));
                continue;
            }
        };
        super::print(&format!("{done} table {name}\n"))?;
    }
    Ok(())
}

/// What brought packets to IPVS, if it was the mode at some time.
fn own_routing(failures: &mut Vec<String>) -> Result<(), Failure> {
    match steering::remove() {
        Ok(outcome) => {
            for removed in outcome.removed {
                super::print(&format!("removed the {removed}\n"))?;
            }
        }
        Err(error) => failures.push(error.to_string()),
    }
    Ok(())
}

fn kube_proxys(failures: &mut Vec<String>) -> Result<(), Failure> {
    let (report, _) = predecessor::retire(Established::Ended);
    for removed in &report.removed {
        super::print(&format!("removed {removed}\n"))?;
    }
    for left in &report.left {
        super::print(&format!("{left}\n"))?;
    }
    if report == predecessor::Report::default() {
        super::print("there is nothing of kube-proxy's\n")?;
    }
    failures.extend(report.failures);
    Ok(())
}
