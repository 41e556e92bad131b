//! Our rules, and rules as the kernel lists them (linux/fib_rules.h).

use std::fmt;

use kube_verdict_table::Family;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use super::{Mark, PRIORITY, PROTOCOL, TABLE, route};

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// look-ups from `lo` go on behind the others
    Bypass,
    /// all others find the route
    Deliver,
    /// where those that were sent past go on
    Rejoin,
}

/// One of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) family: Family,
    pub(super) role: Role,
    pub(super) mark: Mark,
}

impl Role {
    /// In the order in which they are made, so that at no time look-ups from `lo` meet the second rule: a `goto`
    /// without its target does nothing.
    pub(super) const ALL: [Role; 3] = [Role::Rejoin, Role::Bypass, Role::Deliver];

    pub(super) fn priority(self) -> u32 {
        PRIORITY
            + match self {
                Role::Bypass => 0,
                Role::Deliver => 1,
                Role::Rejoin => 2,
            }
    }
}

impl Rule {
    /// All that a mark needs.
    pub(super) fn all(family: Family, mark: Mark) -> [Rule; 3] {
        Role::ALL.map(|role| Rule { family, role, mark })
    }

    /// As the kernel wants it.
    pub(super) fn message(self) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.family = route::address_family(self.family);
        message.attributes = vec![
            RuleAttribute::Priority(self.role.priority()),
            RuleAttribute::FwMark(self.mark.value),
            RuleAttribute::FwMask(self.mark.mask),
            RuleAttribute::Protocol(PROTOCOL.into()),
        ];
        message.header.action = match self.role {
            Role::Bypass => {
                message.attributes.push(RuleAttribute::Iifname("lo".into()));
                message.attributes.push(RuleAttribute::Goto(Role::Rejoin.priority()));
                RuleAction::Goto
            }
            Role::Deliver => {
                message.attributes.push(RuleAttribute::Table(TABLE));
                RuleAction::ToTable
            }
            Role::Rejoin => RuleAction::Nop,
        };
        message
    }

    /// Which of ours a rule of the kernel's is; None if it matches, or does, anything else.
    pub(super) fn of(message: &RuleMessage, family: Family) -> Option<Rule> {
        let header = &message.header;
        if header.flags.contains(RuleFlags::Invert)
            || (header.dst_len, header.src_len, header.tos) != (0, 0, 0)
        {
            return None;
        }
        let (mut priority, mut mark, mut iif, mut table, mut goto) = (0, [0; 2], None, 0, None);
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Priority(number) => priority = *number,
                RuleAttribute::FwMark(value) => mark[0] = *value,
                RuleAttribute::FwMask(mask) => mark[1] = *mask,
                RuleAttribute::Iifname(name) => iif = Some(name.as_str()),
                RuleAttribute::Table(number) => table = *number,
                RuleAttribute::Goto(number) => goto = Some(*number),
                // The kernel names these of every rule; what it suppresses is nothing then.
                RuleAttribute::Protocol(_) | RuleAttribute::SuppressPrefixLen(u32::MAX) => {}
                RuleAttribute::Other(_) => {}
                _ => return None,
            }
        }
        let role = match (header.action, iif, goto) {
            (RuleAction::Goto, Some("lo"), Some(to)) if to == Role::Rejoin.priority() => Role::Bypass,
            (RuleAction::ToTable, None, None) if table == TABLE => Role::Deliver,
            (RuleAction::Nop, None, None) => Role::Rejoin,
            _ => return None,
        };
        let mark = Mark { value: mark[0], mask: mark[1] };
        (priority == role.priority()).then_some(Rule { family, role, mark })
    }
}

/// Whether we made it, now or earlier, of whatever mark.
pub(super) fn is_ours(message: &RuleMessage) -> bool {
    let has = |is: fn(&RuleAttribute) -> bool| message.attributes.iter().any(is);
    has(|attribute| matches!(attribute, RuleAttribute::Protocol(number) if u8::from(*number) == PROTOCOL))
        && has(|attribute| matches!(attribute, RuleAttribute::FwMark(_)))
        && Role::ALL.iter().any(|role| role.priority() == priority(message))
}

/// A rule's priority; 0 is not named.
pub(super) fn priority(message: &RuleMessage) -> u32 {
    let named = message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(number) => Some(*number),
        _ => None,
    });
    named.unwrap_or_default()
}

/// As `ip rule` shows it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { family, role, mark } = self;
        write!(f, "{family} rule \"{}: from all fwmark {mark} ", role.priority())?;
        match role {
            Role::Bypass => write!(f, "iif lo goto {}\"", Role::Rejoin.priority()),
            Role::Deliver => write!(f, "lookup {TABLE}\""),
            Role::Rejoin => f.write_str("nop\""),
        }
    }
}
