//! What the table wants to know of its node: configuration, Node object and interfaces put together. Pure.
//!
//! The Node object goes before the interfaces, and an operator's `bindAddress` before both (reference §1.5).

use std::net::IpAddr;

use kube_verdict_table::objects::{Kind, Node, Object, ObjectEvent};
use kube_verdict_table::{Cidr, Family, NodePortEntry, NodeState, PerFamily, Settings};

use super::interfaces::Interfaces;
use crate::config::{self, ConfigError, DetectLocal, Effective, Families, Message};

/// What a detector needs and nobody said.
#[derive(Debug, thiserror::Error)]
#[error(
    "detectLocalMode is NodeCIDR, and there is no Node {name:?} with spec.podCIDRs: add it to the manifests, or \
     choose another mode"
)]
pub struct Unknown {
    name: String,
}

/// What the Node object is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliance {
    /// a manifest like any other: it may be missing, and its addresses may change
    Optional,
    /// who we are in a cluster: without it nothing is begun, and with other addresses everything is begun anew
    /// (reference §1.4, §10.1 step 7)
    Required,
}

/// What stays as it is for the life of a table: with something else the process has to start anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// what the table was made with
    pub settings: Settings,
    /// the Node object's addresses, if we rely on it
    ips: Option<Vec<IpAddr>>,
}

/// This node, as it is known so far.
#[derive(Clone, Debug)]
pub struct ThisNode {
    name: String,
    config: Effective,
    interfaces: Interfaces,
    reliance: Reliance,
    object: Option<Node>,
}

