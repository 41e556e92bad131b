//! What should become an event on an object, so that its owner sees it (reference §13.2). Who reports events
//! listens at the other end; without one the log has to do.

use kube_verdict_table::objects::ObjectKey;
use tokio::sync::mpsc;

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

/// Where complaints go. When nobody takes them fast enough they are dropped: each is in the log as well.
pub type Complaints = mpsc::Sender<Complaint>;
