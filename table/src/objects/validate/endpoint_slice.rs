//! What an API server would refuse in an EndpointSlice.

use super::Findings;
use crate::net::Family;
use crate::objects::endpoint_slice::{AddressType, EndpointSlice};
use crate::objects::leaf::Leaf;

pub(super) fn check(slice: &EndpointSlice, findings: &mut Findings) {
    match &slice.address_type {
        None => findings.add("addressType", "is missing: write IPv4 or IPv6"),
        kind => findings.leaf("addressType", kind.as_ref(), "an address type: write IPv4 or IPv6"),
    }
    for (i, port) in slice.ports.iter().enumerate() {
        findings.port(format_args!("ports[{i}].port"), port.port.as_ref());
        findings.protocol(format_args!("ports[{i}].protocol"), port.protocol.as_ref());
        if slice.ports[..i].iter().any(|other| other.name == port.name) {
            findings.add(
                format_args!("ports[{i}].name"),
                format!("{:?} is there twice: give each port its own name", port.name),
            );
        }
    }
    check_endpoints(slice, findings);
}

fn check_endpoints(slice: &EndpointSlice, findings: &mut Findings) {
    let address_type = slice.address_type.as_ref().and_then(Leaf::get);
    if address_type == Some(AddressType::Fqdn) {
        return;
    }
    for (i, endpoint) in slice.endpoints.iter().enumerate() {
        let Some(address) = &endpoint.address else {
            findings
                .add(format_args!("endpoints[{i}].addresses"), "is empty: write the endpoint's IP address");
            continue;
        };
        findings.address(format_args!("endpoints[{i}].addresses[0]"), address);
        if let (Some(ip), Some(AddressType::Ip(family))) = (address.get(), address_type)
            && Family::of(ip) != family
        {
            findings.add(
                format_args!("endpoints[{i}].addresses[0]"),
                format!("{ip} is not {family}, the slice's addressType: put it into a slice of its own"),
            );
        }
    }
}
