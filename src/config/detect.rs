//! `detectLocalMode`: how packets of this node's pods are told (reference §4.2).

use kube_verdict_table::{Cidr, Family, LocalDetector, PerFamily};

use super::file::File;

/// The detector that was configured, before the node is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetectLocal {
    /// source in `clusterCIDR`; at most one prefix of each family
    ClusterCidr(Vec<Cidr>),
    /// source in the Node object's `spec.podCIDRs`
    NodeCidr,
    /// arrived on this interface
    BridgeInterface(String),
    /// arrived on an interface whose name starts so
    InterfaceNamePrefix(String),
}

/// The names of the modes.
pub(super) const MODES: [&str; 4] = ["ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"];

/// The prefixes of a comma-separated list such as `clusterCIDR`.
pub(super) fn prefixes(list: &str) -> Result<Vec<Cidr>, String> {
    list.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::parse).collect()
}

impl DetectLocal {
    /// What a validated file says.
    pub(super) fn of(file: &File) -> Self {
        let names = file.detect_local.clone().unwrap_or_default();
        match file.detect_local_mode.as_deref().unwrap_or_default() {
            "NodeCIDR" => DetectLocal::NodeCidr,
            "BridgeInterface" => DetectLocal::BridgeInterface(names.bridge_interface.unwrap_or_default()),
            "InterfaceNamePrefix" => {
                DetectLocal::InterfaceNamePrefix(names.interface_name_prefix.unwrap_or_default())
            }
            _ => DetectLocal::ClusterCidr(
                prefixes(file.cluster_cidr.as_deref().unwrap_or_default()).unwrap_or_default(),
            ),
        }
    }

    /// The detector of each family, given the node's pod prefixes. None where the mode has nothing to tell
    /// that family's pods by.
    pub fn detectors(&self, pod_cidrs: &[Cidr]) -> PerFamily<Option<LocalDetector>> {
        PerFamily::from_fn(|family| match self {
            DetectLocal::ClusterCidr(prefixes) => first_of(prefixes, family),
            DetectLocal::NodeCidr => first_of(pod_cidrs, family),
            DetectLocal::BridgeInterface(name) => Some(LocalDetector::Interface(name.clone())),
            DetectLocal::InterfaceNamePrefix(prefix) => Some(LocalDetector::InterfacePrefix(prefix.clone())),
        })
    }
}

/// The first prefix of a family, which is the one that counts.
fn first_of(prefixes: &[Cidr], family: Family) -> Option<LocalDetector> {
    let prefix = prefixes.iter().find(|prefix| prefix.family() == family)?;
    Some(LocalDetector::Source(vec![*prefix]))
}
