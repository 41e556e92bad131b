//! A line of a packet table: name, from, to, expected fate.

use std::net::IpAddr;

use crate::fate::Expected;
use crate::plan::{self, Family};
use crate::topology::Host;
use crate::wire::Protocol;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum From {
    /// a local pod
    PodA,
    /// another local pod
    PodB,
    /// a pod of the other node
    PodC,
    /// another pod of the other node
    PodD,
    /// the other node itself
    Node2,
    /// a process of the node; the kernel chooses its source address
    Node,
    /// a process of the node that is bound to an address
    NodeAt(&'static str),
    /// a client outside the cluster
    Client,
    /// another client, outside the first one's prefix
    Client2,
    /// one of a crowd of clients
    Crowd(u8),
}

impl From {
    /// The namespace it sends from.
    pub fn host(self) -> Host {
        match self {
            From::PodA => Host::PodA,
            From::PodB => Host::PodB,
            From::PodC => Host::Remote,
            From::PodD | From::Node2 => Host::Farther,
            From::Node | From::NodeAt(_) => Host::Node,
            From::Client | From::Client2 | From::Crowd(_) => Host::Outside,
        }
    }

    /// Its address; None when the kernel chooses.
    pub fn address(self, family: Family) -> Option<IpAddr> {
        let text = match self {
            From::PodA => plan::POD_A,
            From::PodB => plan::POD_B,
            From::PodC => plan::POD_C,
            From::PodD => plan::POD_D,
            From::Node2 => plan::NODE_2_IP,
            From::Node => return None,
            From::NodeAt(address) => address,
            From::Client => plan::CLIENT,
            From::Client2 => plan::CLIENT_2,
            From::Crowd(n) => return Some(plan::crowd(family, n)),
        };
        Some(plan::ip(family, text))
    }
}

/// One line.
#[derive(Clone, Debug)]
pub struct Case {
    /// what it shows
    pub name: String,
    /// who sends
    pub from: From,
    /// `10.96.0.10:80`, with `/udp`, `/sctp` or `/icmp` when it is not TCP
    pub to: String,
    /// what should become of it
    pub fate: Expected,
    /// the family in which it holds; None: both
    pub family: Option<Family>,
}

/// A line that holds in both families.
pub fn case(name: &str, from: From, to: &str, fate: Expected) -> Case {
    Case { name: name.to_owned(), from, to: to.to_owned(), fate, family: None }
}

impl Case {
    /// Holds in one family only.
    #[must_use]
    pub fn only(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// The protocol, from the destination.
    ///
    /// # Panics
    /// On a protocol that there is not.
    pub fn protocol(&self) -> Protocol {
        let name = self.to.split_once('/').map_or("tcp", |(_, name)| name);
        Protocol::parse(name).unwrap_or_else(|| panic!("{:?}: unknown protocol", self.to))
    }

    /// The destination in a family.
    pub fn destination(&self, family: Family) -> std::net::SocketAddr {
        plan::socket(family, self.to.split('/').next().unwrap_or_default())
    }
}
