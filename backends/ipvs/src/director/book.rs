//! What is wanted and held of one family, and which orders are next. Without I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use kube_verdict_ipvs_codec::{Load, Order, VirtualServer};
use kube_verdict_nftables::Term;
use kube_verdict_table::{Backend, Family, ServicePortName};
use rustc_hash::FxHashSet;

use super::pace::Pace;
use super::place::{Held, Place};
use super::quarantine::{Quarantine, mark};
use super::report::Replaced;
use super::schedulers::Schedulers;
use crate::kernel::key;
use crate::{Marks, Server, Want, Wanted};

/// How many virtual servers are looked at in one go for what has drained.
const LOOK: usize = 1000;

/// A family.
#[derive(Debug)]
pub(super) struct Book {
    family: Family,
    pub(super) places: BTreeMap<u32, Place>,
    /// whether what the places hold is what the kernel has
    pub(super) is_known: bool,
    /// whether it was read for nothing but to know it
    pub(super) is_fresh: bool,
    /// whether all that is wanted was named once
    pub(super) is_started: bool,
    /// whether nothing needs any more what is not wanted: nothing was raised since the last lowering
    pub(super) may_lower: bool,
    /// marks that may hold something else than is wanted
    dirty: BTreeSet<u32>,
    /// marks of which something drains
    pub(super) draining: BTreeSet<u32>,
    pub(super) quarantine: Quarantine,
    pub(super) pace: Pace,
    /// after an error: when it is worth trying again
    pub(super) trouble: Option<Term>,
    /// the next mark to look at for what has drained, and whether something had in this round
    round: (u32, bool),
    /// the configuration's scheduler is replaced, and that was told
    told: bool,
}

impl Book {
    pub(super) fn new(family: Family) -> Self {
        Book {
            family,
            places: BTreeMap::new(),
            is_known: false,
            is_fresh: false,
            is_started: false,
            may_lower: false,
            dirty: BTreeSet::new(),
            draining: BTreeSet::new(),
            quarantine: Quarantine::default(),
            pace: Pace::default(),
            trouble: None,
            round: (0, false),
            told: false,
        }
    }

    /// Nothing is wanted but what is wanted from now on.
    pub(super) fn want_nothing(&mut self) {
        self.places.values_mut().for_each(|place| place.is_wanted = false);
        self.is_started = true;
        self.dirty.extend(self.places.keys());
    }

    /// A mark stands for something else.
    pub(super) fn want(&mut self, mark: u32, want: &Want) {
        self.dirty.insert(mark);
        let place = self.places.entry(mark).or_default();
        place.is_wanted = *want != Want::Gone;
        let server = match want {
            Want::Server(server) => Some(server),
            Want::AsItIs | Want::Gone => None,
        };
        if server.is_none() || place.server.as_ref() != server {
            self.quarantine.forget(mark);
        }
        if *want == Want::AsItIs {
            place.server = None;
        }
        if let Some(server) = server {
            place.told &= place
                .server
                .as_ref()
                .is_some_and(|last| (&last.service, &last.scheduler) == (&server.service, &server.scheduler));
            place.server = Some(server.clone());
        }
    }

    /// Of these service ports what drains is dirty. Says whether there is any.
    pub(super) fn reconsider(&mut self, services: &[&ServicePortName]) -> bool {
        let is_meant = |mark: &&u32| {
            let server = self.places.get(mark).and_then(|place| place.server.as_ref());
            server.is_some_and(|server| services.contains(&&*server.service))
        };
        let before = self.dirty.len();
        self.dirty.extend(self.draining.iter().filter(is_meant));
        self.dirty.len() > before
    }

    /// What is held is about to be read anew.
    pub(super) fn forget_held(&mut self) {
        self.places.values_mut().for_each(|place| place.held = None);
    }

    /// The kernel has this.
    pub(super) fn found(&mut self, mark: u32, server: &VirtualServer, real: &[Load]) {
        self.places.entry(mark).or_default().held = Some(Held::of(server, real));
    }

    /// Everything was read.
    pub(super) fn was_read(&mut self) {
        self.is_known = true;
        if self.is_started {
            self.dirty.extend(self.places.keys());
        }
        self.draining.clear();
        for mark in self.places.keys().copied().collect::<Vec<_>>() {
            self.look_at(mark);
        }
    }

    /// What is due again is as good as changed.
    pub(super) fn release(&mut self, now: Instant) {
        self.dirty.extend(self.quarantine.due(now));
    }

    /// For every scheduler that is asked for and nobody knows: the order of one virtual server.
    pub(super) fn probes(&self, schedulers: &Schedulers, now: Instant) -> Vec<Order> {
        let mut tried = FxHashSet::default();
        let orders = self.dirty.iter().filter_map(|mark| self.server_order(*mark, schedulers));
        orders
            .filter(|order| !self.quarantine.holds(order, now))
            .filter(|order| match order {
                Order::Add(server) | Order::Change(server) => {
                    schedulers.is_doubtful(server.scheduler) && tried.insert(server.scheduler)
                }
                _ => false,
            })
            .collect()
    }

