//! networking.k8s.io/v1 ServiceCIDR: the prefixes that ClusterIPs are taken from.

use serde::Deserialize;

use super::decode::is_service_cidr;
use super::leaf::{Leaf, or_default};
use super::metadata::Metadata;
use crate::net::Cidr;

/// A ServiceCIDR.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ServiceCidr {
    /// `kind`: nothing is kept of it; an object that says to be of another kind is refused
    #[serde(default, deserialize_with = "is_service_cidr")]
    pub kind: (),
    /// name
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// prefixes
    #[serde(default, deserialize_with = "or_default")]
    pub spec: ServiceCidrSpec,
}

/// `spec`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ServiceCidrSpec {
    /// `cidrs`
    #[serde(default, deserialize_with = "or_default")]
    pub cidrs: Vec<Leaf<Cidr>>,
}
