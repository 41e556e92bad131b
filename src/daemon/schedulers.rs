//! Tells who asked for a scheduler of IPVS and gets another: an Event on the Service, beside the line in the log. What
//! the configuration asks for is the node's matter, and is in the log alone.

use kube_verdict_ipvs::Replaced;
use kube_verdict_table::objects::{Kind, ObjectKey};

use crate::events::Events;
use crate::reconcile::{Input, Synced, Witness};

/// What the Event is found by.
const REASON: &str = "SchedulerReplaced";
const ACTION: &str = "ProgramIPVS";

/// Waits for such news.
pub(super) struct Schedulers {
    pub(super) events: Events,
}

impl Witness for Schedulers {
    fn requested(&mut self, _: &Input) {}

    fn synced(&mut self, sync: &Synced<'_>) {
        let Ok(report) = sync.outcome else { return };
        for (service, message) in report.replaced.iter().filter_map(told) {
            self.events.warn(&service, REASON, ACTION, message);
        }
    }
}

/// Which Service is told what.
fn told(replaced: &Replaced) -> Option<(ObjectKey, String)> {
    let port = replaced.service.as_ref()?;
    let (namespace, name) = (port.namespace.clone(), port.name.clone());
    Some((ObjectKey { kind: Kind::Service, namespace, name }, replaced.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kube_verdict_table::ServicePortName;

    use super::*;

    #[test]
    fn a_service_is_told_and_the_configuration_is_nobodys_object() {
        let port = ServicePortName { namespace: "default".into(), name: "web".into(), port: "http".into() };
        let mut replaced = Replaced {
            service: Some(Arc::new(port)),
            wanted: "fo".into(),
            used: "rr".into(),
            why: "the kernel has no scheduler fo: modprobe ip_vs_fo".into(),
        };
        let (service, message) = told(&replaced).unwrap();
        assert_eq!((&*service.namespace, &*service.name, service.kind), ("default", "web", Kind::Service));
        assert!(message.ends_with("gets rr: the kernel has no scheduler fo: modprobe ip_vs_fo"), "{message}");
        replaced.service = None;
        assert_eq!(told(&replaced), None);
    }
}
