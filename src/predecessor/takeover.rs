//! When kube-proxy's rules go: after the first sync that made the kernel what the table says, once, and on a
//! thread of its own, because large tables of iptables and their lock can take long, and IPVS' connections as long
//! as they like. For a daemon that is the cluster's proxy; one that serves manifests may be there beside
//! kube-proxy.

use std::thread;

use super::{Established, retire};
use crate::reconcile::{Input, Scope, Synced, Witness};

/// Waits for that sync.
pub struct Takeover {
    /// what is to be done; None: it was
    retire: Option<Box<dyn FnOnce() + Send>>,
}

impl Takeover {
    /// Will remove everything that kube-proxy left.
    pub fn new() -> Self {
        Takeover::with(|| {
            let (report, wait) = retire(Established::Spared);
            report.log();
            if let Some(wait) = wait {
                wait.run();
            }
        })
    }

    /// Will leave it.
    pub fn never() -> Self {
        Takeover { retire: None }
    }

    fn with(retire: impl FnOnce() + Send + 'static) -> Self {
        Takeover { retire: Some(Box::new(retire)) }
    }
}

impl Default for Takeover {
    fn default() -> Self {
        Takeover::new()
    }
}

impl Witness for Takeover {
    fn requested(&mut self, _: &Input) {}

    fn synced(&mut self, sync: &Synced<'_>) {
        self.settled(sync.scope, sync.outcome.is_ok());
    }
}

impl Takeover {
    fn settled(&mut self, scope: Scope, is_in_sync: bool) {
        if !is_in_sync || scope != Scope::Everything {
            return;
        }
        let Some(retire) = self.retire.take() else { return };
        let started = thread::Builder::new().name("takeover".to_owned()).spawn(retire);
        if let Err(error) = started {
            tracing::error!(
                "cannot look for what kube-proxy left: {error}; `kube-verdict cleanup --only kube-proxy` does"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn once_and_only_after_our_rules_are_there() {
        let (done, happened) = mpsc::channel();
        let mut takeover = Takeover::with(move || {
            done.send(()).unwrap();
        });
        takeover.settled(Scope::Everything, false);
        takeover.settled(Scope::Change, true);
        assert_eq!(happened.try_recv(), Err(mpsc::TryRecvError::Empty));
        takeover.settled(Scope::Everything, true);
        assert_eq!(happened.recv_timeout(Duration::from_secs(60)), Ok(()));
        takeover.settled(Scope::Everything, true);
        assert_eq!(happened.recv_timeout(Duration::from_secs(60)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
