//! From a document of any self-describing format to an [`Object`].

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::leaf::text;
use super::{EndpointSlice, Kind, Node, Object, Service, ServiceCidr};

impl Kind {
    /// The kind that a document's `apiVersion` and `kind` name, if it is one of ours. Any version of the
    /// right group will do: of the fields that we read, none changed its meaning between versions.
    pub fn of_document(api_version: &str, kind: &str) -> Option<Kind> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _version)| group);
        Kind::ALL.into_iter().find(|k| k.name() == kind && k.api_group() == group)
    }
}

impl Object {
    /// Decodes an object of a known kind. Unknown fields are passed over, `null` is absent. Fails only on a
    /// wrong structure, such as a list where a mapping belongs; bad leaves are left to [`Object::validate`].
    pub fn deserialize_as<'de, D: Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<Self, D::Error> {
        Ok(match kind {
            Kind::Service => Object::Service(Box::new(Service::deserialize(deserializer)?)),
            Kind::EndpointSlice => Object::EndpointSlice(EndpointSlice::deserialize(deserializer)?),
            Kind::Node => Object::Node(Node::deserialize(deserializer)?),
            Kind::ServiceCidr => Object::ServiceCidr(ServiceCidr::deserialize(deserializer)?),
        })
    }
}

/// A kind that is the one that is expected. Items of lists have none.
fn is<'de, D: Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<(), D::Error> {
    let said = text(deserializer)?;
    if said.is_empty() || &*said == kind.name() {
        return Ok(());
    }
    Err(D::Error::custom(format_args!("a {said} in place of a {kind}")))
}

pub(super) fn is_service<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    is(Kind::Service, deserializer)
}

pub(super) fn is_endpoint_slice<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    is(Kind::EndpointSlice, deserializer)
}

pub(super) fn is_node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    is(Kind::Node, deserializer)
}

pub(super) fn is_service_cidr<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    is(Kind::ServiceCidr, deserializer)
}
