//! Keeps the rules and the route as they should be. A thread listens to what happens to rules, to routes and to
//! `lo`, and looks when it may be about ours; and once in a while without any reason. What a notification says
//! is not believed but taken as a reason to read everything again, so lost ones cost nothing but that.
//!
//! Should somebody delete ours again and again, each look waits longer than the one before, as it is with our
//! tables.

use std::io;
use std::time::{Duration, Instant};

use netlink_packet_route::RouteNetlinkMessage;

use super::{Finding, Steering, route, rule};
use crate::repairs::Repairs;
use crate::rtnetlink::{Groups, LOOPBACK, Listener};

/// RTNLGRP_LINK, _IPV4_ROUTE, _IPV4_RULE, _IPV6_ROUTE and _IPV6_RULE of linux/rtnetlink.h.
const GROUPS: Groups = &[1, 7, 8, 11, 19];

impl Steering {
    /// Looks after it all for as long as the process lives, whenever something happens and once every `period`.
    /// Everything is looked at before the first wait. What is found is told. Runs on a thread of its own, in the
    /// network namespace of the calling one.
    ///
    /// # Errors
    /// When there is nothing to listen to, or no thread.
    pub fn keep(self, period: Duration, tell: impl Fn(Finding) + Send + 'static) -> io::Result<()> {
        let mut listener = Listener::open(GROUPS)?;
        listener.limit(period)?;
        std::thread::Builder::new().name("steering".into()).spawn(move || {
            if let Err(error) = self.follow(&mut listener, period, &tell) {
                tracing::error!(
                    "the policy routing for IPVS is no longer looked after: {error}; restart to have it looked \
                     after again"
                );
            }
        })?;
        Ok(())
    }

    fn follow(&self, listener: &mut Listener, period: Duration, tell: &impl Fn(Finding)) -> io::Result<()> {
        let mut repairs = Repairs::new(period);
        let mut complaint = None;
        let mut has_rested = false;
        loop {
            let looked_at = Instant::now();
            // A repair is heard of like anything else, so a look follows each pause at once: what it finds was changed
            // during the pause, and had to wait.
            let was_delayed = std::mem::take(&mut has_rested);
            match self.verify() {
                Ok(is_drift) => {
                    if complaint.take().is_some() {
                        tracing::info!("the policy routing for IPVS is as it should be");
                        tell(Finding::Whole);
                    }
                    if is_drift {
                        tell(Finding::Repaired { was_delayed });
                        std::thread::sleep(repairs.repaired(looked_at));
                        has_rested = true;
                    }
                }
                Err(error) => {
                    let said = error.to_string();
                    if complaint.as_ref() != Some(&said) {
                        tracing::error!("{said}; trying again");
                    }
                    complaint = Some(said);
                    tell(Finding::Broken);
                }
            }
            while !listener.wait(concerns)? && looked_at.elapsed() < period {}
        }
    }
}

/// Whether it may be about ours.
fn concerns(message: &RouteNetlinkMessage) -> bool {
    match message {
        RouteNetlinkMessage::NewRule(rule) | RouteNetlinkMessage::DelRule(rule) => rule::is_ours(rule),
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
            route::is_in_table(route)
        }
        // Whoever takes `lo` down takes the route along, and nothing is said of that.
        RouteNetlinkMessage::NewLink(link) => link.header.index == LOOPBACK,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;
    use netlink_packet_route::rule::RuleMessage;

    use super::*;
    use crate::steering::rule::Rule;
    use crate::steering::{Family, Mark};

    #[test]
    fn only_what_may_be_ours_is_a_reason_to_look() {
        let mark = Mark { value: 1, mask: 1 };
        for rule in Rule::all(Family::V6, mark) {
            assert!(concerns(&RouteNetlinkMessage::DelRule(rule.message())), "{rule}");
        }
        assert!(!concerns(&RouteNetlinkMessage::DelRule(RuleMessage::default())));
        assert!(concerns(&RouteNetlinkMessage::DelRoute(route::wanted(Family::V4))));
        assert!(!concerns(&RouteNetlinkMessage::DelRoute(Default::default())));
        let mut link = LinkMessage::default();
        assert!(!concerns(&RouteNetlinkMessage::NewLink(link.clone())));
        link.header.index = LOOPBACK;
        assert!(concerns(&RouteNetlinkMessage::NewLink(link)));
    }
}
