//! What a mark stands for: one virtual server, as it is wanted.

use std::sync::Arc;

use kube_verdict_table::{Backend, Protocol, ServicePortName};

/// A virtual server that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// whose connections it balances
    pub service: Arc<ServicePortName>,
    /// theirs; IPVS does not know it of a mark, but what becomes of a backend that goes depends on it
    pub protocol: Protocol,
    /// what its Service asks for, as [`crate::Scheduler`] reads it; None: what the configuration says
    pub scheduler: Option<Arc<str>>,
    /// its real servers, sorted and each once
    pub backends: Arc<[Backend]>,
}
