//! From what the servers complain of to Events on the objects that it concerns (reference §13.2).

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::events::Events;
use crate::serve::{Complaint, Complaints};

/// Complaints that wait. More are dropped: each is in the log as well.
const WAITING: usize = 16;

/// Where to complain, if anybody would know.
pub(super) fn to(events: &Events, outside: &Handle) -> Option<Complaints> {
    if !events.go_somewhere() {
        return None;
    }
    let (sender, mut receiver) = mpsc::channel(WAITING);
    let events = events.clone();
    outside.spawn(async move {
        while let Some(Complaint { object, reason, action, message }) = receiver.recv().await {
            events.warn(&object, reason, action, message);
        }
    });
    Some(sender)
}
