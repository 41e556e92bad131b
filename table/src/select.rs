//! Choosing endpoints: which backends a service port uses on this node (reference §2).
//!
//! A pure function of the endpoints, what the hints say of this node, and the node's zone. It knows neither
//! frontends nor verdicts; those are made of its answer in `derive`.

use crate::fate::{Backend, Choice, Policy, Selection, Topology};

/// What an endpoint's hints by node say of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NodeHint {
    /// there are none
    #[default]
    Absent,
    /// it is for other nodes
    Elsewhere,
    /// this node is among them
    Here,
}

/// One endpoint of a service port, as the choice sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) backend: Backend,
    pub(crate) ready: bool,
    /// serving and terminating: stands in when none is ready
    pub(crate) fallback: bool,
    /// on this node
    pub(crate) local: bool,
    pub(crate) node_hint: NodeHint,
    /// zones that should use it; empty: no such hint
    pub(crate) zone_hints: &'a [Box<str>],
}

/// Which of the two lists a service port uses (reference §1.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uses {
    pub(crate) cluster: bool,
    pub(crate) local: bool,
}

/// The answer. A selection is None when its list is empty or not used.
#[derive(Debug, Default)]
pub(crate) struct Picks {
    /// step B
    pub(crate) cluster: Option<Selection>,
    /// step C
    pub(crate) local: Option<Selection>,
    /// step D: whether a usable endpoint is anywhere; what separates reject from drop
    pub(crate) any: bool,
}

/// Chooses from `candidates`, which are sorted by backend without duplicates.
pub(crate) fn pick(candidates: &[Candidate<'_>], zone: Option<&str>, uses: Uses) -> Picks {
    debug_assert!(candidates.is_sorted_by(|a, b| a.backend < b.backend));
    let cluster = uses.cluster.then(|| pick_cluster(candidates, zone)).flatten();
    let local = uses.local.then(|| pick_local(candidates)).flatten();
    let any = cluster.is_some() || uses.local && candidates.iter().any(|c| c.ready || c.fallback);
    Picks { cluster, local, any }
}

/// Step B: what the hints leave of the ready endpoints, else all that are serving while they terminate.
fn pick_cluster(candidates: &[Candidate<'_>], zone: Option<&str>) -> Option<Selection> {
    let topology = topology(candidates, zone);
    let in_scope = |c: &Candidate<'_>| match topology {
        Topology::Everywhere => true,
        Topology::SameNode => c.node_hint == NodeHint::Here,
        Topology::SameZone => names_zone(c, zone),
    };
    let choice = Choice { policy: Policy::Cluster, topology, terminating: false };
    gather(candidates, choice, |c| c.ready && in_scope(c)).or_else(|| {
        // Nothing is ready, so there was no topology to decide: the choice says Everywhere already.
        gather(candidates, Choice { terminating: true, ..choice }, |c| c.fallback)
    })
}

/// Step C: hints never count here.
fn pick_local(candidates: &[Candidate<'_>]) -> Option<Selection> {
    let choice = Choice { policy: Policy::Local, topology: Topology::Everywhere, terminating: false };
    gather(candidates, choice, |c| c.local && c.ready)
        .or_else(|| gather(candidates, Choice { terminating: true, ..choice }, |c| c.local && c.fallback))
}

/// Step A: one ready endpoint without a hint of a kind disables that kind for all.
fn topology(candidates: &[Candidate<'_>], zone: Option<&str>) -> Topology {
    let ready = || candidates.iter().filter(|c| c.ready);
    if ready().all(|c| c.node_hint != NodeHint::Absent) && ready().any(|c| c.node_hint == NodeHint::Here) {
        Topology::SameNode
    } else if ready().all(|c| !c.zone_hints.is_empty()) && ready().any(|c| names_zone(c, zone)) {
        Topology::SameZone
    } else {
        Topology::Everywhere
    }
}

fn names_zone(candidate: &Candidate<'_>, zone: Option<&str>) -> bool {
    zone.is_some_and(|zone| !zone.is_empty() && candidate.zone_hints.iter().any(|hint| **hint == *zone))
}

fn gather(
    candidates: &[Candidate<'_>],
    choice: Choice,
    wanted: impl Fn(&Candidate<'_>) -> bool,
) -> Option<Selection> {
    let backends: Vec<Backend> = candidates.iter().filter(|c| wanted(c)).map(|c| c.backend).collect();
    (!backends.is_empty()).then(|| Selection { backends: backends.into(), choice })
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
