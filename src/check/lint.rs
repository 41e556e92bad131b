//! What is wrong with objects only when they are seen together: a Service that no slice is for, a slice that is for no
//! Service, ports of one that the other does not have. Pure. How they are joined is reference §1.3: by the label, by
//! the name of the port and by the protocol, in each family.

use std::collections::{BTreeMap, BTreeSet};

use kube_verdict_table::objects::{
    AddressType, ClusterIp, EndpointSlice, Kind, Leaf, Object, ObjectEvent, ObjectKey, Service, ServiceType,
};
use kube_verdict_table::{Family, Protocol};

/// One finding. It is about an object that is good by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lint {
    pub(super) object: ObjectKey,
    pub(super) field: String,
    pub(super) message: String,
}

/// The label that joins them, as a path.
const LABEL: &str = "metadata.labels[kubernetes.io/service-name]";

/// Looks at all objects that are served. `is_defined` says whether an object stands somewhere, served or not (a
/// headless Service is not); `troubled` are those with errors, of which nothing more is said here.
pub(super) fn lint(
    events: &[ObjectEvent],
    is_defined: impl Fn(&ObjectKey) -> bool,
    troubled: &BTreeSet<ObjectKey>,
) -> Vec<Lint> {
    let mut services = BTreeMap::new();
    let mut slices: BTreeMap<ObjectKey, Vec<(ObjectKey, &EndpointSlice)>> = BTreeMap::new();
    for event in events {
        let ObjectEvent::Applied(object) = event else { continue };
        match object {
            Object::Service(service) => drop(services.insert(object.key(), &**service)),
            Object::EndpointSlice(slice) => {
                if let Some(owner) = owner(slice) {
                    slices.entry(owner).or_default().push((object.key(), slice));
                }
            }
            Object::Node(_) | Object::ServiceCidr(_) => {}
        }
    }
    let mut lints = Vec::new();
    for (owner, slices) in &slices {
        match services.get(owner) {
            Some(service) => lint_ports(owner, service, slices, &mut lints),
            None if is_defined(owner) || troubled.contains(owner) => {}
            None => lint_orphans(owner, slices, services.keys(), &mut lints),
        }
    }
    for (key, service) in services {
        // A slice with errors may be the one.
        let has_hope = troubled.iter().any(|t| t.kind == Kind::EndpointSlice && t.namespace == key.namespace);
        if !slices.contains_key(&key) && !has_hope && families(service).next().is_some() {
            let message = format!(
                "no EndpointSlice belongs to this Service, so connections to it are refused: write one with the \
                 label kubernetes.io/service-name: {}",
                key.name
            );
            lints.push(Lint { object: key, field: "metadata.name".into(), message });
        }
    }
    lints
}

/// The Service that a slice is for.
fn owner(slice: &EndpointSlice) -> Option<ObjectKey> {
    let name = slice.metadata.labels.service_name.clone()?;
    Some(ObjectKey { kind: Kind::Service, namespace: slice.metadata.namespace.clone(), name })
}

fn lint_orphans<'s>(
    owner: &ObjectKey,
    slices: &[(ObjectKey, &EndpointSlice)],
    services: impl Iterator<Item = &'s ObjectKey>,
    lints: &mut Vec<Lint>,
) {
    // As many slips of the pen as a name of that length may have.
    let slips = 1 + owner.name.len() / 4;
    let distance = |key: &&ObjectKey| strsim::osa_distance(&key.name, &owner.name);
    let same_place = services.filter(|key| key.namespace == owner.namespace);
    let hint = match same_place.min_by_key(distance).filter(|key| distance(key) <= slips) {
        Some(key) => format!("did you mean {}?", key.name),
        None => "write the Service, or the name of one".into(),
    };
    for (key, _) in slices {
        let message = format!("there is no {owner}, so these endpoints serve nobody: {hint}");
        lints.push(Lint { object: key.clone(), field: LABEL.into(), message });
    }
}

/// The families that a Service has an address of, if it is one for proxies.
fn families(service: &Service) -> impl Iterator<Item = Family> {
    let spec = &service.spec;
    let is_alias = spec.service_type == Some(Leaf::Valid(ServiceType::ExternalName));
    let ips: Vec<_> = spec.cluster_ips.iter().filter_map(|ip| ip.get().and_then(ClusterIp::ip)).collect();
    Family::BOTH
        .into_iter()
        .filter(move |family| !is_alias && ips.iter().any(|ip| Family::of(*ip) == *family))
}

type PortKey<'o> = (&'o str, Protocol);

fn protocol(leaf: Option<&Leaf<Protocol>>) -> Option<Protocol> {
    leaf.map_or(Some(Protocol::Tcp), Leaf::get)
}

fn lint_ports(
    key: &ObjectKey,
    service: &Service,
    slices: &[(ObjectKey, &EndpointSlice)],
    lints: &mut Vec<Lint>,
) {
    let wanted: Vec<Option<PortKey<'_>>> = service
        .spec
        .ports
        .iter()
        .map(|port| Some((&*port.name, protocol(port.protocol.as_ref())?)))
        .collect();
    for family in families(service) {
        let of_family =
            |slice: &EndpointSlice| slice.address_type == Some(Leaf::Valid(AddressType::Ip(family)));
        let there = slices.iter().filter(|(_, slice)| of_family(slice)).flat_map(|(_, slice)| &slice.ports);
        let there: BTreeSet<PortKey<'_>> =
            there.filter_map(|port| Some((&*port.name, protocol(port.protocol.as_ref())?))).collect();
        for (i, port) in wanted.iter().enumerate() {
            let Some(port) = port.filter(|port| !there.contains(port)) else { continue };
            let message = format!(
                "no {family} EndpointSlice of this Service has {}, so connections to it are refused: {}",
                named(port),
                if there.is_empty() {
                    format!("write one with addressType {family}")
                } else {
                    let there: Vec<String> = there.iter().map(|port| named(*port)).collect();
                    format!("they have {}, and names and protocols have to be the same", there.join(", "))
                }
            );
            lints.push(Lint { object: key.clone(), field: format!("spec.ports[{i}]"), message });
        }
    }
    for (slice_key, slice) in slices {
        for (i, port) in slice.ports.iter().enumerate() {
            let Some(protocol) = protocol(port.protocol.as_ref()) else { continue };
            let port = (&*port.name, protocol);
            if !wanted.contains(&Some(port)) {
                let message = format!("{key} has no such port, so it is not used: {}", named(port));
                lints.push(Lint { object: slice_key.clone(), field: format!("ports[{i}]"), message });
            }
        }
    }
}

fn named((name, protocol): PortKey<'_>) -> String {
    if name.is_empty() {
        format!("a {protocol} port without a name")
    } else {
        format!("port {name:?} ({protocol})")
    }
}
