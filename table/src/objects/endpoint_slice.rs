//! discovery.k8s.io/v1 EndpointSlice: the fields of reference §1.3, kept small because there are many.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use std::fmt;

use super::decode::is_endpoint_slice;
use super::leaf::{Address, Leaf, LeafValue, Number, optional, optional_text, or_default, text};
use super::metadata::Metadata;
use crate::net::{Family, Protocol};

/// An EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// `kind`: nothing is kept of it; an object that says to be of another kind is refused
    #[serde(default, deserialize_with = "is_endpoint_slice")]
    pub kind: (),
    /// names, and the owner in a label
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// what the addresses are
    #[serde(default, deserialize_with = "optional")]
    pub address_type: Option<Leaf<AddressType>>,
    /// the endpoints; a boxed slice because decoding over-allocates a vector
    #[serde(default, deserialize_with = "or_default")]
    pub endpoints: Box<[Endpoint]>,
    /// the ports, common to all endpoints
    #[serde(default, deserialize_with = "or_default")]
    pub ports: Vec<EndpointPort>,
}

/// `addressType`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressType {
    /// addresses of one family
    Ip(Family),
    /// host names; ignored by proxies
    Fqdn,
}

impl LeafValue for AddressType {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "FQDN" => Some(AddressType::Fqdn),
            text => Family::from_text(text).map(AddressType::Ip),
        }
    }
}

/// `ports[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct EndpointPort {
    /// joins with the Service port's name; absent (before defaulting) and empty are the same to an API server
    #[serde(default, deserialize_with = "text")]
    pub name: Box<str>,
    /// TCP if absent
    #[serde(default, deserialize_with = "optional")]
    pub protocol: Option<Leaf<Protocol>>,
    /// absent means all ports, which proxies do not support
    #[serde(default, deserialize_with = "optional")]
    pub port: Option<Number>,
}

/// `endpoints[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// `addresses[0]`; the others are not used
    #[serde(default, rename = "addresses", deserialize_with = "first_address")]
    pub address: Option<Address>,
    /// whether it takes traffic
    #[serde(default, deserialize_with = "or_default")]
    pub conditions: Conditions,
    /// the node that it runs on
    #[serde(default, deserialize_with = "optional_text")]
    pub node_name: Option<Box<str>>,
    /// who should use it; absent when it names nobody
    #[serde(default, deserialize_with = "hints")]
    pub hints: Option<Box<Hints>>,
}

/// `endpoints[].conditions`, with absent ones resolved (reference §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "RawConditions")]
pub struct Conditions {
    /// takes new connections; true if absent
    pub ready: bool,
    /// passes its readiness probe, terminating or not; true if absent
    pub serving: bool,
    /// on its way out; false if absent
    pub terminating: bool,
}

impl Default for Conditions {
    fn default() -> Self {
        Conditions { ready: true, serving: true, terminating: false }
    }
}

#[derive(Deserialize)]
struct RawConditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

impl From<RawConditions> for Conditions {
    fn from(raw: RawConditions) -> Self {
        Conditions {
            ready: raw.ready.unwrap_or(true),
            serving: raw.serving.unwrap_or(true),
            terminating: raw.terminating.unwrap_or(false),
        }
    }
}

/// `endpoints[].hints`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hints {
    /// `forZones[].name`
    #[serde(default, deserialize_with = "names")]
    pub for_zones: Box<[Box<str>]>,
    /// `forNodes[].name`
    #[serde(default, deserialize_with = "names")]
    pub for_nodes: Box<[Box<str>]>,
}

fn hints<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Hints>>, D::Error> {
    let hints: Hints = or_default(deserializer)?;
    let names_somebody = !hints.for_zones.is_empty() || !hints.for_nodes.is_empty();
    Ok(names_somebody.then(|| Box::new(hints)))
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[Box<str>]>, D::Error> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default, deserialize_with = "text")]
        name: Box<str>,
    }
    let named: Vec<Named> = or_default(deserializer)?;
    Ok(named.into_iter().map(|hint| hint.name).collect())
}

fn first_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    struct First;
    impl<'de> Visitor<'de> for First {
        type Value = Option<Address>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of addresses")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let first = items.next_element()?;
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }
    deserializer.deserialize_any(First)
}
