//! What there is, as the kernel lists it.

use kube_verdict_nftables::layout::Marks;
use kube_verdict_table::Family;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;

use super::rule::{self, Rule};
use super::{Error, route};
use crate::rtnetlink::Rtnetlink;

/// The rules of a family, and the routes of our table.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) rules: Vec<RuleMessage>,
    pub(super) routes: Vec<RouteMessage>,
}

impl Found {
    /// The marks that our rules name.
    pub(super) fn marks(&self, family: Family) -> impl Iterator<Item = Marks> {
        let ours = self.rules.iter().filter(|message| rule::is_ours(message));
        let marks = ours.filter_map(move |message| Rule::of(message, family));
        marks.filter_map(|Rule { mark, .. }| Marks::new(mark.value, mark.mask).ok())
    }

    pub(super) fn read(rtnetlink: &mut Rtnetlink, family: Family) -> Result<Found, Error> {
        let mut found = Found::default();
        let mut question = RuleMessage::default();
        question.header.family = route::address_family(family);
        let listed = rtnetlink.list(RouteNetlinkMessage::GetRule(question), |answer| {
            if let RouteNetlinkMessage::NewRule(rule) = answer {
                found.rules.push(rule);
            }
        });
        listed.map_err(|why| Error::read("rules", family, why))?;
        let listed = rtnetlink.list(RouteNetlinkMessage::GetRoute(route::question(family)), |answer| {
            if let RouteNetlinkMessage::NewRoute(route) = answer {
                found.routes.push(route);
            }
        });
        match listed {
            // There is no such table before its first route.
            Err(why) if why.raw_os_error() == Some(libc::ENOENT) => Ok(found),
            listed => listed.map(|()| found).map_err(|why| Error::read("routes", family, why)),
        }
    }
}
