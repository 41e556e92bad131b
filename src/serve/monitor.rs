//! Watches the loop for the servers: health, metrics, and which health checks there are. It does a fixed number
//! of cheap things for each change, whatever the table holds.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use kube_verdict_table::objects::{Kind, Object, ObjectEvent};
use kube_verdict_table::{Family, HealthCheckChange, PerFamily, Triggered, Update};

use super::moment::unix_seconds;
use super::node::Eligibility;
use super::outbox::Name;
use super::{Moment, Readings};
use crate::reconcile::{Input, Scope, Synced, Witness};

/// How many changed slices of a family are remembered while the kernel cannot be programmed; latencies of more
/// are not measured.
const REMEMBERED: usize = 10_000;

/// The witness.
pub struct Monitor {
    readings: Readings,
    eligibility: Eligibility,
    /// changes of before this moment are not what the latency of programming is about
    started: SystemTime,
    /// when the changes happened that the kernel does not have yet
    triggers: PerFamily<Vec<SystemTime>>,
    /// health checks that the kernel does not have yet, the last word on each: it may be long until it does
    health_checks: BTreeMap<Name, HealthCheckChange>,
    knows_addresses: bool,
    is_retry: bool,
}

impl Monitor {
    /// Of a loop that starts now.
    pub(super) fn new(readings: Readings, eligibility: Eligibility, now: Moment) -> Self {
        let metrics = &readings.metrics.programming;
        for family in Family::BOTH {
            metrics.last_request[family].set(unix_seconds(now.wall));
        }
        Monitor {
            readings,
            eligibility,
            started: now.wall,
            triggers: PerFamily::default(),
            health_checks: BTreeMap::new(),
            knows_addresses: false,
            is_retry: false,
        }
    }

    fn count_events(&self, events: &[ObjectEvent]) {
        let (mut services, mut slices) = (0, 0);
        for event in events {
            if let Some(is_eligible) = self.eligibility.heard(event) {
                self.readings.set_eligible(is_eligible);
            }
            match event {
                ObjectEvent::Applied(Object::Service(_)) => services += 1,
                ObjectEvent::Applied(Object::EndpointSlice(_)) => slices += 1,
                ObjectEvent::Deleted(key) if key.kind == Kind::Service => services += 1,
                ObjectEvent::Deleted(key) if key.kind == Kind::EndpointSlice => slices += 1,
                _ => {}
            }
        }
        let metrics = &self.readings.metrics.programming;
        for (changes, seen) in [(&metrics.service_changes, services), (&metrics.endpoint_changes, slices)] {
            changes.total.inc_by(seen);
            changes.pending.add(seen as f64);
        }
    }

    fn take_in(&mut self, update: &Update) {
        for Triggered { family, at } in &update.triggered {
            let known = &mut self.triggers[*family];
            if let Some(at) = moment(at)
                && at >= self.started
                && known.len() < REMEMBERED
            {
                known.push(at);
            }
        }
        let checks = update.health_checks.iter().cloned();
        self.health_checks.extend(checks.map(|check| ((check.namespace.clone(), check.name.clone()), check)));
        self.knows_addresses &= update.change.node_port_addresses.is_none();
    }

    /// Everything was programmed.
    fn succeeded(&mut self, sync: &Synced<'_>) {
        let addresses = (!self.knows_addresses).then(|| sync.table.node().node_port_addresses.clone());
        self.knows_addresses = true;
        if addresses.is_some() || !self.health_checks.is_empty() {
            self.readings.outbox.put(std::mem::take(&mut self.health_checks).into_values(), addresses);
        }
        let metrics = &self.readings.metrics.programming;
        metrics.endpoint_changes.pending.set(0.0);
        metrics.service_changes.pending.set(0.0);
    }

    /// A family was programmed.
    fn family_succeeded(&mut self, family: Family, now: Moment) {
        let metrics = &self.readings.metrics;
        metrics.programming.last_success[family].set(unix_seconds(now.wall));
        for at in self.triggers[family].drain(..) {
            let latency = now.wall.duration_since(at).unwrap_or(Duration::ZERO);
            metrics.programming.latency[family].observe(latency.as_secs_f64());
        }
    }

    fn family_failed(&self, family: Family) {
        self.readings.metrics.programming.failures[family].inc();
    }

    fn measure(&self, sync: &Synced<'_>) {
        let metrics = &self.readings.metrics;
        let compared = |family| sync.outcome.is_ok_and(|report| report.synced.contains(&family));
        for family in Family::BOTH {
            let figures = &sync.figures[family];
            // What upkeep took no table did.
            if let Some(took) = figures.took.filter(|_| sync.scope != Scope::Upkeep) {
                let is_full = sync.scope == Scope::Everything || compared(family);
                let kind = if is_full {
                    &metrics.programming.full_syncs
                } else {
                    &metrics.programming.partial_syncs
                };
                metrics.programming.syncs[family].observe(took.as_secs_f64());
                kind[family].observe(took.as_secs_f64());
            }
            let failures = &metrics.programming.cleanup_failures[family];
            failures.inc_by(figures.cleanup_failures.saturating_sub(failures.get()));
        }
        if sync.scope == Scope::Change {
            metrics.kernel.change.observe(sync.took.as_secs_f64());
        }
        if let Ok(report) = sync.outcome {
            metrics.kernel.count(report);
            metrics.ipvs.orders.inc_by(report.orders as u64);
        }
        if let Some(servers) = &sync.servers {
            metrics.ipvs.set(servers);
        }
        let totals = sync.table.totals();
        metrics.programming.set_no_local_endpoints(&totals.no_local_endpoints);
        metrics.kernel.set_totals(&totals);
        metrics.kernel.set_held(&sync.figures, sync.quarantined);
        if let Some(repair) = sync.repair {
            metrics.repairs.count(repair);
        }
        metrics.kernel.retries.inc_by(u64::from(self.is_retry));
    }
}

impl Witness for Monitor {
    fn requested(&mut self, news: &Input) {
        let now = Moment::now();
        let mut health = self.readings.health();
        health.requested(now);
        health.asked_of(news.kept);
        drop(health);
        self.count_events(&news.events);
        for family in Family::BOTH {
            self.readings.metrics.programming.last_request[family].set(unix_seconds(now.wall));
        }
    }

    fn synced(&mut self, sync: &Synced<'_>) {
        let now = Moment::now();
        if let Some(update) = sync.update {
            self.take_in(update);
        }
        let was_tried = sync.scope != Scope::Nothing;
        if was_tried {
            self.measure(sync);
        }
        let has_failed =
            |family| sync.outcome.is_err_and(|errors| errors.iter().any(|e| e.family() == family));
        let failed = PerFamily::from_fn(has_failed);
        for family in Family::BOTH {
            match failed[family] {
                true if was_tried => self.family_failed(family),
                true => {}
                false => self.family_succeeded(family, now),
            }
        }
        self.is_retry = sync.outcome.is_err();
        if sync.outcome.is_ok() {
            self.succeeded(sync);
        }
        self.readings.note(|health| {
            for family in Family::BOTH {
                if failed[family] { health.failed(family, now) } else { health.updated(family, now) }
            }
        });
    }
}

/// What a slice's annotation says; None when it is not a time.
fn moment(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

#[cfg(test)]
#[path = "monitor_tests.rs"]
mod tests;
