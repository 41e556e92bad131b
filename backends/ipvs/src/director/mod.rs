//! Keeps the virtual servers that have marks of ours equal to what is wanted.
//!
//! What packets are marked with is changed elsewhere, in one step; around that step a change has three phases:
//!
//! 1. [`Director::raise`], before it: what is missing is made. Nothing is taken away;
//! 2. [`Director::lower`], after it: what is not wanted any more gets no new connections;
//! 3. [`Director::tend`], as time goes by: what has no connections left is deleted.
//!
//! So no packet is ever marked for a virtual server that is not there, and no connection ends because a backend
//! left. A refusal of the kernel's stops nothing but what it is about, which is tried again later; and after anything
//! that was not expected everything is read back. Facts: reference §§8, 12.4, 12.5; ip_vs_ctl.c of the kernel.

mod book;
mod figures;
mod pace;
mod place;
mod quarantine;
mod report;
mod run;
mod schedulers;

use std::time::Instant;

use kube_verdict_ipvs_codec::Timeouts;
use kube_verdict_nftables::Term;
use kube_verdict_table::{Backend, Family, PerFamily, ServicePortName};

use self::book::Book;
pub use self::figures::Figures;
pub use self::report::{Error, Refused, Replaced, Report};
use self::schedulers::Schedulers;
pub(crate) use self::schedulers::chosen;
use crate::kernel::{self, Kernel};
use crate::{Marks, Scheduler, Server, Wanted};

/// Whether a backend of a server, though not wanted, still has what it serves (reference §8). One that does not gets
/// no more of UDP.
pub type StillServes<'a> = &'a dyn Fn(&Server, &Backend) -> bool;

/// The director.
#[derive(Debug)]
pub struct Director<K> {
    kernel: K,
    marks: Marks,
    schedulers: Schedulers,
    books: PerFamily<Book>,
}

impl<K: Kernel> Director<K> {
    /// A director that knows nothing yet of its kernel. `scheduler` is for Services that ask for none.
    pub fn new(kernel: K, marks: Marks, scheduler: Scheduler) -> Self {
        Director {
            kernel,
            marks,
            schedulers: Schedulers::new(scheduler),
            books: PerFamily::from_fn(Book::new),
        }
    }

    /// The kernel it writes to.
    pub fn kernel_mut(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// The marks that it gives virtual servers.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Sets how long IPVS remembers idle connections; 0: as it is (reference §12.3).
    pub fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), kernel::Error> {
        self.kernel.set_timeouts(timeouts)
    }

    /// Phase 1: these marks stand for these servers now, or for nothing any more. All virtual servers are there after
    /// this, and all their real servers with a weight of 1, save what the report says; ask [`Director::serves`].
    ///
    /// If these are all, the kernel is read back, and what else of ours it has is not wanted.
    pub fn raise(&mut self, family: Family, wanted: &Wanted, now: Instant) -> Result<Report, Error> {
        if let Some(mark) = Book::foreign(wanted, self.marks) {
            return Err(Error::ForeignMark { family, mark, marks: self.marks });
        }
        let book = &mut self.books[family];
        book.may_lower = false;
        if wanted.is_all {
            book.want_nothing();
            book.is_known &= book.is_fresh;
            self.schedulers.hope();
        }
        book.is_fresh = false;
        for (mark, want) in &wanted.servers {
            book.want(*mark, want);
        }
        self.go(family, None, now)
    }

    /// Phase 2: packets are marked as the last [`Director::raise`] said. What is not wanted any more gets no new
    /// connections after this.
    pub fn lower(
        &mut self,
        family: Family,
        still_serves: StillServes<'_>,
        now: Instant,
    ) -> Result<Report, Error> {
        let book = &mut self.books[family];
        book.may_lower = book.is_started;
        self.go(family, Some(still_serves), now)
    }

    /// What drains of these service ports is to be looked at by the next [`Director::lower`]: it may be due to go. Says
    /// whether there is any.
    pub fn reconsider(&mut self, family: Family, services: &[&ServicePortName]) -> bool {
        let book = &mut self.books[family];
        book.is_started && book.may_lower && book.reconsider(services)
    }

