//! The backend of IPVS mode: nftables leads connections to virtual servers, and those follow the same table.
//!
//! IPVS has no transactions, so each change is in this order: virtual and real servers that are missing, then one
//! batch that is atomic, then what nothing leads to any more ([`Director`]). A packet of any moment is led to servers
//! that are there; and whatever step fails, or a process that is killed after any, leaves something that the next
//! sync makes right, since that reads both back.
//!
//! With [`Balancer::SlotsBesideIpvs`] the same serves a node that left IPVS mode: no virtual server is wanted any more,
//! so those that are there drain; when none is left ([`Ipvs::is_empty`]) it does without them ([`Ipvs::dismiss`]).

use std::time::Instant;

use kube_verdict_nftables::layout::Balancer;
use kube_verdict_nftables::{self as nftables, Companion, Heard, Nftables, Options};
use kube_verdict_table::{Backend, Change, Family, Flows, PerFamily, ServicePortName, ServiceTable};

use crate::{Director, Error, Figures, Kernel, Report, Server, Wanted};

/// The backend.
pub struct Ipvs<N, I> {
    steering: Nftables<N, Follower<I>>,
}

/// The director, told by the nftables backend, and what it said.
struct Follower<I> {
    /// None: IPVS is done with
    director: Option<Director<I>>,
    report: Report,
    errors: Vec<Error>,
}

/// What a step wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// with nftables
    pub steering: nftables::Report,
    /// with IPVS
    pub servers: Report,
}

/// Why a step failed, in part or as a whole.
#[derive(Debug, Default)]
pub struct Failed {
    /// with nftables
    pub steering: Vec<nftables::Error>,
    /// with IPVS
    pub servers: Vec<Error>,
}

impl<I: Kernel> Follower<I> {
    fn note(&mut self, result: Result<Report, Error>) {
        match result {
            Ok(report) => self.report.extend(report),
            Err(error) => self.errors.push(error),
        }
    }

    fn note_all(&mut self, result: Result<Report, Vec<Error>>) {
        match result {
            Ok(report) => self.report.extend(report),
            Err(errors) => self.errors.extend(errors),
        }
    }
}

impl<I: Kernel> Companion for Follower<I> {
    fn taken(&mut self, family: Family, now: Instant) -> Vec<u32> {
        let Some(director) = &mut self.director else { return Vec::new() };
        // What fails now fails again in a moment, and is told then.
        director.taken(family, now).unwrap_or_default()
    }

    fn raise(&mut self, family: Family, wanted: &Wanted, now: Instant) {
        if let Some(director) = &mut self.director {
            let result = director.raise(family, wanted, now);
            self.note(result);
        }
    }

    fn lower(&mut self, family: Family, table: &ServiceTable, now: Instant) {
        let still_serves = |server: &Server, backend: &Backend| {
            let serving = || table.serving(&server.service, server.protocol, family);
            !table.has_frontends(&server.service) || serving().binary_search(backend).is_ok()
        };
        if let Some(director) = &mut self.director {
            let result = director.lower(family, &still_serves, now);
            self.note(result);
        }
    }
}

impl<N: nftables::Kernel, I: Kernel> Ipvs<N, I> {
    /// A backend that knows nothing yet of its kernel. `options` say the marks that the director was made with.
    pub fn new(kernel: N, options: Options, director: Director<I>) -> Self {
        let follower = Follower { director: Some(director), report: Report::default(), errors: Vec::new() };
        Ipvs { steering: Nftables::with_companion(kernel, options, follower) }
    }

    /// What leads to the virtual servers.
    pub fn steering(&self) -> &Nftables<N, impl Companion + use<N, I>> {
        &self.steering
    }

    /// The kernel's nftables.
    pub fn kernel_mut(&mut self) -> &mut N {
        self.steering.kernel_mut()
    }

    /// The virtual servers; None: IPVS is done with.
    pub fn director_mut(&mut self) -> Option<&mut Director<I>> {
        self.steering.companion_mut().director.as_mut()
    }

    /// Whether nothing of ours is in IPVS any more, nor is to be, as far as is known.
    pub fn is_empty(&self) -> bool {
        let director = self.steering.companion().director.as_ref();
        director.is_none_or(|director| Family::BOTH.into_iter().all(|family| director.is_empty(family)))
    }

    /// From the next sync on connections are spread over slots, and IPVS is not looked at again.
    pub fn dismiss(&mut self) {
        self.steering.companion_mut().director = None;
        self.steering.set_balancer(Balancer::Slots);
    }

