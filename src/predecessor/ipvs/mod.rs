//! What kube-proxy's IPVS mode left beside its iptables chains and ipsets: virtual servers, and the device
//! `kube-ipvs0`, which makes their addresses the node's own. [`plan`] says what goes and what must wait, and is
//! without I/O; [`device`] asks rtnetlink, the crate of IPVS to IPVS. Facts: reference §§10.3, 12.3–12.5;
//! net/netfilter/ipvs/ip_vs_core.c, ip_vs_nfct.c and net/ipv4/route.c of the kernel.
//!
//! Our rules translate new connections in front of IPVS, which sees packets to the node's own addresses only
//! when all nat chains have. What it has established it goes on forwarding, and for that needs the virtual server,
//! its real servers, and its address to be the node's: all three stay until the virtual server has no connection
//! any more. That may take as long as connections live, so it is looked at every few seconds ([`wait`]), without
//! end; a daemon that starts anew finds what is left and goes on. Weights are left alone: kube-proxy, if it
//! still runs, would not set them back before its next start (reference §12.5).
//!
//! What established connections needed of kube-proxy's iptables chains and ipsets, to be masqueraded, conntrack
//! has remembered, as `net.ipv4.vs.conntrack=1` has it know them. Where somebody has set that to 0 every packet
//! of theirs is new to conntrack, and our rules take them over in the middle: that is said.

mod device;
mod plan;
mod wait;

use std::collections::BTreeSet;
use std::fs;
use std::io;

use kube_verdict_ipvs_codec::{Ipvs, Key, is_loaded};
use kube_verdict_table::Family;

use self::device::Devices;
use self::plan::{Plan, Server, State, Step};
pub use self::wait::Wait;
use super::report::{Removed, Report};
use crate::node::Interfaces;

/// kube-proxy's device.
const DEVICE: &str = "kube-ipvs0";

/// Protocols and ports.
pub type NodePorts = BTreeSet<(u8, u16)>;

/// What becomes of connections that IPVS has established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Established {
    /// they go on, and what they need stays until they end
    Spared,
    /// they end at once
    Ended,
}

/// Removes what nothing needs, and says what has to wait for what. What failed is tried again by who waits.
/// `node_ports` are those that kube-proxy's ipsets told.
pub fn retire(established: Established, node_ports: NodePorts, report: &mut Report) -> Option<Wait> {
    let mut removed = BTreeSet::new();
    if established == Established::Spared
        && let Err(why) = speak_from_own_addresses()
    {
        report.failures.push(format!(
            "cannot have this node speak from an address of its own to those of kube-proxy's device {DEVICE}: {why}"
        ));
    }
    match look(established, node_ports, &mut removed) {
        Ok(look) => {
            look.tell(report);
            (!look.waiting.is_over()).then(|| Wait::new(removed))
        }
        Err(why) => {
            report.failed("what kube-proxy left in IPVS", why);
            Some(Wait::new(removed))
        }
    }
}

/// What one look found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    /// virtual servers that are gone
    servers: usize,
    /// with so many connections
    connections: u64,
    /// the device is gone
    device: bool,
    /// what stays
    waiting: plan::Waiting,
    /// virtual servers at the node's addresses of which nothing tells whose they are
    doubtful: usize,
    /// conntrack knows nothing of IPVS' connections
    is_untracked: bool,
}

impl Look {
    fn tell(&self, report: &mut Report) {
        if self.servers > 0 {
            report
                .removed
                .push(Removed::VirtualServers { servers: self.servers, connections: self.connections });
        }
        if self.device {
            report.removed.push(Removed::Device(DEVICE));
        }
        if !self.waiting.is_over() {
            report.left.push(format!(
                "{} of kube-proxy's virtual servers in IPVS, and its device {DEVICE}, stay until their connections \
                 have ended, {} at present; then they are removed, by this daemon or by `kube-verdict cleanup`, which \
                 does not wait",
                self.waiting.servers, self.waiting.connections
            ));
            if self.is_untracked {
                report.left.push(
                    "net.ipv4.vs.conntrack is not 1, as kube-proxy sets it: packets of connections that IPVS has \
                     established meet our rules as if they were new, and such connections may break"
                        .to_owned(),
                );
            }
        }
        if self.doubtful > 0 {
            report.left.push(format!(
                "{} virtual servers of IPVS at addresses of this node have no real servers, so that nothing tells \
                 whether they are kube-proxy's; they stay: see `ipvsadm -Ln`",
                self.doubtful
            ));
        }
    }
}

/// Why it failed.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Ipvs(#[from] kube_verdict_ipvs_codec::Error),
    #[error("rtnetlink: {0}")]
    Rtnetlink(#[from] io::Error),
    #[error("{0:?} was deleted and is there again: a kube-proxy in IPVS mode seems to run; stop it")]
    Recurring(Key),
}

/// Reads everything, removes what may go, and adds the virtual servers that did to `removed`.
fn look(
    established: Established,
    node_ports: NodePorts,
    removed: &mut BTreeSet<Key>,
) -> Result<Look, Trouble> {
    let mut devices = Devices::open()?;
    // Without the device nothing tells kube-proxy's virtual servers from those of others.
    let Some(index) = devices.dummy(DEVICE)? else { return Ok(Look::default()) };
    let interfaces = Interfaces::read()?;
    let mut ipvs = is_loaded().then(Ipvs::open).transpose()?;
    let mut servers = Vec::new();
    if let Some(ipvs) = &mut ipvs {
        for listed in ipvs.virtual_servers()? {
            let key = listed.server.key;
            servers.push(Server { key, real: ipvs.real_servers(&key)? });
        }
    }
    let (bound, local) = interfaces.split(index);
    let state = State { servers, bound, local, node_ports };
    let Plan { steps, waiting, doubtful } = plan::plan(&state, established);
    if let Some(again) = state.servers.iter().find(|server| removed.contains(&server.key)) {
        return Err(Trouble::Recurring(again.key));
    }
    let mut look = Look { waiting, doubtful, is_untracked: is_untracked(), ..Look::default() };
    for step in steps {
        match step {
            Step::Server { key, connections } => {
                // Somebody may have been faster.
                let is_gone = |error: &kube_verdict_ipvs_codec::Error| error.errno() == Some(libc::ESRCH);
                match ipvs.as_mut().map(|ipvs| ipvs.delete(&key)) {
                    Some(Err(error)) if !is_gone(&error) => return Err(error.into()),
                    _ => {}
                }
                removed.insert(key);
                look.servers += 1;
                look.connections += connections;
            }
            Step::Address(address) => devices.remove_address(address, index)?,
            Step::Device => {
                devices.remove_link(index)?;
                look.device = true;
            }
        }
    }
    Ok(look)
}

/// Has the node speak to the addresses of the device from another address than these.
fn speak_from_own_addresses() -> io::Result<()> {
    let mut devices = Devices::open()?;
    let Some(index) = devices.dummy(DEVICE)? else { return Ok(()) };
    let interfaces = Interfaces::read()?;
    let (bound, local) = interfaces.split(index);
    for address in bound {
        let own = interfaces.primary(Family::of(address)).filter(|own| local.contains(own));
        if let Some(own) = own {
            devices.speak_from(address, own, index)?;
        }
    }
    Ok(())
}

fn is_untracked() -> bool {
    fs::read_to_string("/proc/sys/net/ipv4/vs/conntrack").is_ok_and(|value| value.trim() == "0")
}