    /// Phase 3: deletes what has drained, and tries again what went wrong.
    pub fn tend(&mut self, now: Instant) -> Result<Report, Vec<Error>> {
        self.each_family(|director, family| {
            let book = &director.books[family];
            let looks = book.may_lower && book.pace.is_due(now);
            let is_due = book.quarantine.due(now).next().is_some()
                || book.trouble.is_some_and(|trouble| trouble.until <= now)
                || looks && !book.is_known;
            let mut report = match is_due {
                true => director.go_as_far_as_may_be(family, now)?,
                false => Report::default(),
            };
            let book = &director.books[family];
            if book.is_known && book.may_lower && book.pace.is_due(now) {
                report.extend(
                    director.watched(family, now, |director, report| director.drain(family, now, report))?,
                );
            }
            Ok(report)
        })
    }

    /// Tries again at once what went wrong and is not due yet. Where nothing did, nothing is done.
    pub fn try_again(&mut self, now: Instant) -> Result<Report, Vec<Error>> {
        self.each_family(|director, family| match director.books[family].trouble {
            Some(_) => director.go_as_far_as_may_be(family, now),
            None => Ok(Report::default()),
        })
    }

    /// When to call [`Director::tend`]; None: there is nothing to do.
    pub fn next_tend(&self) -> Option<Instant> {
        let next = |family| {
            let book = &self.books[family];
            match book.trouble {
                Some(trouble) => Some(trouble.until),
                None => {
                    let look = book.pace.next().filter(|_| book.may_lower);
                    [look, book.quarantine.next()].into_iter().flatten().min()
                }
            }
        };
        Family::BOTH.into_iter().filter_map(next).min()
    }

    /// Compares everything with the kernel, and mends what somebody else has changed: the report says how much. Nothing
    /// before all that is wanted was named.
    pub fn verify(&mut self, now: Instant) -> Result<Report, Vec<Error>> {
        self.each_family(|director, family| {
            if !director.books[family].is_started {
                return Ok(Report::default());
            }
            director.distrust(family);
            director.go_as_far_as_may_be(family, now)
        })
    }

    /// Forgets what the kernel holds: the next step reads it back.
    pub fn distrust(&mut self, family: Family) {
        self.books[family].is_known = false;
    }

    /// All marks that have a virtual server in the kernel or are wanted, of whose numbers no other service must get
    /// one. Reads the kernel if what it holds is not known; a complete [`Director::raise`] right after does not again.
    pub fn taken(&mut self, family: Family, now: Instant) -> Result<Vec<u32>, Error> {
        if !self.books[family].is_known {
            self.watched(family, now, |director, report| director.read(family, report))?;
            self.books[family].is_fresh = true;
        }
        Ok(self.books[family].places.keys().copied().collect())
    }

    /// Whether a mark is wanted and has a virtual server in the kernel, so that packets may be given it.
    pub fn serves(&self, family: Family, mark: u32) -> bool {
        let place = self.books[family].places.get(&mark);
        place.is_some_and(|place| place.is_wanted && place.held.is_some())
    }

    /// Whether nothing of ours is in the kernel, nor wanted; false while that is not known.
    pub fn is_empty(&self, family: Family) -> bool {
        let book = &self.books[family];
        book.is_known && book.is_started && book.places.is_empty()
    }

    /// Does what is to be done, and does not lower what packets may still be marked for. Nothing is known of what
    /// serves: nothing is cut off.
    fn go_as_far_as_may_be(&mut self, family: Family, now: Instant) -> Result<Report, Error> {
        let still_serves: StillServes<'_> = &|_, _| true;
        let lowers = self.books[family].may_lower.then_some(still_serves);
        self.go(family, lowers, now)
    }

    fn go(&mut self, family: Family, lowers: Option<StillServes<'_>>, now: Instant) -> Result<Report, Error> {
        self.watched(family, now, |director, report| director.settle(family, lowers, now, report))
    }

    /// Does a piece of work; if that fails nothing that is known stays so, and it is tried again.
    fn watched(
        &mut self,
        family: Family,
        now: Instant,
        work: impl FnOnce(&mut Self, &mut Report) -> Result<(), Error>,
    ) -> Result<Report, Error> {
        let mut report = Report::default();
        let done = work(self, &mut report);
        let book = &mut self.books[family];
        match done {
            Ok(()) => {
                book.trouble = None;
                Ok(report)
            }
            Err(error) => {
                book.is_known = false;
                book.trouble = Some(Term::after(book.trouble, now));
                Err(error)
            }
        }
    }

    fn each_family(
        &mut self,
        mut step: impl FnMut(&mut Self, Family) -> Result<Report, Error>,
    ) -> Result<Report, Vec<Error>> {
        let (mut report, mut errors) = (Report::default(), Vec::new());
        for family in Family::BOTH {
            match step(self, family) {
                Ok(done) => report.extend(done),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(report) } else { Err(errors) }
    }
}
