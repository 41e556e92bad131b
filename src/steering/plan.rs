//! From what there is to what there should be, without I/O.

use std::fmt;

use kube_verdict_table::Family;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;

use super::found::Found;
use super::rule::{self, Role, Rule};
use super::{Mark, TABLE, route};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    AddRoute(Family),
    AddRule(Rule),
    /// as the kernel listed it
    RemoveRule(Family, RuleMessage),
    RemoveRoute(Family, RouteMessage),
}

/// What to do, in this order. Without a mark everything of ours goes.
pub(super) fn plan(found: &Found, family: Family, wanted: Option<Mark>) -> Vec<Step> {
    let rules = wanted.map_or(vec![], |mark| Rule::all(family, mark).to_vec());
    let mut steps = Vec::new();
    // The route before the rule that sends packets to it.
    if wanted.is_some() && !found.routes.iter().any(route::is_wanted) {
        steps.push(Step::AddRoute(family));
    }
    let there: Vec<Option<Rule>> = found.rules.iter().map(|message| Rule::of(message, family)).collect();
    let missing = rules.iter().filter(|rule| !there.contains(&Some(**rule)));
    steps.extend(missing.copied().map(Step::AddRule));

    let is_old = |(message, rule): &(&RuleMessage, &Option<Rule>)| {
        rule::is_ours(message) && !rule.is_some_and(|rule| rules.contains(&rule))
    };
    let mut old: Vec<&RuleMessage> =
        found.rules.iter().zip(&there).filter(is_old).map(|(message, _)| message).collect();
    // In the reverse order of making.
    let turn = |message: &&RuleMessage| {
        Role::ALL.iter().rev().position(|role| role.priority() == rule::priority(message))
    };
    old.sort_by_key(turn);
    steps.extend(old.into_iter().map(|message| Step::RemoveRule(family, message.clone())));
    let old_routes = found
        .routes
        .iter()
        .filter(|route| route::is_ours(route) && !(wanted.is_some() && route::is_wanted(route)));
    steps.extend(old_routes.map(|route| Step::RemoveRoute(family, route.clone())));
    steps
}

impl Step {
    pub(super) fn is_addition(&self) -> bool {
        matches!(self, Step::AddRoute(_) | Step::AddRule(_))
    }

    /// The request, and its flags.
    pub(super) fn message(self) -> (RouteNetlinkMessage, u16) {
        match self {
            // Whatever else is the table's default route was not made by us, or wrongly.
            Step::AddRoute(family) => {
                (RouteNetlinkMessage::NewRoute(route::wanted(family)), NLM_F_CREATE | NLM_F_REPLACE)
            }
            Step::AddRule(rule) => (RouteNetlinkMessage::NewRule(rule.message()), NLM_F_CREATE | NLM_F_EXCL),
            Step::RemoveRule(_, rule) => (RouteNetlinkMessage::DelRule(rule), 0),
            Step::RemoveRoute(_, route) => (RouteNetlinkMessage::DelRoute(route), 0),
        }
    }

    /// Somebody was faster.
    pub(super) fn is_needless(why: &std::io::Error) -> bool {
        matches!(why.raw_os_error(), Some(libc::EEXIST | libc::ENOENT | libc::ESRCH))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AddRoute(family) => write!(f, "{family} route \"local default dev lo table {TABLE}\""),
            Step::AddRule(rule) => rule.fmt(f),
            Step::RemoveRule(family, message) => match Rule::of(message, *family) {
                Some(rule) => rule.fmt(f),
                None => write!(f, "{family} rule of priority {}", rule::priority(message)),
            },
            Step::RemoveRoute(family, _) => write!(f, "{family} route in table {TABLE}"),
        }
    }
}
