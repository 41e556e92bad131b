//! When kube-proxy's rules go: after the first sync that made the kernel what the table says, once, and on a
//! thread of its own, because large tables of iptables and their lock can take long, and IPVS' connections as long
//! as they like. For a daemon that is the cluster's proxy; one that serves manifests may be there beside
//! kube-proxy. A table that was kept is no reason: kube-proxy may know more.

use std::thread;

use super::{Established, retire};
use crate::reconcile::{Input, Scope, Synced, Witness};

/// Waits for that sync.
pub struct Takeover {
    /// what is to be done; None: it was
    retire: Option<Box<dyn FnOnce() + Send>>,
    knowledge: Knowledge,
}

/// What the table is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowledge {
    /// what the cluster tells, and nothing was compared with it yet
    Live,
    /// what was kept on disk
    Kept,
    /// what the cluster tells; what was kept was compared
    LiveAfterKept,
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
        Takeover { retire: None, knowledge: Knowledge::Live }
    }

    fn with(retire: impl FnOnce() + Send + 'static) -> Self {
        Takeover { retire: Some(Box::new(retire)), knowledge: Knowledge::Live }
    }
}

impl Default for Takeover {
    fn default() -> Self {
        Takeover::new()
    }
}

impl Witness for Takeover {
    fn requested(&mut self, news: &Input) {
        self.knowledge = match (news.kept, self.knowledge) {
            (Some(_), _) => Knowledge::Kept,
            (None, Knowledge::Live) => Knowledge::Live,
            (None, _) => Knowledge::LiveAfterKept,
        };
    }

    fn synced(&mut self, sync: &Synced<'_>) {
        self.settled(sync.scope, sync.outcome.is_ok());
    }
}

impl Takeover {
    fn settled(&mut self, scope: Scope, is_in_sync: bool) {
        let is_whole = match self.knowledge {
            Knowledge::Live => scope == Scope::Everything,
            Knowledge::Kept => false,
            Knowledge::LiveAfterKept => true,
        };
        if !is_in_sync || !is_whole {
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
    use std::time::{Duration, SystemTime};

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

    #[test]
    fn not_for_a_table_that_was_kept() {
        let (done, happened) = mpsc::channel();
        let mut takeover = Takeover::with(move || {
            done.send(()).unwrap();
        });
        takeover.requested(&Input { kept: Some(SystemTime::now()), ..Input::default() });
        takeover.settled(Scope::Everything, true);
        assert_eq!(happened.try_recv(), Err(mpsc::TryRecvError::Empty));
        takeover.requested(&Input::default());
        takeover.settled(Scope::Change, false);
        assert_eq!(happened.try_recv(), Err(mpsc::TryRecvError::Empty));
        takeover.settled(Scope::Change, true);
        assert_eq!(happened.recv_timeout(Duration::from_secs(60)), Ok(()));
    }
}
