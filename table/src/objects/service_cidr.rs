//! networking.k8s.io/v1 ServiceCIDR: the prefixes that ClusterIPs are taken from.

use serde::Deserialize;

use super::leaf::{Leaf, or_default};
use super::metadata::Metadata;
use crate::net::Cidr;

/// A ServiceCIDR.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ServiceCidr {
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
