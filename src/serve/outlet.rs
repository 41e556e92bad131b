//! A server on an address that an operator configured (reference §10.1): while the address cannot be had it is
//! tried again every few seconds, so that one of a predecessor's is taken over when that goes; with
//! `bindAddressHardFail` the process ends instead.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kube_verdict_table::objects::ObjectKey;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::complaint::{Complain, Complaint};
use super::http::{Connections, Respond, serve};
use super::{Unavailable, listen};

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(5);
/// Connections at a time.
const CONNECTIONS: usize = 64;

/// Which server, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `/healthz` and `/livez`
    Health,
    /// `/metrics` and its neighbours
    Metrics,
}

impl Purpose {
    /// The field of the configuration that names its address.
    pub fn field(self) -> &'static str {
        match self {
            Purpose::Health => "healthzBindAddress",
            Purpose::Metrics => "metricsBindAddress",
        }
    }

    /// The reason of kube-proxy's event about it (reference §10.1).
    fn reason(self) -> &'static str {
        match self {
            Purpose::Health => "FailedToStartProxierHealthcheck",
            Purpose::Metrics => "FailedToStartMetricServer",
        }
    }
}

/// What becomes of an address that cannot be had, where that is to end the process.
#[derive(Clone)]
pub(super) struct HardFail {
    pub(super) unavailable: mpsc::Sender<Unavailable>,
    pub(super) node: ObjectKey,
    pub(super) complain: Complain,
}

impl HardFail {
    async fn end(&self, unavailable: Unavailable) {
        (self.complain)(Complaint {
            object: self.node.clone(),
            reason: unavailable.purpose.reason(),
            action: "StartKubeProxy",
            message: unavailable.to_string(),
        });
        let _ = self.unavailable.send(unavailable).await;
    }
}

/// Serves for ever. When an address cannot be had and `hard_fail` is there, it is told once and nothing more
/// is tried.
pub(super) async fn run(
    purpose: Purpose,
    address: SocketAddr,
    responder: Arc<impl Respond>,
    hard_fail: Option<HardFail>,
) {
    let connections = Connections::at_most(CONNECTIONS);
    let mut said = None;
    loop {
        let error = match listen::configured(address) {
            Ok(listener) => {
                if said.take().is_some() {
                    tracing::info!("{address} could be had now ({})", purpose.field());
                }
                serve(listener, Arc::clone(&responder), Arc::clone(&connections)).await
            }
            Err(error) => error,
        };
        let unavailable = Unavailable { purpose, address, error };
        if let Some(hard_fail) = &hard_fail {
            return hard_fail.end(unavailable).await;
        }
        let message = unavailable.to_string();
        if said.as_ref() != Some(&message) {
            tracing::error!("{message}; trying again every {} seconds", AGAIN.as_secs());
            said = Some(message);
        }
        sleep(AGAIN).await;
    }
}
