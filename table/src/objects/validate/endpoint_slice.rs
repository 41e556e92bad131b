//! What an API server would refuse in an EndpointSlice.

use super::Findings;
use super::names::is_label;
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
        let field = format!("endpoints[{i}].addresses[0]");
        match address {
            Leaf::Invalid(text) if is_host_name(text) => findings.add(
                field,
                format!(
                    "{text:?} is a host name, and only addresses are served: the kernel forwards packets to an \
                     address, and nobody would notice when the name means another. Write the IP address"
                ),
            ),
            address => findings.address(field, address),
        }
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

/// Whether that is a name, not an address that was mistyped: it has letters that no hexadecimal number has.
fn is_host_name(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('.').unwrap_or(&text);
    text.split('.').all(is_label)
        && text.contains(|c: char| c.is_ascii_alphabetic() && !c.is_ascii_hexdigit())
}