    fn server_order(&self, mark: u32, schedulers: &Schedulers) -> Option<Order> {
        let place = self.places.get(&mark)?;
        let used = schedulers.choose(place.wanted()?).used;
        place.order(key(self.family, mark), used)
    }

    /// What is missing.
    pub(super) fn raise(&self, schedulers: &Schedulers, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        for mark in &self.dirty {
            let Some(place) = self.places.get(mark) else { continue };
            let order =
                self.server_order(*mark, schedulers).filter(|order| !self.quarantine.holds(order, now));
            if place.held.is_none() && order.is_none() {
                continue;
            }
            orders.extend(order);
            place.raise(key(self.family, *mark), &mut orders);
        }
        orders.retain(|order| !self.quarantine.holds(order, now));
        orders
    }

    /// What is too much.
    pub(super) fn lower(&self, still_serves: &dyn Fn(&Server, &Backend) -> bool, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        for mark in &self.dirty {
            if let Some(place) = self.places.get(mark) {
                place.lower(key(self.family, *mark), still_serves, &mut orders);
            }
        }
        orders.retain(|order| !self.quarantine.holds(order, now));
        orders
    }

    /// Everything that was dirty is as it is wanted.
    pub(super) fn settled(&mut self, now: Instant) {
        self.quarantine.settle(now);
    }

    /// And nothing is there that is not wanted, but drains.
    pub(super) fn lowered(&mut self, now: Instant) {
        let mut is_news = self.pace.next().is_none() && !self.draining.is_empty();
        for mark in std::mem::take(&mut self.dirty) {
            is_news |= self.look_at(mark);
        }
        if is_news {
            self.pace.begin(now);
        }
    }

    /// Keeps in mind whether something of a mark drains, and forgets one that is over. Says whether that is news.
    fn look_at(&mut self, mark: u32) -> bool {
        let Some(place) = self.places.get(&mark) else { return false };
        let drains = place.drains();
        if place.is_over() {
            self.places.remove(&mark);
        }
        match drains {
            true => self.draining.insert(mark),
            false => {
                self.draining.remove(&mark);
                false
            }
        }
    }

    /// The marks to look at now for what has drained.
    pub(super) fn round(&mut self) -> Vec<u32> {
        let marks: Vec<u32> = self.draining.range(self.round.0..).take(LOOK).copied().collect();
        self.round.0 = match marks.last() {
            Some(last) if marks.len() == LOOK => last.saturating_add(1),
            _ => 0,
        };
        marks
    }

    /// They were looked at.
    pub(super) fn looked(&mut self, marks: &[u32], has_ended: bool, now: Instant) {
        for mark in marks {
            self.look_at(*mark);
        }
        let has_ended = has_ended | self.round.1;
        if self.round.0 != 0 {
            self.round.1 = has_ended;
            self.pace.go_on(now);
        } else {
            self.round.1 = false;
            self.pace.look(now, has_ended);
        }
    }

    /// The orders that delete virtual servers that nobody wants and nothing is left of.
    pub(super) fn bury(&self, marks: &[u32], now: Instant) -> Vec<Order> {
        let is_left = |mark: &&u32| {
            let place = self.places.get(mark);
            place.is_some_and(|place| !place.is_wanted && place.held.as_ref().is_some_and(Held::is_empty))
        };
        let orders = marks.iter().filter(is_left).map(|mark| Order::Delete(key(self.family, *mark)));
        orders.filter(|order| !self.quarantine.holds(order, now)).collect()
    }

    /// An order of ours was carried out.
    pub(super) fn apply(&mut self, order: &Order) {
        if let Some(place) = self.places.get_mut(&mark(order.key())) {
            place.apply(order);
        }
    }

    /// Who gets another scheduler than was asked for, and was not told yet.
    pub(super) fn replaced(&mut self, schedulers: &Schedulers) -> Vec<Replaced> {
        let mut news = Vec::new();
        let mut is_configured_replaced = false;
        for mark in &self.dirty {
            let Some(place) = self.places.get_mut(mark) else { continue };
            let Some(server) = place.wanted() else { continue };
            let choice = schedulers.choose(server);
            let Some(why) = choice.why else {
                place.told = false;
                continue;
            };
            let (service, wanted) = match &server.scheduler {
                Some(wanted) => (Some(Arc::clone(&server.service)), wanted.to_string()),
                None => (None, schedulers.configured().to_string()),
            };
            let was_told = match service {
                Some(_) => std::mem::replace(&mut place.told, true),
                None => std::mem::replace(&mut is_configured_replaced, true) || self.told,
            };
            if !was_told {
                news.push(Replaced { service, wanted, used: choice.used.to_string(), why });
            }
        }
        self.told = schedulers.lacks(schedulers.configured().name) && (self.told || is_configured_replaced);
        news
    }

    /// A mark that no virtual server of ours can have.
    pub(super) fn foreign(wanted: &Wanted, marks: Marks) -> Option<u32> {
        wanted.servers.keys().copied().find(|mark| marks.number(*mark).is_none())
    }
}
