//! Whether load balancers should send new connections to this node (reference §13.1): its Node object says so.

use kube_verdict_table::objects::{Kind, Node, Object, ObjectEvent};

/// The taint of a node that the cluster autoscaler is about to remove.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// The node's part in health.
#[derive(Clone, Debug)]
pub(super) struct Eligibility {
    name: String,
    /// what holds while there is no Node object
    otherwise: bool,
}

impl Eligibility {
    /// Of the node of this name. In a cluster a node without an object is not part of it (any more); a
    /// directory of manifests need not have one.
    pub(super) fn new(name: &str, needs_object: bool) -> Self {
        Eligibility { name: name.to_owned(), otherwise: !needs_object }
    }

    /// What holds before anything was heard.
    pub(super) fn initially(&self) -> bool {
        self.otherwise
    }

    /// What an event says about it, if anything.
    pub(super) fn heard(&self, event: &ObjectEvent) -> Option<bool> {
        match event {
            ObjectEvent::Applied(Object::Node(node)) if *node.metadata.name == *self.name => {
                Some(is_eligible(node))
            }
            ObjectEvent::Deleted(key) if key.kind == Kind::Node && *key.name == *self.name => {
                Some(self.otherwise)
            }
            _ => None,
        }
    }
}

fn is_eligible(node: &Node) -> bool {
    node.metadata.deletion_timestamp.is_none()
        && node.spec.taints.iter().all(|taint| *taint.key != *TO_BE_DELETED)
}

#[cfg(test)]
mod tests {
    use kube_verdict_table::objects::ObjectKey;
    use serde_json::json;

    use super::*;

    fn applied(node: serde_json::Value) -> ObjectEvent {
        ObjectEvent::Applied(Object::deserialize_as(Kind::Node, node).unwrap())
    }

    #[test]
    fn a_node_on_its_way_out_is_not_eligible() {
        let eligibility = Eligibility::new("n1", true);
        let heard = |node| eligibility.heard(&applied(node));
        assert_eq!(heard(json!({"metadata": {"name": "n1"}})), Some(true));
        assert_eq!(heard(json!({"metadata": {"name": "n2"}})), None);
        let cordoned = json!({"metadata": {"name": "n1"}, "spec": {"unschedulable": true,
            "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}});
        assert_eq!(heard(cordoned), Some(true));
        let doomed =
            json!({"metadata": {"name": "n1"}, "spec": {"taints": [{"key": "a"}, {"key": TO_BE_DELETED}]}});
        assert_eq!(heard(doomed), Some(false));
        let deleting = json!({"metadata": {"name": "n1", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(heard(deleting), Some(false));
    }

    #[test]
    fn only_a_cluster_needs_the_object() {
        let gone =
            ObjectEvent::Deleted(ObjectKey { kind: Kind::Node, namespace: "".into(), name: "n1".into() });
        for needs_object in [true, false] {
            let eligibility = Eligibility::new("n1", needs_object);
            assert_eq!(eligibility.initially(), !needs_object);
            assert_eq!(eligibility.heard(&gone), Some(!needs_object));
        }
    }
}
