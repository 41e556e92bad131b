//! Waits for IPVS' established connections to end, without end, and removes what they needed when they have.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use kube_verdict_ipvs_codec::Key;

use super::{Established, Look, NodePorts, Trouble, look};
use crate::predecessor::Report;

/// Between two looks at least.
const PAUSE: Duration = Duration::from_secs(3);
/// So many times as long as a look took the thread rests after it: thousands of virtual servers take a while.
const REST: u32 = 50;

/// What has to wait.
#[derive(Debug)]
pub struct Wait {
    /// the virtual servers that were deleted: one that is there again is made by somebody who runs
    removed: BTreeSet<Key>,
    pause: Duration,
}

impl Wait {
    pub(super) fn new(removed: BTreeSet<Key>) -> Self {
        Wait { removed, pause: PAUSE }
    }

    /// Removes, as time goes by, what is left, and returns when nothing is; or when a kube-proxy seems to run. Both
    /// are logged.
    pub fn run(mut self) {
        let mut complaint = None;
        loop {
            thread::sleep(self.pause);
            let start = Instant::now();
            let result = look(Established::Spared, NodePorts::new(), &mut self.removed);
            self.pause = (start.elapsed() * REST).max(PAUSE);
            match result {
                Ok(look) if look.waiting.is_over() => {
                    let mut report = Report::default();
                    look.tell(&mut report);
                    report.log();
                    tracing::info!(
                        "the last connections of kube-proxy's IPVS have ended: {} of its virtual servers were removed",
                        self.removed.len()
                    );
                    return;
                }
                Ok(Look { servers, waiting, .. }) => {
                    if complaint.take().is_some() || servers > 0 {
                        tracing::debug!(
                            servers = waiting.servers,
                            connections = waiting.connections,
                            "kube-proxy's IPVS still has connections"
                        );
                    }
                }
                Err(Trouble::Recurring(key)) => {
                    tracing::error!(
                        "what is left of kube-proxy's IPVS stays: {}. Then `kube-verdict cleanup --only kube-proxy` \
                         removes it",
                        Trouble::Recurring(key)
                    );
                    return;
                }
                Err(trouble) => {
                    let said = trouble.to_string();
                    if complaint.as_ref() != Some(&said) {
                        tracing::error!(
                            "cannot look after what kube-proxy left in IPVS: {said}; trying again"
                        );
                    }
                    complaint = Some(said);
                }
            }
        }
    }
}
