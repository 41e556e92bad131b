//! What should become an event on an object, so that its owner sees it (reference §13.2). It is in the log as
//! well.

use std::sync::Arc;

use kube_verdict_table::objects::ObjectKey;

/// A warning about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// about what
    pub object: ObjectKey,
    /// kube-proxy's word for it, such as `FailedToStartServiceHealthcheck`
    pub reason: &'static str,
    /// what was being done, such as `Listen`
    pub action: &'static str,
    /// what happened
    pub message: String,
}

/// Where complaints go. Must not wait.
pub type Complain = Arc<dyn Fn(Complaint) + Send + Sync>;
