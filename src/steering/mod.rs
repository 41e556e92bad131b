//! Policy routing for IPVS: packets that carry a mark of its virtual servers are delivered locally, where IPVS
//! takes them, although their destination is no address of the node. Constant, whatever services there are; the
//! rules that set the mark are the backend's. Facts: net/core/fib_rules.c, net/ipv4/fib_frontend.c and
//! net/netfilter/ipvs/ip_vs_core.c of the kernel.
//!
//! ```text
//! 5: from all fwmark 0x4b000000/0xff000000 iif lo goto 7
//! 6: from all fwmark 0x4b000000/0xff000000 lookup 19286        table 19286: local default dev lo
//! 7: from all fwmark 0x4b000000/0xff000000 nop
//! ```
//!
//! **Why three rules.** Only packets that come in from elsewhere are meant. A look-up whose incoming device is
//! `lo` is something else: a packet that this node sends, be it an encapsulated one that has its mark from the
//! packet inside (IPVS itself meets the node's own packets in the output hook, and needs no route for them); or the
//! question where a packet's *source* is, which the kernel asks with the mark under `src_valid_mark=1` (wg-quick
//! sets it), and firewalld by `fib saddr . mark`. Both would be told that it is here, and drop the packet as
//! forged. "Marked, and not from `lo`" is more than one rule can say, as `not` turns all of it round; so those are
//! sent past the second rule. The third is but the place where they go on, and names the mark so that the three
//! are known by it.
//!
//! **Numbers.** The priorities are below those of others that look at marks, because the number of a virtual server
//! fills bits that may mean something to them: 9 and 10 are Cilium's, 10 to 1536 those of the Amazon VPC CNI, 30
//! OVN-Kubernetes', 99 Calico's, 5210 and up Tailscale's, 32764 and up wg-quick's. The table's number is "KV", beyond
//! Calico's 1 to 250 and Cilium's 2004 and 2005, below wg-quick's 51820. Rules and the route have a protocol of their
//! own, 75, of those that rtnetlink.h leaves to routing daemons.
//!
//! [`plan`] decides what to do about what was [`found`]; [`rule`] and [`route`] know the messages; but for the
//! reading all of these are without I/O. [`keep`] listens, and has what others delete made again: systemd-networkd
//! deletes rules whenever it starts, unless its `ManageForeignRoutingPolicyRules` is off.

mod commands;
mod error;
mod found;
mod keep;
mod plan;
mod route;
mod rule;

use std::fmt;

use kube_verdict_nftables::layout::Marks;
use kube_verdict_table::Family;

pub use self::error::Error;
use self::found::Found;
use self::plan::Step;
use crate::rtnetlink::Rtnetlink;

/// The priority of the first of three rules.
pub const PRIORITY: u32 = 5;
/// The table with the route.
pub const TABLE: u32 = 19_286;
/// The protocol (FRA_PROTOCOL, rtm_protocol) by which rules and the route are known as ours.
pub const PROTOCOL: u8 = 75;

/// Which packets are meant: those whose mark is `value` in the bits of `mask`. It need not be one that would be
/// taken today ([`Marks`]): rules may be of an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    value: u32,
    mask: u32,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}/{:#x}", self.value, self.mask)
    }
}

/// What was different, in the words of `ip rule` and `ip route`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// what was missing, and is there now
    pub added: Vec<String>,
    /// what was of an earlier run or another configuration, and is gone
    pub removed: Vec<String>,
}

impl Outcome {
    /// Everything was as it should be.
    pub fn is_nothing(&self) -> bool {
        *self == Outcome::default()
    }
}

/// What whoever looks after it found, for those who show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// somebody had changed it, and it is mended
    Repaired {
        /// it had to wait, because there was another repair shortly before
        was_delayed: bool,
    },
    /// it cannot be made what it should be
    Broken,
    /// it is what it should be again
    Whole,
}

/// The rules and the route that there should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steering {
    mark: Mark,
    families: Vec<Family>,
}

impl Steering {
    /// For the families that the node serves. Of others nothing is left.
    pub fn new(marks: Marks, families: impl Into<Vec<Family>>) -> Self {
        let mark = Mark { value: marks.value(), mask: marks.mask() };
        Steering { mark, families: families.into() }
    }

    /// Reads what is there and makes it what it should be; what is right stays untouched. New rules are there
    /// before old ones go.
    ///
    /// # Errors
    /// When the kernel refuses. The other family is looked after nevertheless.
    pub fn ensure(&self) -> Result<Outcome, Error> {
        each_family(|family| self.families.contains(&family).then_some(self.mark))
    }

    /// The same later on, when every difference is somebody else's doing: it is mended and logged. Whether there
    /// was one.
    ///
    /// # Errors
    /// As [`Steering::ensure`].
    pub fn verify(&self) -> Result<bool, Error> {
        let Outcome { added, removed } = self.ensure()?;
        let is_drift = !(added.is_empty() && removed.is_empty());
        if is_drift {
            tracing::warn!(
                ?added,
                ?removed,
                "somebody changed the policy routing for IPVS; it is as it should be again"
            );
        }
        Ok(is_drift)
    }
}

/// Removes everything of ours, of whatever mark.
///
/// # Errors
/// When the kernel refuses. The other family is looked after nevertheless.
pub fn remove() -> Result<Outcome, Error> {
    each_family(|_| None)
}

/// The marks of the rules that are there: those of an earlier run, whatever it was configured with.
///
/// # Errors
/// When the kernel does not tell.
pub fn marks() -> Result<Vec<Marks>, Error> {
    let mut rtnetlink = Rtnetlink::open().map_err(Error::open)?;
    let mut marks = Vec::new();
    for family in Family::BOTH {
        match Found::read(&mut rtnetlink, family) {
            // A kernel without the family has nothing of ours in it.
            Err(error) if error.is_lack() => {}
            found => marks.extend(found?.marks(family)),
        }
    }
    marks.sort_unstable_by_key(|marks| (marks.mask(), marks.value()));
    marks.dedup();
    Ok(marks)
}

fn each_family(wanted: impl Fn(Family) -> Option<Mark>) -> Result<Outcome, Error> {
    let mut rtnetlink = Rtnetlink::open().map_err(Error::open)?;
    let mut outcome = Outcome::default();
    let results = Family::BOTH.map(|family| apply(&mut rtnetlink, family, wanted(family), &mut outcome));
    results.into_iter().collect::<Result<(), Error>>().map(|()| outcome)
}

/// One family. Nothing is removed unless everything that is wanted is there.
fn apply(
    rtnetlink: &mut Rtnetlink,
    family: Family,
    wanted: Option<Mark>,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let found = match Found::read(rtnetlink, family) {
        // A kernel without the family has nothing of ours in it.
        Err(error) if wanted.is_none() && error.is_lack() => return Ok(()),
        found => found?,
    };
    for step in plan::plan(&found, family, wanted) {
        let said = step.to_string();
        let is_addition = step.is_addition();
        let (message, flags) = step.message();
        match rtnetlink.order(message, flags) {
            Err(why) if !Step::is_needless(&why) => return Err(Error::step(is_addition, &said, family, why)),
            _ => {}
        }
        if is_addition { &mut outcome.added } else { &mut outcome.removed }.push(said);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
