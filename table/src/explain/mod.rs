//! What happens to a packet, and why: the table read aloud.
//!
//! Computed from the table alone, for the first packet of a new connection, in the order in which the kernel
//! decides: frontend, source ranges, origin, endpoints, masquerade. Fields of [`Explanation`] are the
//! contract of `explain -o json`; the sentences are for people and may change.

mod origin;
mod walk;
mod words;

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::fate::{Backend, ServicePortName};
use crate::net::Protocol;

/// The first packet of a connection, or what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// source address; None: somewhere that is neither a local pod nor this node
    pub from: Option<IpAddr>,
    /// the interface that it arrived on, which is how some detectors know a local pod
    pub in_interface: Option<String>,
    /// destination address
    pub to: IpAddr,
    /// destination port
    pub port: u16,
    /// transport protocol
    pub protocol: Protocol,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// it goes to one of the backends
    Dnat,
    /// ICMP port unreachable
    Reject,
    /// silence
    Drop,
    /// we leave it alone
    Pass,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Dnat => "dnat",
            Verdict::Reject => "reject",
            Verdict::Drop => "drop",
            Verdict::Pass => "pass",
        })
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// what becomes of the packet
    pub verdict: Verdict,
    /// where it may go; empty unless the verdict is [`Verdict::Dnat`]
    pub backends: Vec<Backend>,
    /// by which scheduler IPVS chooses among the backends; None: there are none, or each is as likely as another
    pub scheduler: Option<String>,
    /// whether its source is rewritten whichever backend is chosen
    pub masquerade: bool,
    /// whose it is
    pub service: Option<ServicePortName>,
    /// `clusterIP 10.96.0.1:80/TCP`
    pub frontend: Option<String>,
    /// what decided, in plain sentences
    pub because: Vec<String>,
}

impl fmt::Display for Explanation {
    /// For people; ends without a newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masquerade = if self.masquerade { ", masqueraded" } else { "" };
        write!(f, "verdict   {}{masquerade}", self.verdict)?;
        if let Some(service) = &self.service {
            write!(f, "\nservice   {service}")?;
        }
        if let Some(frontend) = &self.frontend {
            write!(f, "\nfrontend  {frontend}")?;
        }
        for (i, backend) in self.backends.iter().enumerate() {
            write!(f, "\n{}  {backend}", if i == 0 { "backends" } else { "        " })?;
        }
        if let Some(scheduler) = &self.scheduler {
            write!(f, "\nscheduler {scheduler}")?;
        }
        for (i, sentence) in self.because.iter().enumerate() {
            write!(f, "\n{}   {sentence}", if i == 0 { "because" } else { "       " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
