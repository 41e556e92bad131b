//! What an API server would refuse, said in terms of what to write instead.
//!
//! A standalone user has no API server between the file and the table. Objects with findings are best not
//! given to the table; if they are, it passes over the bad leaves.

mod endpoint_slice;
mod names;
mod service;

use std::fmt;
use std::net::IpAddr;

use super::leaf::{Leaf, Number};
use super::{Node, Object, ServiceCidr};
use crate::net::{Cidr, Protocol};

/// Something about one field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// `spec.ports[1].nodePort`
    pub field: String,
    /// what is wrong and what to do
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl Object {
    /// Everything that an API server would refuse in this object. To be asked after
    /// [`Object::apply_api_defaults`].
    pub fn validate(&self) -> Vec<FieldError> {
        let mut findings = Findings::default();
        names::check(self, &mut findings);
        match self {
            Object::Service(service) => service::check(service, &mut findings),
            Object::EndpointSlice(slice) => endpoint_slice::check(slice, &mut findings),
            Object::Node(node) => check_node(node, &mut findings),
            Object::ServiceCidr(cidr) => check_service_cidr(cidr, &mut findings),
        }
        findings.0
    }
}

/// Findings so far.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<FieldError>);

impl Findings {
    pub(super) fn add(&mut self, field: impl fmt::Display, message: impl Into<String>) {
        self.0.push(FieldError { field: field.to_string(), message: message.into() });
    }

    /// Reports a leaf that is not `what` it should be.
    fn leaf<T>(&mut self, field: impl fmt::Display, leaf: Option<&Leaf<T>>, what: &str) {
        if let Some(Leaf::Invalid(text)) = leaf {
            self.add(field, format!("{text:?} is not {what}"));
        }
    }

    fn prefix(&mut self, field: impl fmt::Display, leaf: &Leaf<Cidr>) {
        self.leaf(field, Some(leaf), "an IP prefix: write one such as 10.0.0.0/8 or fd00::/64");
    }

    fn protocol(&mut self, field: impl fmt::Display, leaf: Option<&Leaf<Protocol>>) {
        self.leaf(field, leaf, "a protocol: write TCP, UDP or SCTP, in capitals");
    }

    /// Reports an address that is none, or that no packet can be sent to from elsewhere.
    fn address(&mut self, field: impl fmt::Display, leaf: &Leaf<IpAddr>) {
        match leaf {
            Leaf::Invalid(text) => self
                .add(field, format!("{text:?} is not an IP address: write one such as 10.0.0.1 or fd00::1")),
            Leaf::Valid(ip) => {
                if let Some(what) = special(*ip) {
                    self.add(field, format!("{ip} is {what}: write an address that other hosts can reach"));
                }
            }
        }
    }

    /// Reports a number that is no port. `what` names the range to the reader.
    fn port(&mut self, field: impl fmt::Display, leaf: Option<&Number>) {
        if let Some(number) = leaf.filter(|number| number.port().is_none()) {
            self.add(field, format!("{number} is not a port: write a number from 1 to 65535"));
        }
    }
}

/// Why an address can belong neither to a Service nor to an endpoint.
fn special(ip: IpAddr) -> Option<&'static str> {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if ip.is_unspecified() {
        Some("the unspecified address")
    } else if ip.is_loopback() {
        Some("a loopback address")
    } else if link_local {
        Some("a link-local address")
    } else if ip.is_multicast() || ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST) {
        Some("a multicast address")
    } else {
        None
    }
}

fn check_node(node: &Node, findings: &mut Findings) {
    for (i, address) in node.status.addresses.iter().enumerate() {
        if matches!(&*address.address_type, "InternalIP" | "ExternalIP") {
            let field = format!("status.addresses[{i}].address");
            match &address.address {
                Some(address) => {
                    findings.leaf(field, Some(address), "an IP address: write one such as 10.0.0.1")
                }
                None => findings.add(field, "is empty: write the node's IP address"),
            }
        }
    }
    for (i, prefix) in node.spec.pod_cidrs.iter().enumerate() {
        findings.prefix(format_args!("spec.podCIDRs[{i}]"), prefix);
    }
    if let Some(prefix) = &node.spec.pod_cidr {
        findings.prefix("spec.podCIDR", prefix);
    }
}

fn check_service_cidr(cidr: &ServiceCidr, findings: &mut Findings) {
    if cidr.spec.cidrs.is_empty() {
        findings.add("spec.cidrs", "is empty: write one prefix, or one of each family");
    }
    for (i, prefix) in cidr.spec.cidrs.iter().enumerate() {
        let field = format!("spec.cidrs[{i}]");
        let same_family = |other: &Leaf<Cidr>| {
            other.get().is_some_and(|other| Some(other.family()) == prefix.get().map(|p| p.family()))
        };
        if cidr.spec.cidrs[..i].iter().any(same_family) {
            findings.add(field, "is a second prefix of its family: put it into a ServiceCIDR of its own");
        } else {
            findings.prefix(field, prefix);
        }
    }
}
