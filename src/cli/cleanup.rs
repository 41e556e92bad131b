//! `kube-verdict cleanup`: removes every trace from the kernel, of ours and of kube-proxy.
//!
//! Of ours the tables go first. That is one step for all services: from then on no new connection gets a mark, so none
//! is led to a virtual server that is about to go, and whoever else serves this node has it. Next is the policy
//! routing, and last the virtual servers, which end what IPVS still has. A clean-up that is cut short leaves nothing
//! behind that a packet would meet.

use std::io::ErrorKind;

use kube_verdict_ipvs::{Removed, kernel::Error};
use kube_verdict_nftables::batch::{Batch, Op};
use kube_verdict_nftables::layout::{BRIDGE, Chain, Marks, TABLE};
use kube_verdict_nftables::{Kernel, Netlink};
use kube_verdict_table::Family;

use super::arguments::Whose;
use super::{Failure, kernel};
use crate::config::State;
use crate::predecessor::{self, Established};
use crate::{steering, warm};

/// Removes what was left, by all or only one, and says so. What fails stops nothing else. Virtual servers are ours
/// that have these marks, or those that our policy routing names.
pub(super) fn run(only: Option<Whose>, marks: Marks, state: Option<&State>) -> Result<(), Failure> {
    let mut failures = Vec::new();
    if only != Some(Whose::KubeProxy) {
        own_tables(&mut failures)?;
        if let Some(state) = state {
            own_file(state, &mut failures)?;
        }
        // What the routing cannot tell is said when that is removed.
        let before = steering::marks().unwrap_or_default();
        own_routing(&mut failures)?;
        own_servers(marks, &mut failures)?;
        for marks in before.into_iter().filter(|before| *before != marks) {
            own_servers(marks, &mut failures)?;
        }
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
        // Left by somebody who was interrupted.
        if let Err(error) = netlink.delete_table(family, BRIDGE) {
            failures.push(format!("cannot remove what stands in for table {name}: {error}"));
        }
        unhook(&mut netlink, family);
        let done = match netlink.delete_table(family, TABLE) {
            Ok(true) => "removed",
            Ok(false) => "there is no",
            Err(error) => {
                let hint = match error.kind() {
                    ErrorKind::PermissionDenied => {
                        ". Run this as root; and if a daemon with --own-tables runs, stop that first"
                    }
                    _ => "",
                };
                failures.push(format!("cannot remove table {name}: {error}{hint}"));
                continue;
            }
        };
        super::print(&format!("{done} table {name}\n"))?;
    }
    Ok(())
}

/// Brings no more packets to our table. A packet that is on its way through it when it goes would find the maps empty and
/// the set of ClusterIPs not, and be rejected, though somebody else serves it from now on. What has no such chains, of
/// whatever layout, is removed all the same.
fn unhook(netlink: &mut Netlink, family: Family) {
    let hooks = [Chain::Prerouting, Chain::Output].map(|chain| chain.to_string());
    let ops = hooks.into_iter().flat_map(|chain| [Op::FlushChain(chain.clone()), Op::DeleteChain(chain)]);
    if netlink.commit(&Batch { ops: ops.collect(), ..Batch::new(family) }).is_ok() {
        netlink.let_pass();
    }
}

/// What was kept on disk: the next daemon is not to begin with what was removed on purpose.
fn own_file(state: &State, failures: &mut Vec<String>) -> Result<(), Failure> {
    match warm::forget(state) {
        Ok(true) => super::print(&format!("removed the table in {}\n", state.directory.display()))?,
        Ok(false) => {}
        Err(error) => {
            failures.push(format!("cannot remove the table in {}: {error}", state.directory.display()));
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

/// What IPVS has of ours. Where IPVS is not in the kernel there is nothing, and nothing is said.
fn own_servers(marks: Marks, failures: &mut Vec<String>) -> Result<(), Failure> {
    if !kube_verdict_ipvs_codec::is_loaded() {
        return Ok(());
    }
    let opened = kube_verdict_ipvs::Netlink::open();
    match opened.and_then(|mut kernel| kube_verdict_ipvs::remove(&mut kernel, marks)) {
        Ok(Removed { servers: 0, .. }) | Err(Error::Missing) => {}
        Ok(Removed { servers, connections: 0 }) => {
            super::print(&format!("removed {servers} virtual servers without connections from IPVS\n"))?;
        }
        Ok(Removed { servers, connections }) => super::print(&format!(
            "removed {servers} virtual servers from IPVS, which ended {connections} connections\n"
        ))?,
        Err(error) => failures.push(format!("cannot remove virtual servers from IPVS: {error}")),
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
