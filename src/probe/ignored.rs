//! In a cluster the kubelet asks endpoints, and its answer stands in EndpointSlices: health checks of ours would be a
//! second opinion, of every node. They are ignored there, and that is said once for each Service.

use std::collections::HashSet;

use kube_verdict_table::objects::{Object, ObjectEvent, ObjectKey, PROBE_ANNOTATION};

use crate::source::{Batch, Source};

/// A source as it is.
pub struct Unprobed<S> {
    inner: S,
    told: HashSet<ObjectKey>,
}

impl<S> Unprobed<S> {
    /// Listens for Services that ask for health checks.
    pub fn new(inner: S) -> Self {
        Unprobed { inner, told: HashSet::new() }
    }

    fn notice(&mut self, batch: Batch) -> Batch {
        for event in &batch.events {
            match event {
                ObjectEvent::Applied(object @ Object::Service(service)) => {
                    let ours = service.metadata.annotations.ours.as_ref();
                    let asks = ours.is_some_and(|ours| !ours.health_check.is_empty());
                    if asks && self.told.insert(object.key()) {
                        tracing::warn!(
                            "{}: metadata.annotations[{PROBE_ANNOTATION}]: is ignored in a cluster: give its pods a \
                             readinessProbe",
                            object.key()
                        );
                    }
                }
                ObjectEvent::Deleted(key) => drop(self.told.remove(key)),
                ObjectEvent::Applied(_) => {}
            }
        }
        batch
    }
}

impl<S: Source> Source for Unprobed<S> {
    async fn next(&mut self) -> Option<Batch> {
        let batch = self.inner.next().await?;
        Some(self.notice(batch))
    }

    fn try_next(&mut self) -> Option<Batch> {
        let batch = self.inner.try_next()?;
        Some(self.notice(batch))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn objects_pass_as_they_are_and_each_service_is_told_once() {
        let (sender, receiver) = mpsc::channel(3);
        let annotations = json!({"kube-verdict.io/health-check": "tcp"});
        let value = json!({"metadata": {"namespace": "default", "name": "web", "annotations": annotations}});
        let service = Object::Service(serde_json::from_value(value).unwrap());
        let batch = Batch { events: vec![ObjectEvent::Applied(service.clone())], ..Batch::default() };
        let gone = Batch { events: vec![ObjectEvent::Deleted(service.key())], ..Batch::default() };
        for batch in [&batch, &batch, &gone] {
            sender.send(batch.clone()).await.unwrap();
        }
        let mut source = Unprobed::new(receiver);
        assert_eq!(source.next().await, Some(batch.clone()));
        assert_eq!(source.told.len(), 1);
        assert_eq!((source.try_next(), source.told.len()), (Some(batch), 1));
        assert_eq!((source.next().await, source.told.len()), (Some(gone), 0));
    }
}
