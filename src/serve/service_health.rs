//! The servers of `healthCheckNodePort` (reference §13.2): each Service that needs one has its own listeners, of
//! each of its families on the addresses where NodePorts are served, and they follow both.
//!
//! A port that cannot be had is complained of once and tried again; other Services do not wait for it. All
//! listeners together have one limit of open connections, so thousands of Services are thousands of sockets and
//! sleeping tasks, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kube_verdict_table::objects::{Kind, ObjectKey};
use kube_verdict_table::{Family, HealthCheck, NodePortAddresses, PerFamily};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::complaint::{Complain, Complaint};
use super::http::{Connections, serve};
use super::outbox::{Name, News};
use super::service_answer::ServiceAnswer;
use super::{Readings, listen};

/// Connections at a time, all Services together.
const CONNECTIONS: usize = 512;
/// Between two tries to have a port.
const AGAIN: Duration = Duration::from_secs(5);

/// All of them.
pub(super) struct ServiceHealth {
    readings: Readings,
    complain: Complain,
    node: String,
    connections: Arc<Connections>,
    addresses: PerFamily<NodePortAddresses>,
    services: BTreeMap<Name, Served>,
    /// those that lack a listener
    lacking: BTreeSet<Name>,
}

/// A Service whose health check is served.
struct Served {
    check: HealthCheck,
    answers: PerFamily<Arc<ServiceAnswer>>,
    listeners: BTreeMap<SocketAddr, JoinHandle<()>>,
    /// what was last complained of
    said: Option<String>,
}

impl ServiceHealth {
    /// Nothing is served yet.
    pub(super) fn new(readings: Readings, node: String, complain: Complain) -> Self {
        ServiceHealth {
            readings,
            complain,
            node,
            connections: Connections::at_most(CONNECTIONS),
            addresses: PerFamily::from_fn(|_| NodePortAddresses::Only(BTreeSet::new())),
            services: BTreeMap::new(),
            lacking: BTreeSet::new(),
        }
    }

    /// Follows the loop for ever.
    pub(super) async fn run(mut self) {
        let mut again_at = Instant::now();
        loop {
            let mut touched = tokio::select! {
                news = self.readings.outbox.take() => self.take_in(news),
                () = sleep_until(again_at), if !self.lacking.is_empty() => BTreeSet::new(),
            };
            touched.append(&mut self.lacking);
            self.listen(touched).await;
            again_at = Instant::now() + AGAIN;
            let listeners = self.services.values().map(|served| served.listeners.len()).sum::<usize>();
            self.readings.metrics.answers.health_checks.set(self.services.len() as f64);
            self.readings.metrics.answers.listeners.set(listeners as f64);
        }
    }

    /// Notes what is to be served; which Services that touches.
    fn take_in(&mut self, news: News) -> BTreeSet<Name> {
        let mut touched: BTreeSet<Name> = news.checks.keys().cloned().collect();
        if let Some(addresses) = news.addresses {
            self.addresses = addresses;
            touched.extend(self.services.keys().cloned());
        }
        for (name, check) in news.checks {
            match (check, self.services.get_mut(&name)) {
                (Some(check), Some(served)) => served.update(check),
                (Some(check), None) => {
                    self.services.insert(name, Served::new(check, &self.readings));
                }
                (None, Some(served)) => served.check.local_endpoints = PerFamily::default(),
                (None, None) => {}
            }
        }
        touched
    }

