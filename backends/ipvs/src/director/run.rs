//! Has the kernel carry out what the book says, and the book know what came of it.

use std::time::Instant;

use kube_verdict_ipvs_codec::{Key, Order, Refusal};
use kube_verdict_table::Family;
use rustc_hash::FxHashSet;

use super::quarantine::{Culprit, mark};
use super::report::{Error, Refused, Report};
use super::{Director, StillServes};
use crate::kernel::{self, Kernel};

/// How often refusals that can come of somebody else's work lead to nothing but reading back.
const STALE_ATTEMPTS: usize = 3;
/// How often it is begun anew for any reason.
const ATTEMPTS: usize = 50;

impl<K: Kernel> Director<K> {
    /// Makes the kernel equal to what is wanted, wherever that may differ; takes away nothing unless `lowers`.
    pub(super) fn settle(
        &mut self,
        family: Family,
        lowers: Option<StillServes<'_>>,
        now: Instant,
        report: &mut Report,
    ) -> Result<(), Error> {
        for attempt in 0..ATTEMPTS {
            if !self.books[family].is_known {
                self.read(family, report)?;
            }
            let book = &mut self.books[family];
            book.release(now);
            let probes = book.probes(&self.schedulers, now);
            if !probes.is_empty() {
                self.carry_out(family, &probes, attempt, now, report)?;
                continue;
            }
            let orders = book.raise(&self.schedulers, now);
            if !self.carry_out(family, &orders, attempt, now, report)? {
                continue;
            }
            if let Some(still_serves) = lowers {
                let orders = self.books[family].lower(still_serves, now);
                if !self.carry_out(family, &orders, attempt, now, report)? {
                    continue;
                }
            }
            let book = &mut self.books[family];
            report.replaced.extend(book.replaced(&self.schedulers));
            book.settled(now);
            if lowers.is_some() {
                book.lowered(now);
            }
            return Ok(());
        }
        Err(Error::Unstable { family })
    }

    /// Deletes what has drained.
    pub(super) fn drain(&mut self, family: Family, now: Instant, report: &mut Report) -> Result<(), Error> {
        let book = &mut self.books[family];
        if book.draining.is_empty() {
            book.pace.rest();
            return Ok(());
        }
        let marks = book.round();
        let (mut orders, mut is_as_known) = (Vec::new(), true);
        let looked = self.kernel.real_servers(family, &marks, &mut |mark, listed| {
            if let Some(place) = book.places.get(&mark) {
                is_as_known &= place.tend(kernel::key(family, mark), listed, &mut orders);
            }
        });
        looked.map_err(|error| Error::Kernel { family, error })?;
        orders.retain(|order| !book.quarantine.holds(order, now));
        let done = report.orders;
        let is_done = self.carry_out(family, &orders, 0, now, report)?;
        let buried = self.books[family].bury(&marks, now);
        let is_done = self.carry_out(family, &buried, 0, now, report)? && is_done;
        self.books[family].looked(&marks, report.orders > done, now);
        report.foreign += usize::from(!is_as_known);
        if !(is_done && is_as_known) {
            self.distrust(family);
            let still_serves: StillServes<'_> = &|_, _| true;
            self.settle(family, Some(still_serves), now, report)?;
        }
        Ok(())
    }

    /// Reads what the kernel has.
    pub(super) fn read(&mut self, family: Family, report: &mut Report) -> Result<(), Error> {
        let book = &mut self.books[family];
        let schedulers = &mut self.schedulers;
        book.is_known = false;
        book.forget_held();
        let read = self.kernel.read(family, self.marks, &mut |server, real| {
            schedulers.prove(server.scheduler);
            book.found(mark(&server.key), server, real);
        });
        read.map_err(|error| Error::Kernel { family, error })?;
        book.was_read();
        report.read_back.push(family);
        Ok(())
    }

    /// Says whether the kernel has carried out all of them.
    fn carry_out(
        &mut self,
        family: Family,
        orders: &[Order],
        attempt: usize,
        now: Instant,
        report: &mut Report,
    ) -> Result<bool, Error> {
        if orders.is_empty() {
            return Ok(true);
        }
        let refused = self.kernel.run(orders).map_err(|error| Error::Kernel { family, error })?;
        let mut refusals = refused.iter().peekable();
        for (index, order) in orders.iter().enumerate() {
            if refusals.next_if(|refusal| refusal.order == index).is_some() {
                continue;
            }
            report.orders += 1;
            self.books[family].apply(order);
            if let Order::Add(server) | Order::Change(server) = order {
                self.schedulers.prove(server.scheduler);
            }
        }
        self.blame(family, orders, &refused, attempt, now, report)?;
        Ok(refused.is_empty())
    }

    fn blame(
        &mut self,
        family: Family,
        orders: &[Order],
        refused: &[Refusal],
        attempt: usize,
        now: Instant,
        report: &mut Report,
    ) -> Result<(), Error> {
        let mut not_made: FxHashSet<Key> = FxHashSet::default();
        for Refusal { order, errno } in refused {
            let order = &orders[*order];
            match order {
                Order::Add(server) | Order::Change(server) if *errno == libc::ENOENT => {
                    if matches!(order, Order::Add(_)) {
                        not_made.insert(*order.key());
                    }
                    if !self.schedulers.miss(server.scheduler) {
                        return Err(Error::NoScheduler { family });
                    }
                    continue;
                }
                Order::Add(server) | Order::Change(server) => {
                    not_made.insert(*order.key());
                    // It was not for the scheduler.
                    self.schedulers.prove(server.scheduler);
                }
                // What follows from that is not news.
                _ if *errno == libc::ESRCH && not_made.contains(order.key()) => continue,
                _ => {}
            }
            self.books[family].is_known = false;
            if is_stale(order, *errno) && attempt < STALE_ATTEMPTS {
                report.foreign += 1;
            } else {
                let refused = self.quarantine(family, order, *errno, now);
                report.refused.push(refused);
            }
        }
        Ok(())
    }

    fn quarantine(&mut self, family: Family, order: &Order, errno: i32, now: Instant) -> Refused {
        let book = &mut self.books[family];
        let culprit = Culprit::of(order);
        let Culprit { mark, backend, .. } = culprit;
        let retry_in = book.quarantine.put(culprit, now);
        let server = book.places.get(&mark).and_then(|place| place.server.as_ref());
        let service = server.map(|server| server.service.clone());
        Refused { family, mark, service, backend, command: order.command(), errno, retry_in }
    }
}

/// Whether an order is refused for somebody else has changed what it is about.
fn is_stale(order: &Order, errno: i32) -> bool {
    match order {
        Order::Add(_) | Order::AddTo(..) if errno == libc::EEXIST => true,
        Order::ChangeIn(..) | Order::DeleteFrom(..) if errno == libc::ENOENT => true,
        _ => errno == libc::ESRCH,
    }
}
