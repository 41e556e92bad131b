//! Which schedulers the kernel has. A name that is new is tried on one virtual server before others ask for it: each
//! time that the kernel lacks one it looks for a module.

use kube_verdict_ipvs_codec::{Name, flags};
use rustc_hash::FxHashSet;

use crate::{Scheduler, Server};

/// What is known of them.
#[derive(Debug)]
pub(super) struct Schedulers {
    /// what is taken where a Service says nothing
    configured: Scheduler,
    proven: FxHashSet<Name>,
    lacking: FxHashSet<Name>,
}

/// What a server gets of a kernel that has every scheduler.
pub fn chosen(server: &Server, configured: Scheduler) -> Scheduler {
    Schedulers::new(configured).choose(server).used
}

/// What a server gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) used: Scheduler,
    /// why it is not what was asked for, if it is not
    pub(super) why: Option<String>,
}

/// `sh` and `mh` keep the places that servers have in their tables when a weight becomes 0 (ip_vs_sh.c of the kernel, and
/// `last_weight` in ip_vs_mh.c): without their fallback, a part of the clients would be refused for as long as an endpoint
/// drains. It is the same bit for both.
fn falling_back(asked: Scheduler) -> Scheduler {
    match asked.name.as_str() {
        "sh" | "mh" => Scheduler { flags: asked.flags | flags::SCHEDULER_1, ..asked },
        _ => asked,
    }
}

impl Schedulers {
    pub(super) fn new(configured: Scheduler) -> Self {
        Schedulers { configured, proven: FxHashSet::default(), lacking: FxHashSet::default() }
    }

    /// The scheduler that every kernel with IPVS should have; None: `name` is it.
    fn fallback(name: Name) -> Option<Scheduler> {
        Name::new("rr").ok().filter(|rr| *rr != name).map(|name| Scheduler { name, flags: 0 })
    }

    /// The scheduler of the configuration.
    pub(super) fn configured(&self) -> Scheduler {
        self.configured
    }

    /// Whether the kernel does not have a scheduler.
    pub(super) fn lacks(&self, name: Name) -> bool {
        self.lacking.contains(&name)
    }

    /// What a server gets.
    pub(super) fn choose(&self, server: &Server) -> Choice {
        match server.scheduler.as_deref().map(str::parse::<Scheduler>) {
            None => self.available(self.configured),
            Some(Ok(asked)) => self.available(asked),
            Some(Err(error)) => {
                Choice { used: self.available(self.configured).used, why: Some(error.to_string()) }
            }
        }
    }

    fn available(&self, asked: Scheduler) -> Choice {
        match Schedulers::fallback(asked.name).filter(|_| self.lacks(asked.name)) {
            None => Choice { used: falling_back(asked), why: None },
            Some(used) => Choice {
                used,
                why: Some(format!("the kernel has no scheduler {0}: modprobe ip_vs_{0}", asked.name)),
            },
        }
    }

    /// Whether nobody knows whether the kernel has it.
    pub(super) fn is_doubtful(&self, name: Name) -> bool {
        !self.proven.contains(&name)
    }

    /// The kernel has it.
    pub(super) fn prove(&mut self, name: Name) {
        self.lacking.remove(&name);
        self.proven.insert(name);
    }

    /// The kernel does not have it. Says false if there is nothing to use in its place.
    pub(super) fn miss(&mut self, name: Name) -> bool {
        self.proven.remove(&name);
        self.lacking.insert(name);
        Schedulers::fallback(name).is_some()
    }

    /// Forgets which are lacking: somebody may have loaded them.
    pub(super) fn hope(&mut self) {
        self.lacking.clear();
    }
}
