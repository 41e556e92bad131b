//! Rules of kube-proxy's shape without a kube-proxy: what its rules cost, and how long the programs take that it runs,
//! whatever kube-proxy itself does meanwhile.
//!
//! A telling of changes is one partial sync with all of them. What kube-proxy reads before it writes (`iptables-save`,
//! `nft --json list`) is not read: kube-proxy itself is never faster than this.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::netns::Netns;

use super::load::{Loaded, load};
use super::{Contender, Contestant, Memory};
use crate::Error;
use crate::shape::iptables::{self, Iptables};
use crate::shape::nftables::Nftables;
use crate::workload::{Change, Size, World};

/// How often kube-proxy looks for chains to delete in a large cluster: its `syncPeriod`.
const CLEANING: Duration = Duration::from_secs(30);
/// How long kube-proxy lets an empty chain lie in nftables mode.
const RESTING: Duration = Duration::from_secs(1);
/// How long the smallest world may take when it is tried.
const TRIAL: Duration = Duration::from_secs(30);

/// One of the three contenders that are rules.
#[derive(Debug)]
pub struct Rules {
    shape: Shape,
    node: Netns,
    world: World,
    patience: Duration,
    cpu: Duration,
    is_stopped: bool,
    /// the built-in chains lead to the rules
    has_jumps: bool,
    /// the last sync that deleted stale chains (iptables), or that may have left some (nftables)
    last: Option<Instant>,
}

/// Which program loads which rules.
#[derive(Debug)]
enum Shape {
    Iptables { restore: &'static str, save: &'static str, memory: Iptables },
    Nftables(Nftables),
}

impl Rules {
    /// One of the contenders of [`Kind::Rules`](super::Kind::Rules), in a node's namespace, with a world to begin with. No
    /// program may take longer than `patience`.
    ///
    /// # Errors
    /// The contender is none of these.
    pub fn new(contender: Contender, node: Netns, world: World, patience: Duration) -> Result<Rules, Error> {
        let iptables = |restore, save| Shape::Iptables { restore, save, memory: Iptables::default() };
        let shape = match contender {
            Contender::RulesIptablesLegacy => iptables("iptables-legacy-restore", "iptables-legacy-save"),
            Contender::RulesIptablesNft => iptables("iptables-nft-restore", "iptables-nft-save"),
            Contender::RulesNftables => Shape::Nftables(Nftables::default()),
            other => return Err(format!("{} is not rules", other.label()).into()),
        };
        Ok(Rules {
            shape,
            node,
            world,
            patience,
            cpu: Duration::ZERO,
            is_stopped: true,
            has_jumps: false,
            last: None,
        })
    }

    /// Why a contender cannot take part on this machine, if so: its program is not there, or the kernel does not take its
    /// rules. They are tried in a namespace.
    pub fn absence(contender: Contender) -> Option<String> {
        let world = World::new(Size { services: 2, endpoints: 2 });
        let mut rules = match Rules::new(contender, Netns::new(), world, TRIAL) {
            Ok(rules) => rules,
            Err(error) => return Some(error.to_string()),
        };
        rules.start().and_then(|()| rules.order()).err().map(|error| error.to_string())
    }

    fn sync(&mut self, changed: Option<&BTreeSet<u32>>) -> Result<(), Error> {
        let now = Instant::now();
        let has_rested = |period| self.last.is_none_or(|last| now.duration_since(last) >= period);
        let (words, text): (&[&str], String) = match &mut self.shape {
            Shape::Iptables { restore, memory, .. } => {
                let cleans = !iptables::is_large(&self.world) || has_rested(CLEANING);
                if cleans {
                    self.last = Some(now);
                }
                (&[restore, "-w", "5", "--noflush", "--counters"], memory.sync(&self.world, changed, cleans))
            }
            Shape::Nftables(memory) => {
                let deletion = if has_rested(RESTING) { memory.deletion() } else { None };
                if let Some(text) = deletion {
                    self.cpu += load(&self.node, &["nft", "-f", "-"], &text, self.patience)?.cpu;
                }
                self.last = Some(now);
                (&["nft", "-f", "-"], memory.sync(&self.world, changed))
            }
        };
        self.cpu += load(&self.node, words, &text, self.patience)?.cpu;
        Ok(())
    }
}

impl Contestant for Rules {
    fn start(&mut self) -> Result<(), Error> {
        self.cpu = Duration::ZERO;
        if let (Shape::Iptables { restore, .. }, false) = (&self.shape, self.has_jumps) {
            let words = [*restore, "-w", "5", "--noflush"];
            self.cpu += load(&self.node, &words, &iptables::jumps(), self.patience)?.cpu;
            self.has_jumps = true;
        }
        self.is_stopped = false;
        self.sync(None)
    }

    fn tell(&mut self, changes: &[Change]) -> Result<(), Error> {
        for change in changes {
            self.world.apply(*change);
        }
        match self.is_stopped {
            true => Ok(()),
            false => self.sync(Some(&changes.iter().map(|change| change.service()).collect())),
        }
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.is_stopped = true;
        Ok(())
    }

    fn cpu(&self) -> Result<Duration, Error> {
        Ok(self.cpu)
    }

    fn memory(&self) -> Result<Option<Memory>, Error> {
        Ok(None)
    }

    /// Nothing goes on between two loads.
    fn quiet(&self) -> Duration {
        Duration::ZERO
    }

    fn order(&self) -> Result<Option<Vec<u32>>, Error> {
        match &self.shape {
            Shape::Iptables { save, .. } => {
                let Loaded { output, .. } = load(&self.node, &[save, "-t", "nat"], "", self.patience)?;
                Ok(Some(iptables::order(&output)))
            }
            Shape::Nftables(_) => Ok(None),
        }
    }
}
