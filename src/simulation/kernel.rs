//! The kernels as the daemon has them: those in memory, with trouble on the way. A batch or an order may be refused or
//! its answer lost, a reading may fail, somebody else may act between any two calls, and the process may be killed at
//! each.

use std::collections::BTreeSet;
use std::io;

use kube_verdict_ipvs::Marks;
use kube_verdict_ipvs::kernel as ipvs;
use kube_verdict_ipvs_codec::{
    self as codec, Key, Load, Order, Refusal as OrderRefusal, Timeouts, VirtualServer,
};
use kube_verdict_nftables::batch::{Batch, Op};
use kube_verdict_nftables::kernel::{CommitError, Kernel, Note, ReadError, Refusal, Snapshot};
use kube_verdict_nftables::layout::Element;
use kube_verdict_table::Family;

use super::ledger::Touched;
use super::plan::Cheat;
use super::world::{Shared, World};

/// nf_tables.
pub struct Nft(pub Shared);

/// What becomes of a batch.
enum Fate {
    Goes,
    /// it fails, and nothing of it is real
    Fails(CommitError),
    /// it is real, and nobody hears of it
    GoesUnheard(CommitError),
}

fn errno(errno: i32) -> CommitError {
    CommitError::Io(io::Error::from_raw_os_error(errno))
}

impl World {
    fn fate(&mut self, batch: &Batch) -> Fate {
        if self.is_calm || !self.rng.one_in(self.plan.faults) {
            return Fate::Goes;
        }
        let op = self.rng.below(batch.ops.len());
        let deletion = batch.ops.iter().position(|op| matches!(op, Op::DeleteChain(_)));
        match self.rng.below(8) {
            0 => Fate::Fails(CommitError::Stale),
            1 => Fate::Fails(CommitError::Lost),
            2..=4 => Fate::GoesUnheard(CommitError::Lost),
            5 => Fate::Fails(CommitError::Refused(vec![Refusal { op, errno: libc::ENOMEM }])),
            // A chain is let go of a while after its last use, before Linux 6.2.
            6 if deletion.is_some() => Fate::Fails(CommitError::Refused(
                deletion.map(|op| Refusal { op, errno: libc::EBUSY }).into_iter().collect(),
            )),
            _ => {
                let number = self.rng.pick(&[
                    libc::ENOMEM,
                    libc::ENOBUFS,
                    libc::EMSGSIZE,
                    libc::EINTR,
                    libc::EBUSY,
                    libc::EPERM,
                ]);
                Fate::Fails(errno(number))
            }
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.count_call();
        self.may_be_killed("before a batch");
        self.may_be_meddled_with();
        let fate = self.fate(batch);
        let (fails, unheard) = match fate {
            Fate::Goes => (None, None),
            Fate::Fails(error) => (Some(error), None),
            Fate::GoesUnheard(error) => (None, Some(error)),
        };
        let is_fault = fails.is_some();
        let mut once = fails;
        self.nft.fault = Some(Box::new(move |_| once.take()));
        let lies = self.plan.cheat == Cheat::Lies && self.rng.one_in(10);
        let done = if lies { Ok(()) } else { self.nft.commit(batch) };
        self.nft.fault = None;
        if self.plan.cheat == Cheat::Loses && self.rng.one_in(10) {
            self.lose(batch.family);
        }
        let what = format!("a batch of {} for {}: {done:?}", batch.ops.len(), batch.family);
        self.tell(format!("{what:.300}{}", if unheard.is_some() { ", which nobody hears of" } else { "" }));
        if let Err(CommitError::Refused(refusals)) = &done {
            self.has_refused = true;
            // What cleans up may come too early, or after something that could not be cleaned up.
            let cleans_up = batch.ops.iter().any(|op| matches!(op, Op::DeleteChain(_) | Op::DeleteSet(_)));
            if !is_fault && !cleans_up && self.plan.is_ours_alone() {
                let ops: Vec<&Op> = refusals.iter().map(|refusal| &batch.ops[refusal.op]).collect();
                let what = format!("a batch of ours is not valid: {refusals:?}, {ops:?}");
                self.fail(what);
            }
        }
        if done.is_ok() {
            if batch.generation.is_some() {
                self.is_broken[batch.family] = false;
            }
            self.changed(&touched(batch), true);
            self.may_be_killed("after a batch");
        }
        self.may_be_meddled_with();
        match unheard {
            Some(error) if done.is_ok() => Err(error),
            _ => done,
        }
    }

    fn lose(&mut self, family: Family) {
        let elements = self.nft.contents(family).map_or(vec![], |state| state.elements);
        let lost = elements.iter().find(|element| matches!(element, Element::Frontend(..)));
        if let Some((lost, frontend)) =
            lost.and_then(|lost| lost.frontend().map(|frontend| (*lost, frontend)))
        {
            self.nft.snatch(&lost);
            self.changed(&Touched::Frontends([frontend].into()), true);
        }
    }

    fn read_fault(&mut self) -> bool {
        self.count_call();
        !self.is_calm && self.rng.one_in(self.plan.read_faults)
    }
}

/// What a batch can concern: an element of a frontend only that frontend, a new chain nobody.
pub fn touched(batch: &Batch) -> Touched {
    let mut frontends = BTreeSet::new();
    let new: BTreeSet<String> = batch
        .ops
        .iter()
        .filter_map(|op| match op {
            Op::AddChain(chain) => Some(chain.to_string()),
            _ => None,
        })
        .collect();
    for op in &batch.ops {
        match op {
            Op::Add(element) | Op::Remove(element) => match (element.frontend(), element) {
                (Some(frontend), _) => drop(frontends.insert(frontend)),
                (None, Element::AffinityTimeout(..)) => {}
                (None, _) => return Touched::Everything,
            },
            Op::AddSet(_) | Op::AddChain(_) => {}
            Op::AddRule(chain, _) if new.contains(&chain.to_string()) && chain.base().is_none() => {}
            _ => return Touched::Everything,
        }
    }
    Touched::Frontends(frontends)
}

impl Kernel for Nft {
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.0.borrow_mut().commit(batch)
    }

