//! What a configuration says for an IP family that the host does not have, or leaves unsaid for one that it has
//! (reference §15.3). Nobody but the host knows its families, so this is asked once it was looked at. Pure.

use std::net::SocketAddr;

use kube_verdict_table::{Cidr, Family, NodePortEntry};

use super::detect::{self, DetectLocal};
use super::effective::Effective;
use super::error::ConfigError;
use super::file::File;
use super::load::Message;

/// The IP families of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// that of the node's first address
    pub primary: Family,
    /// whether the kernel has the other one, too
    pub is_dual: bool,
}

/// The prefixes of a file that nothing but this comparison has a use for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefixes {
    cluster: Vec<Cidr>,
    excluded: Vec<Cidr>,
}

impl Prefixes {
    pub(super) fn of(file: &File) -> Self {
        let excluded = file.ipvs.iter().flat_map(|section| section.exclude_cidrs.iter().flatten());
        Prefixes {
            cluster: detect::prefixes(file.cluster_cidr.as_deref().unwrap_or_default()).unwrap_or_default(),
            excluded: excluded.filter_map(|text| text.parse().ok()).collect(),
        }
    }
}

/// What is to be said about a configuration on a host with these families. `pod_cidrs` are its Node object's.
///
/// # Errors
/// When pods could not be told at all (always fatal in kube-proxy, too): clusterCIDR or the Node's podCIDRs, if
/// that is what pods are told by, have nothing of the host's only family, or of its primary one.
pub fn suspicious(
    effective: &Effective,
    families: Families,
    pod_cidrs: &[Cidr],
) -> Result<Vec<Message>, ConfigError> {
    let Families { primary, is_dual } = families;
    let other = other(primary);
    let host = if is_dual { format!("{primary} first") } else { format!("{primary} only") };
    let prefixes = &effective.prefixes;
    let mut warnings = node_ports(effective, primary, pod_cidrs);
    if are_all(&prefixes.cluster, other) {
        let message = format!("clusterCIDR has {other} prefixes only, and this host is {host}");
        if !is_dual && matches!(effective.detect_local, DetectLocal::ClusterCidr(_)) {
            return Err(ConfigError::Families { message });
        }
        warnings.push(message);
    }
    if are_all(pod_cidrs, other) {
        let message = format!("spec.podCIDRs of the Node has {other} prefixes only, and this host is {host}");
        if effective.detect_local == DetectLocal::NodeCidr {
            return Err(ConfigError::Families { message });
        }
        warnings.push(message);
    }
    if !is_dual {
        if are_all(&prefixes.excluded, other) {
            warnings.push(format!("ipvs.excludeCIDRs has {other} prefixes only, and this host is {host}"));
        }
        let addresses = [("healthz", effective.serving.healthz), ("metrics", effective.serving.metrics)];
        for (name, address) in addresses {
            if address.is_some_and(|address| is_foreign(address, other)) {
                warnings.push(format!("{name}BindAddress is {other}, and this host is {host}"));
            }
        }
    }
    Ok(warnings.into_iter().map(Message::Warning).collect())
}

/// A list of prefixes that says nothing of a family leaves that one wide open.
fn node_ports(effective: &Effective, primary: Family, pod_cidrs: &[Cidr]) -> Vec<String> {
    let entries = &effective.node_port_addresses;
    let prefix = |entry: &NodePortEntry| match entry {
        NodePortEntry::Prefix(prefix) => Some(*prefix),
        _ => None,
    };
    let Some(list) = entries.iter().map(prefix).collect::<Option<Vec<Cidr>>>() else {
        let everywhere = "nodePortAddresses is not set: NodePorts are served on every address of this host; \
                          \"primary\" would serve them on the node's own IPs";
        return entries.contains(&NodePortEntry::All).then(|| everywhere.to_owned()).into_iter().collect();
    };
    let Prefixes { cluster, excluded } = &effective.prefixes;
    let is_dual = [&cluster[..], excluded, &list, pod_cidrs].into_iter().any(is_dual_stack);
    let open = |family: Family| {
        format!("nodePortAddresses has no {family} prefix: {family} NodePorts are served on every address")
    };
    let missing = if are_all(&list, other(primary)) {
        Some(primary)
    } else {
        Some(other(primary)).filter(|_| is_dual && are_all(&list, primary))
    };
    missing.map(open).into_iter().collect()
}

