//! `mode: ipvs`: by what IPVS balances, how long it remembers, and which packet marks it is given (reference §12,
//! §15.2). What it shares with the other modes, masquerading and periods, is in [`Effective`](super::Effective).

use std::sync::Arc;
use std::time::Duration;

use kube_verdict_ipvs::Scheduler;
use kube_verdict_nftables::layout::Marks;
use kube_verdict_table::parse_scheduler;

use super::duration::GoDuration;
use super::file::{self, File};

/// In the place of one that cannot be, which no validated file has.
const FALLBACK: &str = "rr";

/// What IPVS is to be like. A timeout of zero leaves the kernel's value alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipvs {
    /// the scheduler, with its flags, of Services that ask for none, as [`Scheduler`] writes and reads it: `rr`,
    /// `sh,sh-port`
    pub scheduler: Arc<str>,
    /// how long an established TCP connection may be idle
    pub tcp_timeout: Duration,
    /// how long a TCP connection is kept that is being closed
    pub tcp_fin_timeout: Duration,
    /// how long a UDP flow may be idle
    pub udp_timeout: Duration,
    /// whose packets are IPVS's, and which virtual servers are ours
    pub marks: Marks,
}

impl Ipvs {
    /// What a validated and complete file says.
    pub(super) fn of(file: &File, marks: Marks) -> Self {
        let section = file.ipvs.clone().unwrap_or_default();
        let duration = |value: Option<GoDuration>| value.unwrap_or_default().to_std();
        Ipvs {
            scheduler: scheduler(&section).unwrap_or_else(|_| FALLBACK.to_owned()).into(),
            tcp_timeout: duration(section.tcp_timeout),
            tcp_fin_timeout: duration(section.tcp_fin_timeout),
            udp_timeout: duration(section.udp_timeout),
            marks,
        }
    }
}

/// The scheduler as it is written out. White space around its words is nothing, as in a Service's annotation.
pub(super) fn scheduler(section: &file::Ipvs) -> Result<String, String> {
    let text = parse_scheduler(section.scheduler.as_deref().unwrap_or_default())?;
    let scheduler = Scheduler::configured(text.as_deref().unwrap_or_default());
    scheduler.map(|scheduler| scheduler.to_string()).map_err(|error| error.to_string())
}