    /// As [`Nftables::keep_unknown`].
    pub fn keep_unknown(&mut self, keep: bool) -> bool {
        self.steering.keep_unknown(keep)
    }

    /// As [`Nftables::listen`]. IPVS tells nobody of changes.
    pub fn listen(&mut self) -> Heard {
        self.steering.listen()
    }

    /// Makes the kernel equal to the table, whatever it holds now.
    pub fn sync(&mut self, table: &ServiceTable, now: Instant) -> Result<Written, Failed> {
        let result = self.steering.sync(table, now);
        self.settle(result)
    }

    /// Makes the kernel equal to the table, which has just undergone this change. A family of virtual servers that
    /// failed before is tried again, or a change of something else would seem to have mended it.
    pub fn apply(&mut self, table: &ServiceTable, change: &Change, now: Instant) -> Result<Written, Failed> {
        let follower = self.steering.companion_mut();
        if let Some(tried) = follower.director.as_mut().map(|director| director.try_again(now)) {
            follower.note_all(tried);
        }
        let result = self.steering.apply(table, change, now);
        self.settle(result)
    }

    /// Compares the rules with the table if anybody else may have changed them, and the virtual servers in any case;
    /// mends what differs. None: nothing does.
    pub fn verify(&mut self, table: &ServiceTable, now: Instant) -> Option<Result<Written, Failed>> {
        let result = self.steering.verify(table, now);
        let follower = self.steering.companion_mut();
        if let Some(verified) = follower.director.as_mut().map(|director| director.verify(now)) {
            follower.note_all(verified);
        }
        let nothing = result.is_none() && follower.errors.is_empty() && follower.report.is_nothing();
        let settled = self.settle(result.unwrap_or(Ok(nftables::Report::default())));
        (!nothing).then_some(settled)
    }

    /// Where flows of UDP may stay has changed: those whose backend does not serve any more go, though nothing led
    /// new ones there as it is (reference §8).
    pub fn cut(&mut self, table: &ServiceTable, flows: &[Flows], now: Instant) -> Result<Written, Failed> {
        let follower = self.steering.companion_mut();
        for family in Family::BOTH {
            let of_family = flows.iter().filter(|flows| flows.frontends.iter().any(|f| f.family() == family));
            let services: Vec<&ServicePortName> = of_family.map(|flows| &*flows.service).collect();
            let director = follower.director.as_mut();
            if director.is_some_and(|director| director.reconsider(family, &services)) {
                follower.lower(family, table, now);
            }
        }
        self.settle(Ok(nftables::Report::default()))
    }

    /// When [`Ipvs::tend`] has something to do.
    pub fn next_tend(&self) -> Option<Instant> {
        let follower = self.steering.companion();
        let servers = follower.director.as_ref().and_then(Director::next_tend);
        [self.steering.next_retry(), servers].into_iter().flatten().min()
    }

    /// Deletes servers that have drained, and tries again what was refused. Says whether it compared everything.
    pub fn tend(&mut self, table: &ServiceTable, now: Instant) -> (bool, Result<Written, Failed>) {
        if self.steering.next_retry().is_some_and(|at| at <= now) {
            return (true, self.sync(table, now));
        }
        let follower = self.steering.companion_mut();
        if let Some(tended) = follower.director.as_mut().map(|director| director.tend(now)) {
            follower.note_all(tended);
        }
        (false, self.settle(Ok(nftables::Report::default())))
    }

    /// As [`Nftables::collect_garbage`].
    pub fn collect_garbage(&mut self) -> nftables::Report {
        self.steering.collect_garbage()
    }

    /// What there is of virtual servers; None: that is not known. It is counted, one by one.
    pub fn servers(&self) -> PerFamily<Option<Figures>> {
        let director = self.steering.companion().director.as_ref();
        PerFamily::from_fn(|family| match director {
            Some(director) => director.figures(family),
            None => Some(Figures::default()),
        })
    }

    fn settle(
        &mut self,
        steering: Result<nftables::Report, Vec<nftables::Error>>,
    ) -> Result<Written, Failed> {
        let follower = self.steering.companion_mut();
        let errors = std::mem::take(&mut follower.errors);
        // What else there is to say after a failure is said with the next success.
        match steering {
            Ok(steering) if errors.is_empty() => {
                Ok(Written { steering, servers: std::mem::take(&mut follower.report) })
            }
            Ok(_) => Err(Failed { steering: Vec::new(), servers: errors }),
            Err(steering) => Err(Failed { steering, servers: errors }),
        }
    }
}
