//! Who has which frontend, when Services compete (reference §3.1: "be deterministic").
//!
//! Every Service claims its frontends; of several claims to one the first in this order wins, whatever the
//! order of events: the kind as [`FrontendKind`](crate::FrontendKind) declares them, then the older Service
//! (without a creation timestamp: oldest, as only hand-written objects lack one), then namespace, name, port.
//! Losers wait and take over when the winner goes. The journal remembers who had what before the current
//! update, so that the outcome is reported once however often claims moved meanwhile.

use std::cmp::Ordering;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::change::FrontendChange;
use crate::fate::{Fate, Frontend, ServicePortName};

/// One Service's wish for a frontend.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) fate: Arc<Fate>,
    pub(crate) created: Option<Arc<str>>,
}

impl Claim {
    fn cmp(&self, other: &Claim) -> Ordering {
        let by_kind = self.fate.kind.cmp(&other.fate.kind);
        by_kind
            .then_with(|| self.created.cmp(&other.created))
            .then_with(|| self.fate.service.cmp(&other.fate.service))
    }

    /// A Service has at most one claim to a frontend, through whichever of its ports.
    fn is_of(&self, service: &ServicePortName) -> bool {
        self.fate.service.name == service.name && self.fate.service.namespace == service.namespace
    }
}

/// The claims to one frontend.
#[derive(Debug)]
struct Contest {
    winner: Claim,
    /// in order; hardly ever any
    losers: Vec<Claim>,
}

/// All claims.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    contests: FxHashMap<Frontend, Contest>,
    /// who had the frontends touched in this update, before it
    journal: FxHashMap<Frontend, Option<Arc<Fate>>>,
}

impl Claims {
    /// The fate of a frontend: the winner's.
    pub(crate) fn get(&self, frontend: &Frontend) -> Option<&Arc<Fate>> {
        self.contests.get(frontend).map(|contest| &contest.winner.fate)
    }

    /// How many frontends there are.
    pub(crate) fn len(&self) -> usize {
        self.contests.len()
    }

    /// Every frontend with its fate, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Frontend, &Arc<Fate>)> {
        self.contests.iter().map(|(frontend, contest)| (frontend, &contest.winner.fate))
    }

    /// Those who claim a frontend in vain.
    pub(crate) fn losers(&self, frontend: &Frontend) -> impl Iterator<Item = &Arc<Fate>> {
        let contest = self.contests.get(frontend).into_iter();
        contest.flat_map(|contest| &contest.losers).map(|claim| &claim.fate)
    }

    /// Withdraws the claim of a Service.
    pub(crate) fn release(&mut self, frontend: Frontend, service: &ServicePortName) {
        let mut claims = self.take(frontend);
        claims.retain(|claim| !claim.is_of(service));
        self.put(frontend, claims);
    }

    /// Makes a claim, in place of the one that the Service had before. True if others claim it too and this
    /// Service did not before.
    pub(crate) fn claim(&mut self, frontend: Frontend, claim: Claim) -> bool {
        let mut claims = self.take(frontend);
        let before = claims.len();
        claims.retain(|other| !other.is_of(&claim.fate.service));
        let is_new_contest = claims.len() == before && before > 0;
        let place = claims.partition_point(|other| other.cmp(&claim).is_lt());
        claims.insert(place, claim);
        self.put(frontend, claims);
        is_new_contest
    }

    /// What the claims since the last call came to, sorted by frontend. Calls `taken` for every frontend that has
    /// an owner now and had none, or another service port, before.
    pub(crate) fn changes(&mut self, mut taken: impl FnMut(Frontend)) -> Vec<FrontendChange> {
        let mut changes: Vec<FrontendChange> = Vec::new();
        for (frontend, before) in std::mem::take(&mut self.journal) {
            let fate = self.get(&frontend).cloned();
            if fate.as_ref().is_some_and(|fate| before.as_ref().is_none_or(|b| b.service != fate.service)) {
                taken(frontend);
            }
            if fate != before {
                changes.push(FrontendChange { frontend, fate });
            }
        }
        changes.sort_unstable_by_key(|change| change.frontend);
        changes
    }

    /// Takes all claims to a frontend, noting in the journal who had it.
    fn take(&mut self, frontend: Frontend) -> Vec<Claim> {
        let contest = self.contests.remove(&frontend);
        let winner = contest.as_ref().map(|contest| &contest.winner.fate);
        self.journal.entry(frontend).or_insert_with(|| winner.cloned());
        let Some(Contest { winner, losers: mut claims }) = contest else { return Vec::new() };
        claims.insert(0, winner);
        claims
    }

    fn put(&mut self, frontend: Frontend, mut claims: Vec<Claim>) {
        if claims.is_empty() {
            return;
        }
        let winner = claims.remove(0);
        if claims.is_empty() {
            // The vector held the winner a moment ago: do not keep its room.
            claims = Vec::new();
        }
        self.contests.insert(frontend, Contest { winner, losers: claims });
    }
}
