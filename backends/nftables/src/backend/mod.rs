//! Keeps the kernel equal to a service table.
//!
//! * **Sync**: read our table back, say what it should be with everything left in its place where it can be,
//!   write the difference in one batch that is valid only for the generation that was read.
//! * **Apply**: write a change's own elements, without reading.
//! * Whatever goes wrong, the next step is a sync: what the kernel has is then known again.
//!
//! An element that the kernel refuses is quarantined with its frontend, reported, and tried again later; the
//! rest goes on. What a quarantined frontend has in the kernel stays.

mod bridge;
mod companion;
mod figures;
mod others;
mod parts;
mod plan;
mod report;
mod term;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use kube_verdict_table::{Change, Family, PerFamily, ServicePortName, ServiceTable};

use crate::batch::{Batch, Op};
use crate::kernel::{CommitError, Kernel, Refusal};
use crate::layout::Balancer;
use crate::state::{Numbers, State};
pub use companion::Companion;
pub use figures::Figures;
pub use others::Heard;
use others::Others;
use parts::Part;
use plan::{Plan, shared_edits, with_unknown};
pub(crate) use plan::{context, fill};
use report::unsupported;
pub use report::{Culprit, Error, Refused, Report};
pub use term::Term;

/// How often a sync is begun anew because others change the ruleset under it, before it goes without the
/// check of the generation.
const STALE_ATTEMPTS: usize = 5;
/// How often a sync is begun anew for any reason.
const ATTEMPTS: usize = 200;

/// What the backend must know beside the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// the packet mark's bit for masquerading, as a mask (reference §4.1: bit 14)
    pub masquerade_mark: u32,
    /// who chooses backends
    pub balancer: Balancer,
    /// whether our tables are to belong to the kernel's socket, so that nobody else can change them
    pub own: bool,
}

impl Options {
    /// Connections are spread over slots; what is to be masqueraded bears this mark.
    pub const fn slots(masquerade_mark: u32) -> Self {
        Options { masquerade_mark, balancer: Balancer::Slots, own: false }
    }
}

/// The backend.
pub struct Nftables<K, C = ()> {
    kernel: K,
    companion: C,
    options: Options,
    /// None: what the kernel has is not known
    states: PerFamily<Option<State>>,
    /// those of the last state that was forgotten, or could not be had
    numbers: PerFamily<Option<Numbers>>,
    /// what the kernel refuses; each family is tried again by a comparison of its own
    quarantine: PerFamily<HashMap<Culprit, Term>>,
    /// frontends that the kernel has and the table does not know stay
    keep_unknown: bool,
    others: Others,
    /// as in [`Figures`]
    took: PerFamily<Option<Duration>>,
    /// as in [`Figures`]
    cleanup_failures: PerFamily<u64>,
}

impl<K: Kernel> Nftables<K> {
    /// A backend that knows nothing yet of its kernel.
    pub fn new(kernel: K, options: Options) -> Self {
        Nftables::with_companion(kernel, options, ())
    }
}

impl<K: Kernel, C: Companion> Nftables<K, C> {
    /// One whose batches something else goes along with.
    pub fn with_companion(kernel: K, options: Options, companion: C) -> Self {
        Nftables {
            kernel,
            companion,
            options,
            states: PerFamily::default(),
            numbers: PerFamily::default(),
            quarantine: PerFamily::default(),
            keep_unknown: false,
            others: Others::default(),
            took: PerFamily::default(),
            cleanup_failures: PerFamily::default(),
        }
    }

    /// The kernel it writes to.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// Gives it back.
    pub fn into_kernel(self) -> K {
        self.kernel
    }

