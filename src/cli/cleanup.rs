//! `kube-verdict cleanup`: removes every trace from the kernel, of ours and of kube-proxy.

use kube_verdict_ipvs::Removed;
use kube_verdict_nftables::layout::{Marks, TABLE};
use kube_verdict_table::Family;

use super::arguments::Whose;
use super::{Failure, kernel};
use crate::predecessor::{self, Established};
use crate::{host, steering};

/// Removes what was left, by all or only one, and says so. What fails stops nothing else. Virtual servers are ours
/// that have `marks`, or those that our policy routing names.
pub(super) fn run(only: Option<Whose>, marks: Marks) -> Result<(), Failure> {
    let mut failures = Vec::new();
    if only != Some(Whose::KubeProxy) {
        own_tables(&mut failures)?;
        own_servers(marks, &mut failures)?;
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

/// Our virtual servers, if IPVS is in the kernel.
fn own_servers(marks: Marks, failures: &mut Vec<String>) -> Result<(), Failure> {
    if !host::ipvs::is_loaded() {
        return Ok(());
    }
    // What the routing cannot tell is said when that is removed.
    let mut all = steering::marks().unwrap_or_default();
    all.extend(Some(marks).filter(|marks| !all.contains(marks)));
    let mut netlink = kube_verdict_ipvs::Netlink::default();
    for marks in all {
        match kube_verdict_ipvs::remove(&mut netlink, marks) {
            Ok(Removed { servers: 0, .. }) => {}
            Ok(Removed { servers, connections }) => {
                let ended = match connections {
                    0 => String::new(),
                    connections => format!(", which ended {connections} connections"),
                };
                super::print(&format!(
                    "removed {servers} virtual servers of marks {marks} from IPVS{ended}\n"
                ))?;
            }
            Err(error) => {
                failures.push(format!("cannot remove virtual servers of marks {marks} from IPVS: {error}"))
            }
        }
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