    fn read(&mut self, family: Family) -> Result<Snapshot, ReadError> {
        let mut world = self.0.borrow_mut();
        world.may_be_meddled_with();
        if world.read_fault() {
            world.tell("a reading fails");
            let number = world.rng.pick(&[libc::EINTR, libc::ENOBUFS, libc::ENOMEM]);
            return Err(match world.rng.one_in(2) {
                true => ReadError::Unstable,
                false => ReadError::Io(io::Error::from_raw_os_error(number)),
            });
        }
        let mut snapshot = world.nft.read(family)?;
        if !world.is_calm && world.plan.interludes > 0 && world.rng.one_in(8) {
            // Others change their tables without a pause.
            snapshot.generation = None;
        }
        world.may_be_killed("after a reading");
        world.may_be_meddled_with();
        Ok(snapshot)
    }

    fn generation(&mut self) -> Result<u32, ReadError> {
        let mut world = self.0.borrow_mut();
        if world.read_fault() {
            return Err(ReadError::Io(io::Error::from_raw_os_error(libc::ENOBUFS)));
        }
        world.nft.generation()
    }

    fn listens(&self) -> bool {
        self.0.borrow().nft.listens()
    }

    fn resume(&mut self) {
        self.0.borrow_mut().nft.resume();
    }

    fn hear(&mut self) -> Option<Note> {
        let mut world = self.0.borrow_mut();
        world.count_call();
        let note = world.nft.hear()?;
        if world.is_calm || world.plan.others == 0 {
            return Some(note);
        }
        match world.rng.below(20) {
            0 => Some(Note::Lost),
            _ => Some(note),
        }
    }
}

/// IPVS.
pub struct Servers(pub Shared);

fn lost() -> ipvs::Error {
    ipvs::Error::Failed(codec::Error::Socket(io::Error::from_raw_os_error(libc::ENOBUFS)))
}

/// An order in few words.
pub fn words(order: &Order) -> String {
    let Key::Mark { family, mark } = *order.key() else { return format!("{order:?}") };
    let real =
        order.real_server().map(|real| format!(" {}:{} of weight {}", real.address, real.port, real.weight));
    format!("{:?} {family:?} {mark:#x}{}", order.command(), real.unwrap_or_default())
}

fn mark(order: &Order) -> Touched {
    match *order.key() {
        Key::Mark { family: codec::Family::V4, mark } => Touched::Mark(Family::V4, mark),
        Key::Mark { family: codec::Family::V6, mark } => Touched::Mark(Family::V6, mark),
        Key::Address { .. } => Touched::Everything,
    }
}

impl ipvs::Kernel for Servers {
    fn read(
        &mut self,
        family: Family,
        marks: Marks,
        each: &mut dyn FnMut(&VirtualServer, &[Load]),
    ) -> Result<(), ipvs::Error> {
        let mut world = self.0.borrow_mut();
        world.may_be_meddled_with();
        if world.read_fault() {
            world.tell("a reading of IPVS fails");
            world.is_ipvs_in_trouble = true;
            return Err(lost());
        }
        world.ipvs.read(family, marks, each)?;
        world.may_be_meddled_with();
        Ok(())
    }

    fn run(&mut self, orders: &[Order]) -> Result<Vec<OrderRefusal>, ipvs::Error> {
        let mut world = self.0.borrow_mut();
        world.count_call();
        world.may_be_meddled_with();
        let faults = world.plan.faults;
        let fails = !world.is_calm && world.rng.one_in(faults);
        let lasts_for = if fails { world.rng.below(orders.len() + 1) } else { orders.len() };
        let mut refused = Vec::new();
        for (index, order) in orders.iter().take(lasts_for).enumerate() {
            world.may_be_killed("between two orders");
            let refusals = world.ipvs.run(std::slice::from_ref(order))?;
            world.tell(format!("{}: {:?}", words(order), refusals.first().map(|refusal| refusal.errno)));
            match refusals.first() {
                Some(refusal) => {
                    world.has_refused = true;
                    world.is_ipvs_in_trouble = true;
                    refused.push(OrderRefusal { order: index, errno: refusal.errno });
                }
                None => world.changed(&mark(order), true),
            }
        }
        if fails {
            world.tell("the answer of IPVS is lost");
            world.is_ipvs_in_trouble = true;
            return Err(lost());
        }
        world.may_be_meddled_with();
        Ok(refused)
    }

    fn real_servers(
        &mut self,
        family: Family,
        marks: &[u32],
        each: &mut dyn FnMut(u32, &[Load]),
    ) -> Result<(), ipvs::Error> {
        let mut world = self.0.borrow_mut();
        if world.read_fault() {
            world.is_ipvs_in_trouble = true;
            return Err(lost());
        }
        world.ipvs.real_servers(family, marks, each)
    }

    fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), ipvs::Error> {
        self.0.borrow_mut().ipvs.set_timeouts(timeouts)
    }
}