    /// The kernel it writes to.
    pub fn kernel_mut(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// What goes along.
    pub fn companion(&self) -> &C {
        &self.companion
    }

    /// What goes along.
    pub fn companion_mut(&mut self) -> &mut C {
        &mut self.companion
    }

    /// From the next look on, connections are balanced so.
    pub fn set_balancer(&mut self, balancer: Balancer) {
        if std::mem::replace(&mut self.options.balancer, balancer) != balancer {
            Family::BOTH.into_iter().for_each(|family| self.distrust(family));
            self.others.distrust();
        }
    }

    /// Forgets what the kernel holds: the next step reads it back.
    pub fn distrust(&mut self, family: Family) {
        if let Some(state) = self.states[family].take() {
            self.numbers[family] = Some(state.into_numbers());
        }
    }

    /// Whether frontends that the kernel has and the table does not know are left alone, from the next sync
    /// on: for a table that is known to lack some. Says whether that is news; when they are no longer to be
    /// kept, the next [`Nftables::verify`] removes them.
    pub fn keep_unknown(&mut self, keep: bool) -> bool {
        let is_news = std::mem::replace(&mut self.keep_unknown, keep) != keep;
        if is_news {
            self.others.distrust();
        }
        is_news
    }

    /// When something in quarantine is due for another try, by [`Nftables::sync`].
    pub fn next_retry(&self) -> Option<Instant> {
        let terms = Family::BOTH.into_iter().flat_map(|family| self.quarantine[family].values());
        terms.map(|quarantined| quarantined.until).min()
    }

    /// What others did since the last call. After every batch it is called soon: until then nothing is heard.
    pub fn listen(&mut self) -> Heard {
        self.others.attend(&mut self.kernel);
        self.others.take()
    }

    /// Compares the kernel with the table if anybody else may have changed our tables, and mends what differs.
    /// Returns None when nobody has.
    pub fn verify(&mut self, table: &ServiceTable, now: Instant) -> Option<Result<Report, Vec<Error>>> {
        self.others.attend(&mut self.kernel);
        if self.others.left_alone(&mut self.kernel) {
            return None;
        }
        Some(self.sync(table, now))
    }

    /// Commits a batch; in parts if it is too large. How many the kernel took, each of which is a generation.
    fn commit(&mut self, batch: &Batch) -> Result<u32, CommitError> {
        match self.send(batch) {
            Err(error) if parts::is_too_large(&error) => self.commit_in_parts(batch, error),
            result => result.map(|()| 1),
        }
    }

    /// Has the kernel take a batch, and counts it as ours.
    fn send(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.others.before_writing(&mut self.kernel);
        let result = self.kernel.commit(batch);
        self.others.wrote(result.is_ok(), self.kernel.listens());
        result
    }

    /// One part after the other, as long as nobody else writes between two.
    fn commit_in_parts(&mut self, batch: &Batch, error: CommitError) -> Result<u32, CommitError> {
        let mut waiting = VecDeque::from(Part::whole(batch).halves());
        if waiting.len() < 2 {
            return Err(error);
        }
        tracing::debug!(
            family = %batch.family, operations = batch.ops.len(), %error, "a batch is too large; sending it in parts"
        );
        let (mut generation, mut taken) = (batch.generation, 0);
        while let Some(mut part) = waiting.pop_front() {
            part.batch.generation = generation;
            match self.send(&part.batch) {
                Ok(()) => (generation, taken) = (others::after(generation, 1), taken + 1),
                Err(error) => {
                    let halves = if parts::is_too_large(&error) { part.halves() } else { vec![] };
                    if halves.len() < 2 {
                        return Err(part.blame(error));
                    }
                    halves.into_iter().rev().for_each(|half| waiting.push_front(half));
                }
            }
        }
        Ok(taken)
    }

    /// Makes the kernel equal to the table, whatever it holds now.
    pub fn sync(&mut self, table: &ServiceTable, now: Instant) -> Result<Report, Vec<Error>> {
        self.others.look(&mut self.kernel);
        self.each_family(|backend, family, report| backend.sync_family(table, family, now, report))
    }

    /// Makes the kernel equal to the table, which has just undergone this change.
    pub fn apply(
        &mut self,
        table: &ServiceTable,
        change: &Change,
        now: Instant,
    ) -> Result<Report, Vec<Error>> {
        for changed in &change.frontends {
            let family = changed.frontend.family();
            if self.quarantine[family].remove(&Culprit::Frontend(changed.frontend)).is_some() {
                self.distrust(family);
            }
        }
        self.each_family(|backend, family, report| match backend.states[family].is_some() {
            true => backend.apply_to_family(table, change, family, now, report),
            false => backend.sync_family(table, family, now, report),
        })
    }

    /// Removes chains that nothing uses any more. Kernels before 6.2 release a chain some time after the last
    /// element that named it is gone, so this comes a while after the change; what the kernel refuses stays
    /// until a later call.
    pub fn collect_garbage(&mut self) -> Report {
        let mut report = Report::default();
        for family in Family::BOTH {
            let Some(state) = &mut self.states[family] else { continue };
            let batch = state.collect_garbage();
            if batch.is_empty() {
                continue;
            }
            match self.commit(&batch) {
                Ok(_) => report.count(&batch),
                Err(_) => {
                    self.cleanup_failures[family] += 1;
                    self.distrust(family);
                }
            }
        }
        report
    }

    fn each_family(
        &mut self,
        mut step: impl FnMut(&mut Self, Family, &mut Report) -> Result<(), Error>,
    ) -> Result<Report, Vec<Error>> {
        let mut report = Report::default();
        let mut errors = Vec::new();
        for family in Family::BOTH {
            let (start, before) = (Instant::now(), (report.batches, report.synced.len()));
            let outcome = step(self, family, &mut report);
            let was_idle = outcome.is_ok() && before == (report.batches, report.synced.len());
            self.took[family] = (!was_idle).then(|| start.elapsed());
            if let Err(error) = outcome {
                self.distrust(family);
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(report) } else { Err(errors) }
    }

    fn apply_to_family(
        &mut self,
        table: &ServiceTable,
        change: &Change,
        family: Family,
        now: Instant,
        report: &mut Report,
    ) -> Result<(), Error> {
        let Some(state) = &mut self.states[family] else { return Ok(()) };
        let context = context(table, family, self.options);
        let rewritten = if *state.context() == context { Vec::new() } else { state.set_context(context) };
        let fates = change
            .frontends
            .iter()
            .filter(|changed| changed.frontend.family() == family)
            .map(|changed| (changed.frontend, changed.fate.as_ref()));
        let mut edits = state.set_fates(fates, &HashMap::new());
        shared_edits(change, family, state, &mut edits);
        let wanted = edits.wanted();
        let mut batch = state.batch(edits);
        batch.ops.splice(..0, rewritten);
        if !wanted.servers.is_empty() {
            self.companion.raise(family, &wanted, now);
        }
        let outcome = if batch.is_empty() { Ok(0) } else { self.commit(&batch) };
        match outcome {
            Ok(_) => {
                if !batch.is_empty() {
                    report.count(&batch);
                }
                if !wanted.servers.is_empty() {
                    self.companion.lower(family, table, now);
                }
                Ok(())
            }
            Err(error) => {
                tracing::debug!(%family, %error, "a change did not go through; comparing the whole table");
                self.sync_family(table, family, now, report)
            }
        }
    }

    fn sync_family(
        &mut self,
        table: &ServiceTable,
        family: Family,
        now: Instant,
        report: &mut Report,
    ) -> Result<(), Error> {
        self.distrust(family);
        self.quarantine[family].retain(|culprit, _| still_wanted(culprit, table));
        for attempt in 0..ATTEMPTS {
            let snapshot = self.kernel.read(family).map_err(|error| Error::read(family, error))?;
            let out: BTreeSet<Culprit> = self.quarantine[family]
                .iter()
                .filter(|(_, quarantined)| now < quarantined.until)
                .map(|(culprit, _)| *culprit)
                .collect();
            let found = snapshot.table.as_ref().map_or(&[][..], |found| &found.elements);
            let out = if self.keep_unknown { with_unknown(out, found, table) } else { out };
            let taken = self.companion.taken(family, now);
            let context = context(table, family, self.options);
            let numbers = (&*taken, self.numbers[family].as_ref());
            let comment = snapshot.table.as_ref().and_then(|found| found.comment.clone());
            let plan = Plan::new(table, (context, self.options.own), snapshot.table, &out, numbers);
            let mut batch = plan.batch;
            batch.generation = snapshot.generation.filter(|_| attempt < STALE_ATTEMPTS);
            self.companion.raise(family, &plan.state.wanted(), now);
            let has_bridge = snapshot.has_bridge;
            let bridged = if plan.is_replacement { self.build_bridge(&batch, has_bridge) } else { None };
            let bridges = bridged.unwrap_or_default();
            batch.generation = others::after(batch.generation, bridges);
            let has_bridge = has_bridge || bridged.is_some();
            // A reading that has no generation is no reason to take away what serves.
            let known = snapshot.generation.map(|read| others::after(Some(read), bridges));
            let expected =
                if has_bridge { known.unwrap_or_else(|| self.kernel.generation().ok()) } else { None };
            let outcome = if batch.is_empty() { Ok(0) } else { self.commit(&batch) };
            match outcome {
                Ok(batches) => {
                    if !batch.is_empty() {
                        report.count(&batch);
                    }
                    self.quarantine[family].retain(|_, quarantined| now < quarantined.until);
                    self.companion.lower(family, table, now);
                    if plan.is_replacement {
                        bridge::say(family, comment.as_deref());
                    }
                    self.remove_strays(&plan.strays, report);
                    self.states[family] = Some(plan.state);
                    self.numbers[family] = None;
                    if has_bridge
                        && let Err(error) = self.remove_bridge(family, others::after(expected, batches))
                    {
                        self.distrust(family);
                        match error {
                            CommitError::Stale | CommitError::Lost => continue,
                            error => return Err(Error::commit(family, error)),
                        }
                    }
                    report.synced.push(family);
                    return Ok(());
                }
                Err(error) => {
                    // What goes along was raised for these numbers: the next attempt is to find it.
                    self.numbers[family] = Some(plan.state.into_numbers());
                    match error {
                        CommitError::Stale | CommitError::Lost => {}
                        CommitError::Refused(refusals) => {
                            self.blame(table, &batch, &refusals, now, report)?;
                        }
                        error => return Err(Error::commit(family, error)),
                    }
                }
            }
        }
        Err(Error::commit(family, CommitError::Stale))
    }

    /// Quarantines what was refused; a refusal of the constant rules is the caller's.
    fn blame(
        &mut self,
        table: &ServiceTable,
        batch: &Batch,
        refusals: &[Refusal],
        now: Instant,
        report: &mut Report,
    ) -> Result<(), Error> {
        // No element is to blame for a table of somebody else's.
        if refusals.iter().any(|refusal| refusal.errno == libc::EPERM) {
            let error = std::io::Error::from_raw_os_error(libc::EPERM);
            return Err(Error::commit(batch.family, CommitError::Io(error)));
        }
        let mut blamed = BTreeSet::new();
        for Refusal { op, errno } in refusals {
            match &batch.ops[*op] {
                Op::Add(element) | Op::Remove(element) => {
                    let culprit = Culprit::of(element);
                    // However many of its elements are refused, it was tried once.
                    if !blamed.insert(culprit) {
                        continue;
                    }
                    let quarantine = &mut self.quarantine[batch.family];
                    let term = Term::after(quarantine.get(&culprit).copied(), now);
                    quarantine.insert(culprit, term);
                    report.refused.push(Refused {
                        culprit,
                        service: owner(&culprit, table),
                        operation: format!("{:?}", batch.ops[*op]),
                        errno: *errno,
                        retry_in: term.until - now,
                    });
                }
                // Gone meanwhile; the next reading tells.
                Op::RemoveForeign(_) => {}
                op => return Err(unsupported(op, batch.family, *errno)),
            }
        }
        Ok(())
    }

    /// Chains and sets in our table that are not ours, or no longer: best effort.
    fn remove_strays(&mut self, strays: &Batch, report: &mut Report) {
        if strays.is_empty() {
            return;
        }
        match self.commit(strays) {
            Ok(_) => report.count(strays),
            Err(error) => {
                self.cleanup_failures[strays.family] += 1;
                tracing::debug!(%error, "left-over chains or sets stay for now");
            }
        }
    }
}

fn still_wanted(culprit: &Culprit, table: &ServiceTable) -> bool {
    match culprit {
        Culprit::Frontend(frontend) => table.fate(frontend).is_some(),
        Culprit::Element(_) => true,
    }
}

fn owner(culprit: &Culprit, table: &ServiceTable) -> Option<ServicePortName> {
    match culprit {
        Culprit::Frontend(frontend) => table.fate(frontend).map(|fate| ServicePortName::clone(&fate.service)),
        Culprit::Element(_) => None,
    }
}
