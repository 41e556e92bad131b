//! What kube-proxy left in the kernel: finds it and removes it, whichever mode it ran in, and nothing else.
//!
//! It reads and writes the kernel only (netlink, and the socket options of ip_tables), runs no programme, and
//! does not look for a kube-proxy process: one that still runs writes its rules again, and so nothing here is
//! ever repeated but what waited. Facts: reference §§10.3, 10.4, 11.2, 12.4, 12.7 and appendix; net/netfilter/core.c,
//! nf_nat_core.c and nf_conntrack_proto.c of the kernel.
//!
//! **Why nobody notices**, if our own rules are in the kernel before this is called, and match the same:
//!
//! * *New connections.* All modes translate in nat hooks of the same priorities as ours (−100 and 100). Of equals
//!   the kernel asks the newest first, and who translates a connection ends the asking. So from our first batch
//!   on our rules answer, or, where kube-proxy's hooks are newer, its rules do until they go; at no moment
//!   nobody. Of our first batch itself nothing can be seen half done.
//! * *Masquerading.* kube-proxy marks with the bit that we mark with. Whichever postrouting chain comes first
//!   masquerades the packets that either marked, and takes the mark off.
//! * *Established connections* are translated by conntrack and never meet a nat rule again, on one condition:
//!   that some nat chain of the family, whosoever, stays registered, and some rule keeps conntrack going. Ours do.
//! * *kube-proxy's filter chains* look at packets that were not translated, and at ports without endpoints. What
//!   we have translated has the address of a backend when it gets there. They only ever refuse, but for
//!   iptables' and IPVS' KUBE-FORWARD: it accepts what is marked and what is established, for the sake of hosts
//!   that drop what they forward, and drops what conntrack finds invalid. With it goes what it did, as in
//!   kube-proxy's own change to nftables mode (reference §11.3).
//! * *IPVS* sees packets after the nat hooks, so new connections are ours. What it has established goes on as long
//!   as its virtual servers and their addresses stay, and so they do until it has none: [`Wait`].
//! * *Session affinity* is kube-proxy's own memory (the `recent` match, sets): clients choose anew, once.

mod ipsets;
mod iptables_legacy;
mod iptables_nft;
mod ipvs;
mod names;
mod nftables;
mod report;
mod takeover;

use kube_verdict_nftables::Netlink;

pub use ipvs::{Established, Wait};
pub use report::{Place, Removed, Report, Variant};
pub use takeover::Takeover;

/// Removes everything that kube-proxy left. Only for when our own rules serve, or nobody is to be served any
/// more. What established connections need may have to wait: [`Wait::run`] removes it, once they have ended.
pub fn retire(established: Established) -> (Report, Option<Wait>) {
    let mut report = Report::default();
    match Netlink::open() {
        Ok(mut netlink) => {
            nftables::retire(&mut netlink, &mut report);
            iptables_nft::retire(&mut netlink, &mut report);
        }
        Err(why) => report.failed("what kube-proxy left in nf_tables", why),
    }
    iptables_legacy::retire(&mut report);
    let node_ports = ipsets::node_ports();
    ipsets::retire(&mut report);
    let wait = ipvs::retire(established, node_ports, &mut report);
    (report, wait)
}
