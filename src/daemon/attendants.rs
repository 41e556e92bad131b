//! Who is told of the loop's syncs, and who tells others: health and metrics, who asked for a
//! scheduler, conntrack's clean-up, the removal of what kube-proxy left, the service manager.

use std::time::SystemTime;

use super::Failure;
use super::life::Life;
use super::schedulers::Schedulers;
use super::supervisor::Herald;
use crate::conntrack::{self, Cleaner};
use crate::node::Reliance;
use crate::predecessor::Takeover;
use crate::reconcile::Witness;
use crate::serve::{self, Complaint, Pages, Readings, Serving};

/// Starts them all. Who runs beside the loop leaves what it finds in the readings.
pub(super) fn attend(life: &mut Life) -> Result<(impl Witness + use<>, Serving, Readings), Failure> {
    let effective = &life.loaded.effective;
    let is_cluster = life.reliance == Reliance::Required;
    let (monitor, readings) = serve::monitor(effective, &life.name, is_cluster)?;
    let observed = conntrack::Observed::new(readings.metrics().registry())?;
    for collector in life.collectors.drain(..) {
        readings.metrics().registry().register(collector)?;
    }
    let cleaner = Cleaner::start(conntrack::Netlink::default(), move |round| observed.observe(round))?;
    // Beside manifests, and with Services of our own name, kube-proxy may run on purpose; else we are the proxy.
    let is_alone = is_cluster && effective.service_proxy_name.is_none();
    let takeover = if is_alone { Takeover::new() } else { Takeover::never() };

    let pages = Pages {
        mode: effective.mode(),
        configz: life.loaded.configuration.configz().to_string(),
        flagz: effective.flagz.then(|| life.loaded.flagz.clone()),
        statusz: effective.statusz,
        started: SystemTime::now(),
    };
    let schedulers = Schedulers { events: life.events.clone() };
    let events = life.events.clone();
    let complain = move |complaint: Complaint| {
        let Complaint { object, reason, action, message } = complaint;
        events.warn(&object, reason, action, message);
    };
    let serving =
        serve::start(&life.outside, &effective.serving, &life.name, readings.clone(), pages, complain)?;
    let herald = Herald::new(life.supervisor.clone(), life.in_sync);
    Ok(((monitor, (schedulers, (cleaner, (takeover, herald)))), serving, readings))
}
