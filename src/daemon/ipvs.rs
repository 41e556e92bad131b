//! IPVS and the daemon's start: what mode ipvs needs before the first sync, IPVS itself, the host's settings and the way
//! of marked packets to it; and what an earlier run in mode ipvs has left, whichever the mode is now.

use kube_verdict_ipvs::{Director, Error, Netlink, Removed, Scheduler};
use kube_verdict_nftables::layout::Marks;
use kube_verdict_table::Family;

use super::Failure;
use crate::config::{Effective, Ipvs};
use crate::host;
use crate::reconcile::Routing;
use crate::serve::{Moment, Readings};
use crate::steering::{self, Finding, Steering};

/// Sets it all up, and looks after the policy routing from then on.
pub(super) fn set_up(
    effective: &Effective,
    ipvs: &Ipvs,
    readings: &Readings,
) -> Result<Director<Netlink>, Failure> {
    host::ipvs::prepare(ipvs)?;
    let marks = ipvs.marks;
    // What cannot be read or had now is tried again by whoever looks after it, who says so.
    let before = steering::marks().unwrap_or_default();
    let steering = Steering::new(marks, families());
    for added in steering.ensure().unwrap_or_default().added {
        tracing::info!("added {added}");
    }
    let mut netlink = Netlink::open()?;
    for old in before.into_iter().filter(|old| *old != marks) {
        let Removed { servers, connections } = kube_verdict_ipvs::remove(&mut netlink, old)?;
        tracing::warn!(
            servers,
            connections,
            "--ipvs-mark was {old} before: connections that IPVS had established have ended, and virtual servers of \
             such marks are gone"
        );
    }
    let readings = readings.clone();
    steering.keep(effective.sync_period, move |finding| readings.routing(finding, Moment::now()))?;
    let scheduler: Scheduler = ipvs.scheduler.parse()?;
    tracing::info!(%marks, %scheduler, "IPVS balances connections");
    Ok(Director::new(netlink, marks, scheduler))
}

/// What mode ipvs has left.
pub(super) struct Left {
    /// which marks it had
    pub(super) marks: Marks,
    /// knows its virtual servers
    pub(super) director: Director<Netlink>,
    /// what brings packets to them
    pub(super) routing: LeftRouting,
}

/// What brings packets to IPVS while connections of it last.
pub(super) struct LeftRouting {
    steering: Steering,
    readings: Readings,
}

/// In another mode: what connections may still need of mode ipvs, if it was the mode before. What none needs is
/// removed. IPVS is not loaded for it. What fails is said, and no reason not to serve.
pub(super) fn left(effective: &Effective, readings: Readings) -> Option<Left> {
    match find(effective, readings) {
        Ok(left) => {
            if left.is_none() {
                remove_routing();
            }
            left
        }
        Err(failure) => {
            tracing::error!(
                "cannot tell whether mode ipvs served this node before: {failure}; connections that IPVS has \
                 established may break. `kube-verdict cleanup` removes what it left"
            );
            None
        }
    }
}

fn find(effective: &Effective, readings: Readings) -> Result<Option<Left>, Failure> {
    let before = steering::marks()?;
    if !kube_verdict_ipvs_codec::is_loaded() {
        return Ok(None);
    }
    let marks = before.first().copied().unwrap_or(effective.ipvs_marks);
    let mut director = Director::new(Netlink::open()?, marks, Scheduler::configured("")?);
    let now = std::time::Instant::now();
    let of = |family| director.taken(family, now).map(|taken| taken.len());
    let servers: usize = Family::BOTH.map(of).into_iter().sum::<Result<usize, Error>>()?;
    if servers == 0 {
        return Ok(None);
    }
    let steering = Steering::new(marks, families());
    for added in steering.ensure()?.added {
        tracing::info!("added {added}");
    }
    Ok(Some(Left { marks, director, routing: LeftRouting { steering, readings } }))
}

fn families() -> Vec<Family> {
    if host::is_dual_stack() { Family::BOTH.to_vec() } else { vec![Family::V4] }
}

fn remove_routing() {
    match steering::remove() {
        Ok(outcome) => outcome.removed.iter().for_each(|removed| tracing::info!("removed {removed}")),
        Err(error) => tracing::error!("{error}; `kube-verdict cleanup` removes what mode ipvs left"),
    }
}

impl Routing for LeftRouting {
    fn look_after(&mut self) {
        // Whether it is whole says nothing of health: no new connection needs it.
        match self.steering.verify() {
            Ok(true) => self.readings.routing(Finding::Repaired { was_delayed: false }, Moment::now()),
            Ok(false) => {}
            Err(error) => tracing::error!("{error}; connections that IPVS has established may break"),
        }
    }

    fn remove(&mut self) {
        remove_routing();
    }
}