impl ThisNode {
    /// A node before any object was seen.
    pub fn new(name: String, config: Effective, interfaces: Interfaces, reliance: Reliance) -> Self {
        ThisNode { name, config, interfaces, reliance, object: None }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The configuration that it was made with.
    pub fn config(&self) -> &Effective {
        &self.config
    }

    /// Takes note of its Node object among events that are on their way to the table. Whether that changed
    /// anything, so that [`ThisNode::state`] is to be asked again.
    pub fn observe(&mut self, events: &[ObjectEvent]) -> bool {
        let before = self.object.clone();
        for event in events {
            match event {
                ObjectEvent::Applied(Object::Node(node)) if *node.metadata.name == *self.name => {
                    self.replace(node.clone());
                }
                ObjectEvent::Deleted(key) if key.kind == Kind::Node && *key.name == *self.name => {
                    self.object = None;
                }
                _ => {}
            }
        }
        self.object != before
    }

    fn replace(&mut self, mut node: Node) {
        // A Node that lost its addresses for a while still has them, as kube-proxy sees it.
        if self.reliance == Reliance::Required
            && node.ips().is_empty()
            && let Some(before) = &self.object
        {
            node.status.addresses.clone_from(&before.status.addresses);
        }
        self.object = Some(node);
    }

    /// What is missing of a Node object that we rely on before anything can begin.
    pub fn missing(&self) -> Option<String> {
        if self.reliance == Reliance::Optional {
            return None;
        }
        let name = &self.name;
        let Some(node) = &self.object else {
            return Some(format!(
                "there is no Node {name:?}: if the node has another name, say so with --hostname-override"
            ));
        };
        if node.ips().is_empty() {
            return Some(format!(
                "Node {name:?} has neither an InternalIP nor an ExternalIP in status.addresses"
            ));
        }
        let needs_pod_cidrs = self.config.detect_local == DetectLocal::NodeCidr;
        (needs_pod_cidrs && self.pod_cidrs().is_empty())
            .then(|| format!("Node {name:?} has no spec.podCIDRs, which detectLocalMode NodeCIDR depends on"))
    }

    /// What a table is to be made with.
    pub fn fixed(&self) -> Result<Fixed, Unknown> {
        let ips = self.object.as_ref().filter(|_| self.reliance == Reliance::Required).map(Node::ips);
        Ok(Fixed { settings: self.settings()?, ips })
    }

    /// Why the process has to start anew, if it has to.
    pub fn departure(&self, from: &Fixed) -> Option<String> {
        if self.reliance == Reliance::Required && self.object.is_none() {
            return Some("it was deleted".into());
        }
        match self.fixed() {
            Ok(now) if now == *from => None,
            Ok(now) if now.ips != from.ips => Some(format!(
                "its addresses changed from {} to {}: start again",
                list(from.ips.as_deref()),
                list(now.ips.as_deref())
            )),
            Ok(_) => {
                Some("spec.podCIDRs changed, which detectLocalMode NodeCIDR depends on: start again".into())
            }
            Err(unknown) => Some(unknown.to_string()),
        }
    }

    /// What to tell an operator who defines Nodes and none of this node's name: then nothing is local here, and
    /// it is probably a slip.
    pub fn other_nodes(&self, events: &[ObjectEvent]) -> Option<String> {
        let name = |event: &ObjectEvent| match event {
            ObjectEvent::Applied(Object::Node(node)) => Some(node.metadata.name.to_string()),
            _ => None,
        };
        let names: Vec<String> = events.iter().filter_map(name).collect();
        (self.object.is_none() && !names.is_empty()).then(|| {
            format!(
                "none of the Nodes in the manifests ({}) is this one, {:?}: its addresses are taken from its \
                 interfaces; --hostname-override gives it another name",
                names.join(", "),
                self.name
            )
        })
    }

    /// The interfaces are now like this.
    pub fn set_interfaces(&mut self, interfaces: Interfaces) {
        self.interfaces = interfaces;
    }

    /// What the table is made with.
    pub fn settings(&self) -> Result<Settings, Unknown> {
        let pod_cidrs = self.pod_cidrs();
        if self.config.detect_local == DetectLocal::NodeCidr && pod_cidrs.is_empty() {
            return Err(Unknown { name: self.name.clone() });
        }
        Ok(self.config.settings(&self.name, &pod_cidrs))
    }

    /// What may change while a table lives.
    pub fn state(&self) -> NodeState {
        let node_ips = self.node_ips();
        let local_addresses = self.interfaces.addresses();
        let entries = &self.config.node_port_addresses;
        NodeState {
            node_port_addresses: PerFamily::from_fn(|family| {
                NodePortEntry::resolve(entries, family, node_ips[family], &local_addresses)
            }),
            node_ips,
            local_addresses,
            zone: self.object.as_ref().and_then(|node| node.metadata.labels.zone.as_deref()).map(Into::into),
        }
    }

    /// What is to be said of the configuration on a host with IPv4 only, or with both families. Needs the Node
    /// object, if there is one.
    pub fn suspicious(&self, is_dual: bool) -> Result<Vec<Message>, ConfigError> {
        let families = Families { primary: self.primary_family(), is_dual };
        config::suspicious(&self.config, families, &self.pod_cidrs())
    }

    /// The family of `bindAddress`, else of the Node object's first IP, else the one that the interfaces have an
    /// address of, and IPv4 if in doubt (reference §1.5).
    fn primary_family(&self) -> Family {
        let first = self.object.as_ref().and_then(|node| node.ips().first().copied());
        match self.config.bind_address.or(first) {
            Some(ip) => Family::of(ip),
            None if self.interfaces.primary(Family::V4).is_none() => {
                self.interfaces.primary(Family::V6).map_or(Family::V4, Family::of)
            }
            None => Family::V4,
        }
    }

    /// The node's IP of each family. A Node object that names any speaks for both families.
    fn node_ips(&self) -> PerFamily<Option<IpAddr>> {
        let named = self.object.as_ref().map(Node::ips).filter(|ips| !ips.is_empty());
        let mut ips = PerFamily::from_fn(|family| match &named {
            Some(ips) => ips.iter().copied().find(|ip| Family::of(*ip) == family),
            None => self.interfaces.primary(family),
        });
        if let Some(ip) = self.config.bind_address {
            ips[Family::of(ip)] = Some(ip);
        }
        ips
    }

    /// `spec.podCIDRs`, or `spec.podCIDR` alone as in a hand-written Node.
    fn pod_cidrs(&self) -> Vec<Cidr> {
        let Some(spec) = self.object.as_ref().map(|node| &node.spec) else { return Vec::new() };
        let all: Vec<Cidr> = spec.pod_cidrs.iter().filter_map(|cidr| cidr.get()).collect();
        if all.is_empty() { spec.pod_cidr.iter().filter_map(|cidr| cidr.get()).collect() } else { all }
    }
}

fn list(ips: Option<&[IpAddr]>) -> String {
    let ips: Vec<String> = ips.unwrap_or_default().iter().map(IpAddr::to_string).collect();
    if ips.is_empty() { "none".into() } else { ips.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kube_verdict_table::NodePortAddresses;

    use super::*;
    use crate::document::{self, Documents};
    use crate::node::interfaces::InterfaceAddress;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn interfaces() -> Interfaces {
        let addresses = [("127.0.0.1", 1), ("::1", 1), ("192.168.0.5", 2), ("fd00::5", 2), ("10.9.0.1", 3)];
        let address =
            |(text, index)| InterfaceAddress { ip: ip(text), index, is_global: true, is_secondary: false };
        Interfaces::new(addresses.into_iter().map(address).collect(), PerFamily::default())
    }

    fn this(body: &str) -> ThisNode {
        let text = format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n{body}"
        );
        let config = config::from_text("c".as_ref(), text.as_bytes()).unwrap().effective;
        ThisNode::new("n1".into(), config, interfaces(), Reliance::Optional)
    }

    fn in_cluster(body: &str) -> ThisNode {
        ThisNode { reliance: Reliance::Required, ..this(body) }
    }

    #[test]
    fn nodes_of_other_names_are_worth_a_word() {
        let mut this = this("");
        assert_eq!(this.other_nodes(&[]), None);
        let others = [node("n2", ""), node("n3", "")];
        this.observe(&others);
        let message = this.other_nodes(&others).unwrap();
        assert!(message.contains("(n2, n3) is this one, \"n1\""), "{message}");
        let own = [node("n1", "")];
        this.observe(&own);
        assert_eq!(this.other_nodes(&own), None);
    }

    fn node(name: &str, body: &str) -> ObjectEvent {
        let text = format!(
            "apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: \
            {{topology.kubernetes.io/zone: a}}}}\n{body}"
        );
        let document = Documents::new(&text).next().unwrap().unwrap();
        let decoded = document::decode(&document.root, &|_| true, |d| Object::deserialize_as(Kind::Node, d));
        ObjectEvent::Applied(decoded.unwrap().value)
    }

    fn only(ips: &[&str]) -> NodePortAddresses {
        NodePortAddresses::Only(ips.iter().map(|text| ip(text)).collect::<BTreeSet<_>>())
    }

    #[test]
    fn without_a_node_object_the_interfaces_speak() {
        let state = this("").state();
        assert_eq!(state.node_ips, PerFamily { v4: Some(ip("192.168.0.5")), v6: Some(ip("fd00::5")) });
        assert_eq!(state.local_addresses.len(), 5);
        assert_eq!(state.node_port_addresses.v4, only(&["192.168.0.5"]));
        assert_eq!(state.node_port_addresses.v6, only(&["fd00::5"]));
        assert_eq!(state.zone, None);
    }

    #[test]
    fn a_node_object_speaks_for_both_families() {
        let mut this = this("");
        assert!(!this.observe(&[node("other", "")]));
        assert!(
            this.observe(&[node("n1", "status: {addresses: [{type: InternalIP, address: 10.9.0.1}]}\n")])
        );
        let state = this.state();
        assert_eq!(state.node_ips, PerFamily { v4: Some(ip("10.9.0.1")), v6: None });
        assert_eq!(state.node_port_addresses.v4, only(&["10.9.0.1"]));
        assert_eq!(state.node_port_addresses.v6, NodePortAddresses::AnyLocal);
        assert_eq!(state.zone.as_deref(), Some("a"));
    }

    #[test]
    fn one_without_addresses_leaves_them_to_the_interfaces_and_a_deleted_one_everything() {
        let mut this = this("");
        this.observe(&[node("n1", "")]);
        assert_eq!(this.state().node_ips.v4, Some(ip("192.168.0.5")));
        assert_eq!(this.state().zone.as_deref(), Some("a"));
        let ObjectEvent::Applied(object) = node("n1", "") else { panic!() };
        assert!(this.observe(&[ObjectEvent::Deleted(object.key())]));
        assert_eq!(this.state().zone, None);
    }

    #[test]
    fn bind_address_goes_before_both() {
        let mut this = this("bindAddress: 10.9.0.1\n");
        this.observe(&[node("n1", "status: {addresses: [{type: InternalIP, address: 192.168.0.5}]}\n")]);
        assert_eq!(this.state().node_ips.v4, Some(ip("10.9.0.1")));
    }

    #[test]
    fn node_ports_follow_the_interfaces() {
        let mut this = this("nodePortAddresses: [10.0.0.0/8, \"::/0\"]\n");
        assert_eq!(this.state().node_port_addresses.v4, only(&["10.9.0.1"]));
        assert_eq!(this.state().node_port_addresses.v6, NodePortAddresses::AnyLocal);
        this.set_interfaces(Interfaces::default());
        assert_eq!(this.state().node_port_addresses.v4, only(&[]));
    }

    #[test]
    fn a_configuration_for_another_family_is_noticed() {
        let mut six = this("clusterCIDR: 10.0.0.0/8\nnodePortAddresses: [10.0.0.0/8]\n");
        assert!(six.suspicious(true).unwrap().is_empty());
        six.observe(&[node("n1", "status: {addresses: [{type: InternalIP, address: \"fd00::5\"}]}\n")]);
        assert_eq!(six.suspicious(true).unwrap().len(), 2, "nodePortAddresses and clusterCIDR");
        assert!(six.suspicious(false).is_err());
        assert!(this("bindAddress: \"fd00::5\"\nclusterCIDR: 10.0.0.0/8\n").suspicious(false).is_err());
    }

    #[test]
    fn node_cidr_needs_the_node() {
        let mut this = this("detectLocalMode: NodeCIDR\n");
        assert!(this.settings().unwrap_err().to_string().contains("no Node \"n1\" with spec.podCIDRs"));
        this.observe(&[node("n1", "spec: {podCIDR: 10.1.0.0/24}\n")]);
        let detector = this.settings().unwrap().detector.v4;
        assert_eq!(
            detector,
            Some(kube_verdict_table::LocalDetector::Source(vec!["10.1.0.0/24".parse().unwrap()]))
        );
    }

    const ADDRESSES: &str = "status: {addresses: [{type: InternalIP, address: 10.9.0.1}]}\n";

    #[test]
    fn a_cluster_has_to_know_the_node() {
        let mut this = in_cluster("");
        assert!(this.missing().unwrap().contains("no Node \"n1\""));
        this.observe(&[node("n1", "")]);
        assert!(this.missing().unwrap().contains("neither an InternalIP"));
        this.observe(&[node("n1", ADDRESSES)]);
        assert_eq!(this.missing(), None);
        let mut this = in_cluster("detectLocalMode: NodeCIDR\n");
        this.observe(&[node("n1", ADDRESSES)]);
        assert!(this.missing().unwrap().contains("no spec.podCIDRs"));
        this.observe(&[node("n1", &format!("spec: {{podCIDRs: [10.1.0.0/24]}}\n{ADDRESSES}"))]);
        assert_eq!(this.missing(), None);
    }

    #[test]
    fn in_a_cluster_another_node_is_a_new_beginning() {
        let mut this = in_cluster("");
        this.observe(&[node("n1", ADDRESSES)]);
        let fixed = this.fixed().unwrap();
        let mut departure = |event: ObjectEvent| {
            this.observe(&[event]);
            this.departure(&fixed)
        };
        assert_eq!(departure(node("n1", &format!("spec: {{taints: [{{key: x}}]}}\n{ADDRESSES}"))), None);
        assert_eq!(departure(node("n1", "")), None, "addresses that are missing for a while");
        let other = "status: {addresses: [{type: InternalIP, address: 10.9.0.2}]}\n";
        assert!(departure(node("n1", other)).unwrap().contains("from 10.9.0.1 to 10.9.0.2"));
        assert_eq!(departure(node("n1", ADDRESSES)), None);
        let ObjectEvent::Applied(object) = node("n1", "") else { panic!() };
        assert_eq!(departure(ObjectEvent::Deleted(object.key())).as_deref(), Some("it was deleted"));
    }

    #[test]
    fn without_a_cluster_the_node_may_change_and_go() {
        let mut this = this("");
        this.observe(&[node("n1", ADDRESSES)]);
        let fixed = this.fixed().unwrap();
        this.observe(&[node("n1", "")]);
        assert_eq!(this.departure(&fixed), None);
        let ObjectEvent::Applied(object) = node("n1", "") else { panic!() };
        this.observe(&[ObjectEvent::Deleted(object.key())]);
        assert_eq!((this.departure(&fixed), this.missing()), (None, None));
    }
}
