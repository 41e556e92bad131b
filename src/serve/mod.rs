//! What others may ask of the daemon: whether it is well (reference §13.1), where Services have endpoints
//! (§13.2), and what it measures (§14).
//!
//! ```text
//! loop ──> Monitor ──> Readings ──> servers: /healthz, /metrics, a port for each Service that needs one
//! ```
//!
//! [`Monitor`] hangs at the loop as a witness and waits for nobody. [`Readings`] is what it leaves: shared,
//! and cheap to look at. [`start`] runs the servers on a runtime that is not the loop's, so that they answer
//! while the loop waits for the kernel. Nothing here changes what is programmed.

mod complaint;
mod files;
mod health;
mod http;
mod listen;
mod metrics;
mod moment;
mod monitor;
mod node;
mod outbox;
mod outlet;
mod pages;
mod proxy_health;
mod service_answer;
mod service_health;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube_verdict_table::Family;
use kube_verdict_table::objects::{Kind, ObjectKey};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::config;
use crate::config::Effective;
use crate::repairs::Ours;
use crate::steering;
use complaint::Complain;
pub use complaint::Complaint;
pub use health::{FamilyFinding, Finding, Health};
pub use metrics::{Build, Metrics};
pub use moment::Moment;
pub use monitor::Monitor;
use node::Eligibility;
use outbox::Outbox;
use outlet::HardFail;
pub use outlet::Purpose;
pub use pages::Pages;

/// What the servers look at.
#[derive(Clone)]
pub struct Readings {
    health: Arc<Mutex<Health>>,
    is_eligible: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
    outbox: Arc<Outbox>,
}

impl Readings {
    /// How things are at this moment.
    pub fn finding(&self, now: Moment) -> Finding {
        self.health().look(now)
    }

    /// Whether the node should get new connections.
    pub fn is_eligible(&self) -> bool {
        self.is_eligible.load(Ordering::Relaxed)
    }

    /// Everything that is measured; other rooms register theirs there.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found of the policy routing, beside which the loop runs.
    pub fn routing(&self, finding: steering::Finding, now: Moment) {
        match finding {
            steering::Finding::Repaired { was_delayed } => {
                self.metrics.repairs.count_one(Ours::Routing, was_delayed);
            }
            steering::Finding::Broken => self.note(|health| health.routing_failed(now)),
            steering::Finding::Whole => self.note(Health::routing_is_whole),
        }
    }

    /// Something is new about health, and metrics show it.
    fn note(&self, what: impl FnOnce(&mut Health)) {
        let mut health = self.health();
        what(&mut health);
        for family in Family::BOTH {
            self.metrics.kernel.in_sync[family].set(f64::from(u8::from(health.is_in_sync(family))));
        }
    }

    fn set_eligible(&self, is_eligible: bool) {
        self.is_eligible.store(is_eligible, Ordering::Relaxed);
    }
}

/// The witness of a loop that starts now, and what it will leave for the servers. In a cluster (`needs_object`)
/// a node without a Node object gets no new connections.
pub fn monitor(
    effective: &Effective,
    node: &str,
    needs_object: bool,
) -> prometheus::Result<(Monitor, Readings)> {
    let now = Moment::now();
    let gates = vec![("AllowServiceExternalIPs", effective.allow_external_ips)];
    let build = Build { mode: effective.mode(), gates };
    let eligibility = Eligibility::new(node, needs_object);
    let readings = Readings {
        health: Arc::new(Mutex::new(Health::new(effective.sync_period, now))),
        is_eligible: Arc::new(AtomicBool::new(eligibility.initially())),
        metrics: Arc::new(Metrics::new(&build, now.wall)?),
        outbox: Arc::default(),
    };
    Ok((Monitor::new(readings.clone(), eligibility, now), readings))
}

/// An address that cannot be had, where that is to end the process.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot listen on {address}: {error}", purpose.field())]
pub struct Unavailable {
    /// whose it is
    pub purpose: Purpose,
    /// which
    pub address: SocketAddr,
    /// why
    pub error: io::Error,
}

/// The running servers. They end with the runtime.
pub struct Serving {
    unavailable: mpsc::Receiver<Unavailable>,
}

impl Serving {
    /// Waits for a reason to end the process: an address that cannot be had, with `bindAddressHardFail`.
    /// Without it this waits for ever. Dropping the future loses nothing.
    pub async fn failed(&mut self) -> Unavailable {
        match self.unavailable.recv().await {
            Some(unavailable) => unavailable,
            None => std::future::pending().await,
        }
    }
}

/// Starts the servers that the configuration asks for. `node` is this node's name, for messages; `complain` is
/// told what the owner of an object should know, and must not wait.
pub fn start(
    runtime: &Handle,
    config: &config::Serving,
    node: &str,
    readings: Readings,
    pages: Pages,
    complain: impl Fn(Complaint) + Send + Sync + 'static,
) -> prometheus::Result<Serving> {
    files::allow_many();
    let (sender, unavailable) = mpsc::channel(1);
    let complain: Complain = Arc::new(complain);
    let hard_fail = config.hard_fail.then(|| HardFail {
        unavailable: sender,
        node: ObjectKey { kind: Kind::Node, namespace: "".into(), name: node.into() },
        complain: Arc::clone(&complain),
    });
    if let Some(address) = config.healthz {
        let responder = Arc::new(proxy_health::ProxyHealth { readings: readings.clone() });
        runtime.spawn(outlet::run(Purpose::Health, address, responder, hard_fail.clone()));
    }
    if let Some(address) = config.metrics {
        let responder = Arc::new(pages::MetricsServer::new(readings.clone(), pages)?);
        runtime.spawn(outlet::run(Purpose::Metrics, address, responder, hard_fail));
    }
    runtime.spawn(service_health::ServiceHealth::new(readings, node.to_owned(), complain).run());
    Ok(Serving { unavailable })
}
