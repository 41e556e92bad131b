//! What should become of a packet, and whether what was seen is that.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::plan::{self, Family};
use crate::probe::Seen;
use crate::topology::Host;

/// What should become of new connections from one source to one frontend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// spread over these backends
    Dnat {
        /// the backends
        backends: BTreeSet<SocketAddr>,
        /// whether the source is translated; a hairpin is, in any case
        masquerade: bool,
    },
    /// ICMP port unreachable
    Reject,
    /// silence
    Drop,
    /// untouched
    Pass,
}

impl Fate {
    /// Whether what was seen of one packet is this fate.
    pub fn agrees(&self, source: IpAddr, seen: Seen) -> bool {
        match (self, seen) {
            (Fate::Dnat { backends, masquerade }, Seen::Dnat { backend, masqueraded, .. }) => {
                let expected = *masquerade || backend.ip() == source;
                // What is delivered on the node itself never leaves it: whether it would have been translated
                // cannot be seen, and between the node and itself does not matter.
                let visible = Host::of(backend.ip()) != Some(Host::Node);
                backends.contains(&backend) && (!visible || expected == masqueraded)
            }
            (Fate::Reject, Seen::Reject) | (Fate::Drop, Seen::Silence) | (Fate::Pass, Seen::Pass) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Dnat { backends, masquerade } => {
                write!(f, "dnat")?;
                for backend in backends {
                    write!(f, " {backend}")?;
                }
                if *masquerade { write!(f, ", masqueraded") } else { Ok(()) }
            }
            Fate::Reject => f.write_str("reject"),
            Fate::Drop => f.write_str("drop"),
            Fate::Pass => f.write_str("pass"),
        }
    }
}

/// A fate as written in a table: addresses are IPv4 or names of the plan, and stand for both families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    verdict: Verdict,
    /// all connections reach the same one of the backends
    pub sticky: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Dnat {
        backends: Vec<String>,
        masquerade: bool,
    },
    /// for one family, as the model says it
    Exactly(Fate),
    Reject,
    Drop,
    Pass,
}

/// Spread over these backends, the client's address preserved.
pub fn dnat(backends: &[&str]) -> Expected {
    let backends = backends.iter().map(|b| (*b).to_owned()).collect();
    Expected { verdict: Verdict::Dnat { backends, masquerade: false }, sticky: false }
}

/// Spread over these backends, masqueraded.
pub fn snat(backends: &[&str]) -> Expected {
    let backends = backends.iter().map(|b| (*b).to_owned()).collect();
    Expected { verdict: Verdict::Dnat { backends, masquerade: true }, sticky: false }
}

/// ICMP port unreachable.
pub const REJECT: Expected = Expected { verdict: Verdict::Reject, sticky: false };
/// Silence.
pub const DROP: Expected = Expected { verdict: Verdict::Drop, sticky: false };
/// Untouched.
pub const PASS: Expected = Expected { verdict: Verdict::Pass, sticky: false };

impl Expected {
    /// A fate of one family, not written by hand.
    pub fn exactly(fate: Fate) -> Self {
        Expected { verdict: Verdict::Exactly(fate), sticky: false }
    }

    /// All connections reach the same backend, whichever it is.
    #[must_use]
    pub fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }

    /// In one family.
    pub fn in_family(&self, family: Family) -> Fate {
        match &self.verdict {
            Verdict::Dnat { backends, masquerade } => Fate::Dnat {
                backends: backends.iter().map(|b| plan::socket(family, b)).collect(),
                masquerade: *masquerade,
            },
            Verdict::Exactly(fate) => fate.clone(),
            Verdict::Reject => Fate::Reject,
            Verdict::Drop => Fate::Drop,
            Verdict::Pass => Fate::Pass,
        }
    }
}
