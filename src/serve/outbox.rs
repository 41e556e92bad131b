//! What the loop hands to the servers of Services' health checks: changes, united until somebody takes them.
//! The loop never waits, and what is handed over is what changed, not how much there is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube_verdict_table::{HealthCheck, HealthCheckChange, NodePortAddresses, PerFamily};
use tokio::sync::Notify;

/// A Service's namespace and name.
pub(super) type Name = (Box<str>, Box<str>);

/// What is new.
#[derive(Debug, Default)]
pub(super) struct News {
    /// the last word on each Service that was touched
    pub(super) checks: BTreeMap<Name, Option<HealthCheck>>,
    /// where NodePorts are served, if that changed
    pub(super) addresses: Option<PerFamily<NodePortAddresses>>,
}

impl News {
    fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.addresses.is_none()
    }
}

/// Between the loop and the servers.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    news: Mutex<News>,
    filled: Notify,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what changed.
    pub(super) fn put(
        &self,
        changes: impl IntoIterator<Item = HealthCheckChange>,
        addresses: Option<PerFamily<NodePortAddresses>>,
    ) {
        let mut news = self.lock();
        let changes = changes.into_iter();
        news.checks.extend(changes.map(|change| ((change.namespace, change.name), change.check)));
        news.addresses = addresses.or(news.addresses.take());
        drop(news);
        self.filled.notify_one();
    }

    /// Waits until there is something, and takes it. Dropping the future loses nothing.
    pub(super) async fn take(&self) -> News {
        loop {
            let news = std::mem::take(&mut *self.lock());
            if !news.is_empty() {
                return news;
            }
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, port: Option<u16>) -> HealthCheckChange {
        let check = port.map(|port| HealthCheck {
            namespace: "default".into(),
            name: name.into(),
            port,
            local_endpoints: PerFamily::default(),
        });
        HealthCheckChange { namespace: "default".into(), name: name.into(), check }
    }

    #[tokio::test]
    async fn the_last_word_counts() {
        let outbox = Outbox::default();
        outbox.put([change("a", Some(1)), change("b", Some(2))], None);
        outbox.put([change("a", None)], Some(PerFamily::default()));
        outbox.put([change("c", Some(3))], None);
        let news = outbox.take().await;
        let ports: Vec<Option<u16>> =
            news.checks.values().map(|check| check.as_ref().map(|check| check.port)).collect();
        assert_eq!(ports, [None, Some(2), Some(3)]);
        assert!(news.addresses.is_some());
        outbox.put([change("a", Some(9))], None);
        assert_eq!(outbox.take().await.checks.len(), 1);
    }
}
