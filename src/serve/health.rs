//! Whether the kernel is as it was asked to be, or not for long (reference §13.1). Pure: moments are handed in.
//!
//! A family is healthy while nothing that was asked for is left undone for longer than twice the sync period.
//! The start of the loop counts as done, so a proxy that waits for its first objects is healthy; one that fails
//! to programme is not, however often it tries, and neither is one that is stuck while it does.

use std::time::{Duration, Instant, SystemTime};

use kube_verdict_table::{Family, PerFamily};

use super::Moment;

/// The state of both families.
#[derive(Clone, Debug)]
pub struct Health {
    /// how long something may be left undone
    patience: Duration,
    families: PerFamily<State>,
    /// since when the policy routing for IPVS is not as it should be, and cannot be made so
    routing_failed: Option<Instant>,
    kept: Option<SystemTime>,
}

#[derive(Clone, Debug)]
struct State {
    updated: SystemTime,
    /// when the oldest thing was asked for that is not done yet
    undone_since: Option<Instant>,
    /// the last try did not succeed; None: there was none
    has_failed: Option<bool>,
}

/// What can be said of the state at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// every family is
    pub is_healthy: bool,
    /// the most recent update of any family
    pub updated: SystemTime,
    /// each family
    pub families: PerFamily<FamilyFinding>,
    /// what is served was kept on disk at this time, and the source of objects has not spoken yet
    pub kept: Option<SystemTime>,
}

/// What can be said of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyFinding {
    /// nothing is left undone for too long
    pub is_healthy: bool,
    /// when everything was last done
    pub updated: SystemTime,
}

impl Health {
    /// The loop starts.
    pub fn new(sync_period: Duration, now: Moment) -> Self {
        let state = |_| State { updated: now.wall, undone_since: None, has_failed: None };
        Health {
            patience: sync_period * 2,
            families: PerFamily::from_fn(state),
            routing_failed: None,
            kept: None,
        }
    }

    /// Something is to be done.
    pub fn requested(&mut self, now: Moment) {
        for family in Family::BOTH {
            self.families[family].undone_since.get_or_insert(now.instant);
        }
    }

    /// What is to be served was kept on disk at this time; None: it is what the source says.
    pub fn asked_of(&mut self, kept: Option<SystemTime>) {
        self.kept = kept;
    }

    /// A family is as it should be.
    pub fn updated(&mut self, family: Family, now: Moment) {
        self.families[family] = State { updated: now.wall, undone_since: None, has_failed: Some(false) };
    }

    /// A family could not be made as it should be. What was asked for stays undone; a failure that nobody's
    /// wish led to is something undone itself.
    pub fn failed(&mut self, family: Family, now: Moment) {
        self.families[family].undone_since.get_or_insert(now.instant);
        self.families[family].has_failed = Some(true);
    }

    /// The policy routing for IPVS cannot be made as it should be. Both families' packets may need it.
    pub fn routing_failed(&mut self, now: Moment) {
        self.routing_failed.get_or_insert(now.instant);
    }

    /// It is as it should be.
    pub fn routing_is_whole(&mut self) {
        self.routing_failed = None;
    }

    /// Whether the kernel has what a family's last try was to bring; false before the first.
    pub fn is_in_sync(&self, family: Family) -> bool {
        self.families[family].has_failed == Some(false) && self.routing_failed.is_none()
    }

    /// How things are.
    pub fn look(&self, now: Moment) -> Finding {
        let families = PerFamily::from_fn(|family| {
            let State { updated, undone_since, .. } = self.families[family];
            let since = [undone_since, self.routing_failed].into_iter().flatten().min();
            let age = since.map(|since| now.instant.saturating_duration_since(since));
            FamilyFinding { is_healthy: age.is_none_or(|age| age < self.patience), updated }
        });
        Finding {
            is_healthy: families.v4.is_healthy && families.v6.is_healthy,
            updated: families.v4.updated.max(families.v6.updated),
            families,
            kept: self.kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(30);

    fn after(start: Moment, seconds: u64) -> Moment {
        let passed = Duration::from_secs(seconds);
        Moment { instant: start.instant + passed, wall: start.wall + passed }
    }

    #[test]
    fn waiting_for_the_first_objects_is_healthy_however_long() {
        let start = Moment::now();
        let health = Health::new(PERIOD, start);
        let finding = health.look(after(start, 1_000_000));
        assert!(finding.is_healthy);
        assert_eq!(finding.updated, start.wall);
    }

    #[test]
    fn what_is_undone_for_two_periods_is_unhealthy_until_it_is_done() {
        let start = Moment::now();
        let mut health = Health::new(PERIOD, start);
        health.requested(after(start, 10));
        // A later wish does not excuse the older one.
        health.requested(after(start, 50));
        assert!(health.look(after(start, 69)).is_healthy);
        assert!(!health.look(after(start, 70)).is_healthy);
        health.updated(Family::V4, after(start, 80));
        let finding = health.look(after(start, 81));
        assert!(finding.families.v4.is_healthy && !finding.families.v6.is_healthy && !finding.is_healthy);
        assert_eq!(finding.updated, after(start, 80).wall);
        health.updated(Family::V6, after(start, 90));
        assert!(health.look(after(start, 1_000)).is_healthy);
    }

    #[test]
    fn policy_routing_that_is_broken_is_something_undone_whatever_the_loop_does() {
        let start = Moment::now();
        let mut health = Health::new(PERIOD, start);
        assert!(!health.is_in_sync(Family::V4), "nothing was done yet");
        health.routing_failed(after(start, 0));
        health.routing_failed(after(start, 50));
        health.updated(Family::V4, after(start, 50));
        assert!(!health.is_in_sync(Family::V4));
        assert!(health.look(after(start, 59)).is_healthy);
        assert!(!health.look(after(start, 60)).families.v4.is_healthy);
        health.routing_is_whole();
        assert!(health.look(after(start, 60)).is_healthy);
        assert!(health.is_in_sync(Family::V4) && !health.is_in_sync(Family::V6));
    }

    #[test]
    fn a_family_that_fails_stays_undone_and_one_that_fails_unasked_becomes_it() {
        let start = Moment::now();
        let mut health = Health::new(PERIOD, start);
        health.requested(after(start, 0));
        health.failed(Family::V6, after(start, 1));
        health.updated(Family::V4, after(start, 1));
        assert!(!health.look(after(start, 60)).families.v6.is_healthy);
        assert!(health.look(after(start, 60)).families.v4.is_healthy);
        health.failed(Family::V4, after(start, 100));
        assert!(health.look(after(start, 159)).families.v4.is_healthy);
        assert!(!health.look(after(start, 160)).families.v4.is_healthy);
    }
}
