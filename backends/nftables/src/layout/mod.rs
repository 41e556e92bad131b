//! What our table looks like: constant rules, and every service nothing but elements of shared maps.
//!
//! One table a family, `table ip kube-verdict` and `table ip6 kube-verdict`. Where it hooks (reference §11.2
//! has kube-proxy's places):
//!
//! | chain | type, hook, priority | sees | does |
//! |---|---|---|---|
//! | `prerouting`, `output` | nat, dstnat (−100) | first packets | `dispatch`: frontend -> behaviour |
//! | `affinity-prerouting`, `affinity-output` | filter, −99 | new packets | remember the client's backend; only while a service wants it |
//! | `postrouting` | nat, srcnat (100) | first packets | masquerade the marked and the hairpins |
//!
//! Where IPVS balances, a chain that would spread connections over slots gives the packet the mark of a virtual
//! server instead ([`Balancer`]), and these are there too:
//!
//! | chain | type, hook, priority | sees | does |
//! |---|---|---|---|
//! | `ipvs-steer` | filter, prerouting, −99 | later packets of IPVS's connections | marks them, so that a policy rule has them delivered here, where IPVS looks |
//! | `ipvs-sent` | filter, output, −151 | what IPVS sends on | gives the packet the mark back that it had before |
//! | `ipvs-taken`, `ipvs-taken-output` | filter, input 105; route, output −95 | what IPVS left to this node | the same for servers of this node; what IPVS did not take is reset or dropped, so that no program of this node answers for a service |
//! | `affinity-sent`, `affinity-taken`, `affinity-taken-output` | filter, output −152, input 104, output −96 | what IPVS chose for clients with affinity | remember the backend |
//!
//! IPVS compares whole marks, so a first packet's own mark is put aside (`other-marks`). The decision to masquerade
//! and that IPVS has the connection are in the connection's mark from then on; the former until postrouting.
//!
//! Verdicts (reject, drop, source ranges) are given in the nat chains too: they see each connection's first
//! packet only, so established connections outlive the loss of their endpoints and pay nothing for us.
//!
//! One bit of the packet mark (`masqueradeBit`) carries the decision to masquerade from `dispatch` to
//! `postrouting`, as in kube-proxy. The packet priority is our scratch register for affinity, between −100
//! and −99 of one hook, on first packets of services with affinity only; it is 0 afterwards. What we put there has
//! the highest bit set, by which the chains at −99 know it.
//!
//! **The straddle.** A packet looks up its frontend and then a slot; between the two a batch may be committed.
//! So every lookup chain ends in answers that hold across it: slot 0 exists as long as the frontend has
//! backends, and what still misses is dropped (the client sends again), never passed on un-DNATed.

mod chains;
mod element;
mod marks;
mod names;
mod programme;
mod sets;
mod statement;

pub use chains::{BaseHook, Context};
pub use element::{Element, Verdict};
pub use marks::{Balancer, Marks, NoMarks};
pub use names::{Chain, Entry, From, Over, Scope, Set, Space};
pub use programme::{HASH_SEED, Marked, OURS, Programme, port_number};
pub use sets::{Data, Declaration};
pub use statement::{Bits, Detect, Field, Rule, Statement, loopback};

/// The name of our table in each family.
pub const TABLE: &str = "kube-verdict";

/// The name of the table that stands in for ours while that is replaced by one of another layout.
pub const BRIDGE: &str = "kube-verdict-bridge";

/// Version of this layout, kept in the table's comment. A table of another version is replaced as a whole,
/// in one batch.
pub const VERSION: u32 = 1;

/// The table's comment.
pub fn comment() -> String {
    format!("{LAYOUT}{VERSION}; not to be edited, changes here are undone")
}

const LAYOUT: &str = "kube-verdict layout ";

/// The version that a table's comment tells; None: it is none of ours.
pub fn version_of(comment: &str) -> Option<u32> {
    let (version, _) = comment.strip_prefix(LAYOUT)?.split_once(';')?;
    version.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_comment() {
        assert_eq!(version_of(&comment()), Some(VERSION));
        assert_eq!(version_of("kube-verdict layout 99; in other words"), Some(99));
        for other in
            ["", "kube-verdict layout 1", "kube-verdict layout one;", "managed by somebody; layout 1;"]
        {
            assert_eq!(version_of(other), None, "{other}");
        }
    }
}