fn other(family: Family) -> Family {
    if family == Family::V4 { Family::V6 } else { Family::V4 }
}

fn are_all(prefixes: &[Cidr], family: Family) -> bool {
    !prefixes.is_empty() && prefixes.iter().all(|prefix| prefix.family() == family)
}

fn is_dual_stack(prefixes: &[Cidr]) -> bool {
    Family::BOTH.into_iter().all(|family| prefixes.iter().any(|prefix| prefix.family() == family))
}

fn is_foreign(address: SocketAddr, family: Family) -> bool {
    Family::of(address.ip()) == family && !address.ip().is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    const V4_ONLY: Families = Families { primary: Family::V4, is_dual: false };
    const V4_FIRST: Families = Families { primary: Family::V4, is_dual: true };

    fn asked(body: &str, families: Families, pod_cidrs: &[&str]) -> Result<Vec<String>, String> {
        let header =
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n";
        let loaded = from_text("c".as_ref(), format!("{header}{body}").as_bytes()).unwrap();
        let pod_cidrs: Vec<Cidr> = pod_cidrs.iter().map(|text| text.parse().unwrap()).collect();
        let text = |message: Message| match message {
            Message::Warning(text) | Message::Info(text) => text,
        };
        let messages = suspicious(&loaded.effective, families, &pod_cidrs);
        messages.map(|list| list.into_iter().map(text).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_said_of_what_fits() {
        for (body, families) in [
            ("", V4_ONLY),
            ("clusterCIDR: 10.0.0.0/8\n", V4_FIRST),
            ("clusterCIDR: fd00::/48,10.0.0.0/8\n", V4_ONLY),
            ("nodePortAddresses: [10.0.0.0/8]\n", V4_FIRST),
            ("nodePortAddresses: [10.0.0.0/8, \"::/0\"]\n", V4_FIRST),
            ("metricsBindAddress: \"[::]:10249\"\n", V4_ONLY),
            ("metricsBindAddress: \"[fd00::1]:10249\"\n", V4_FIRST),
        ] {
            assert_eq!(asked(body, families, &["10.0.1.0/24"]), Ok(vec![]), "{body}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (body, families, pod_cidrs, expected) in [
            (
                "nodePortAddresses: [\"fd00::/8\"]\n",
                V4_FIRST,
                &[][..],
                "nodePortAddresses has no IPv4 prefix",
            ),
            (
                "nodePortAddresses: [10.0.0.0/8]\nclusterCIDR: 10.0.0.0/8,fd00::/48\n",
                V4_FIRST,
                &[],
                "nodePortAddresses has no IPv6 prefix",
            ),
            ("mode: iptables\n", V4_ONLY, &[], "nodePortAddresses is not set"),
            ("mode: ipvs\n", V4_ONLY, &[], "nodePortAddresses is not set"),
            ("clusterCIDR: fd00::/48\n", V4_FIRST, &[], "clusterCIDR has IPv6 prefixes only"),
            ("", V4_FIRST, &["fd00::/64"], "spec.podCIDRs of the Node has IPv6 prefixes only"),
            ("healthzBindAddress: \"[fd00::1]:10256\"\n", V4_ONLY, &[], "healthzBindAddress is IPv6"),
            ("ipvs: {excludeCIDRs: [\"fd00::/8\"]}\n", V4_ONLY, &[], "ipvs.excludeCIDRs"),
        ] {
            let found = asked(body, families, pod_cidrs).unwrap();
            assert!(found.len() == 1 && found[0].contains(expected), "{body}: {found:?}");
        }
    }

    #[test]
    fn pods_that_cannot_be_told_are_fatal() {
        let text = asked("clusterCIDR: fd00::/48\n", V4_ONLY, &[]).unwrap_err();
        assert!(text.contains("clusterCIDR has IPv6 prefixes only, and this host is IPv4 only"), "{text}");
        for families in [V4_ONLY, V4_FIRST] {
            let text = asked("detectLocalMode: NodeCIDR\n", families, &["fd00::/64"]).unwrap_err();
            assert!(text.contains("spec.podCIDRs"), "{text}");
        }
    }
}
