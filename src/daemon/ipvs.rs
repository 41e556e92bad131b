//! What IPVS mode needs before the first sync: IPVS itself, the host's settings, the way of marked packets to it.

use kube_verdict_ipvs::{Director, Netlink, Scheduler};
use kube_verdict_table::Family;

use super::Failure;
use crate::config::{Effective, Ipvs};
use crate::host;
use crate::steering::Steering;

/// Sets it all up, and looks after the policy routing from then on.
pub(super) fn set_up(effective: &Effective, ipvs: &Ipvs) -> Result<Director<Netlink>, Failure> {
    host::ipvs::prepare(ipvs)?;
    let marks = ipvs.marks;
    let families = if host::is_dual_stack() { Family::BOTH.to_vec() } else { vec![Family::V4] };
    let steering = Steering::new(marks, families);
    // What cannot be had now is tried again by whoever looks after it, who says so.
    for added in steering.ensure().unwrap_or_default().added {
        tracing::info!("added {added}");
    }
    steering.keep(effective.sync_period)?;
    let scheduler: Scheduler = ipvs.scheduler.parse()?;
    tracing::info!(%marks, %scheduler, "IPVS balances connections");
    Ok(Director::new(Netlink::open()?, marks, scheduler))
}