    /// Makes the listeners of some Services what they should be. All that is to be closed is closed before
    /// anything is opened, so that a port can go from one Service to another.
    async fn listen(&mut self, names: BTreeSet<Name>) {
        let mut closing = Vec::new();
        for name in &names {
            let Some(served) = self.services.get_mut(name) else { continue };
            let wanted = wanted(&served.check, &self.addresses);
            let gone = served.listeners.extract_if(.., |address, _| !wanted.contains_key(address));
            closing.extend(gone.map(|(_, listener)| listener));
        }
        closing.iter().for_each(JoinHandle::abort);
        for listener in closing {
            // A socket is closed when its task is gone.
            let _ = listener.await;
        }
        for name in names {
            let Some(served) = self.services.get_mut(&name) else { continue };
            if served.check.local_endpoints == PerFamily::default() {
                self.services.remove(&name);
                continue;
            }
            let wanted = wanted(&served.check, &self.addresses);
            match served.open(wanted, &self.connections) {
                Ok(()) => served.said = None,
                Err(what) => {
                    self.readings.metrics.answers.listen_failures.inc();
                    report(served, what, &self.node, &self.complain);
                    self.lacking.insert(name);
                }
            }
        }
    }
}

impl Served {
    fn new(check: HealthCheck, readings: &Readings) -> Self {
        let answers = PerFamily::from_fn(|_| {
            Arc::new(ServiceAnswer::new(check.namespace.clone(), check.name.clone(), readings.clone()))
        });
        let mut served = Served { check: check.clone(), answers, listeners: BTreeMap::new(), said: None };
        served.update(check);
        served
    }

    fn update(&mut self, check: HealthCheck) {
        for family in Family::BOTH {
            self.answers[family].set_endpoints(check.local_endpoints[family].unwrap_or(0));
        }
        self.check = check;
    }

    /// Opens what is not open yet. What could be opened is, even if something could not.
    fn open(
        &mut self,
        wanted: BTreeMap<SocketAddr, Family>,
        connections: &Arc<Connections>,
    ) -> Result<(), String> {
        let mut failures = Vec::new();
        for (address, family) in wanted {
            if self.listeners.get(&address).is_some_and(|listener| !listener.is_finished()) {
                continue;
            }
            match listen::one_family(address) {
                Ok(listener) => {
                    let (answer, connections) = (Arc::clone(&self.answers[family]), Arc::clone(connections));
                    let listener = async move {
                        let error = serve(listener, answer, connections).await;
                        tracing::error!(
                            "{address}: a health check's socket failed ({error}); it is opened again"
                        );
                    };
                    self.listeners.insert(address, tokio::spawn(listener));
                }
                Err(error) => failures.push(format!("{address}: {error}")),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures.join(", ")) }
    }
}

/// Where a check is to be served.
fn wanted(check: &HealthCheck, addresses: &PerFamily<NodePortAddresses>) -> BTreeMap<SocketAddr, Family> {
    let mut wanted = BTreeMap::new();
    for family in Family::BOTH {
        if check.local_endpoints[family].is_none() {
            continue;
        }
        let mut want = |ip| wanted.insert(SocketAddr::new(ip, check.port), family);
        match &addresses[family] {
            NodePortAddresses::AnyLocal => {
                want(match family {
                    Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                    Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                });
            }
            NodePortAddresses::Only(ips) => {
                for ip in ips.iter().filter(|ip| Family::of(**ip) == family && !needs_scope(**ip)) {
                    want(*ip);
                }
            }
        }
    }
    wanted
}

/// A link-local address is one on each link, and load balancers have no way to say which.
fn needs_scope(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Says once what went wrong: in the log, and to whoever owns the Service.
fn report(served: &mut Served, what: String, node: &str, complain: &Complain) {
    if served.said.as_ref() == Some(&what) {
        return;
    }
    let HealthCheck { namespace, name, port, .. } = &served.check;
    let message =
        format!("node {node} failed to start healthcheck \"{namespace}/{name}\" on port {port}: {what}");
    tracing::error!(
        "Service {namespace}/{name}: its health check cannot be served, trying again every {} seconds: {what}",
        AGAIN.as_secs()
    );
    let object = ObjectKey { kind: Kind::Service, namespace: namespace.clone(), name: name.clone() };
    complain(Complaint { object, reason: "FailedToStartServiceHealthcheck", action: "Listen", message });
    served.said = Some(what);
}

#[cfg(test)]
#[path = "service_health_tests.rs"]
mod tests;
