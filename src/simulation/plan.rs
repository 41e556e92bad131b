//! What a simulation is like: a mode, and which kinds of trouble there are. Each kind is left out half of the time, so
//! that what one hides shows when it is not there.

use std::time::Duration;

use super::rng::Rng;

/// The numbers are chances: one in so many; 0: never.
#[derive(Clone, Debug)]
pub struct Plan {
    pub is_ipvs: bool,
    /// the kernel tells what others do
    pub listens: bool,
    pub min_sync_period: Option<Duration>,
    pub services: usize,
    /// what is done from outside, one after the other
    pub steps: usize,
    /// of batches and orders that fail as a whole, or whose answer is lost
    pub faults: usize,
    /// of readings that fail
    pub read_faults: usize,
    /// operations that a batch may have
    pub largest: Option<usize>,
    /// whether the kernel refuses single elements or servers for a while
    pub refuses: bool,
    /// of calls of the kernel between which somebody else acts
    pub interludes: usize,
    /// of steps that are somebody else's
    pub others: usize,
    /// of calls of the kernel at which the process is killed
    pub kills: usize,
    /// of steps at which a watch breaks off
    pub breaks: usize,
    /// the kernel cheats: only for tests of the judge
    pub cheat: Cheat,
}

/// What no kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheat {
    Never,
    /// it loses an element of a frontend, with a batch of ours
    Loses,
    /// it says that it has taken a batch, and has not
    Lies,
}

impl Plan {
    /// Nothing goes wrong.
    pub fn quiet(is_ipvs: bool) -> Plan {
        Plan {
            is_ipvs,
            listens: true,
            min_sync_period: None,
            services: 8,
            steps: 40,
            faults: 0,
            read_faults: 0,
            largest: None,
            refuses: false,
            interludes: 0,
            others: 0,
            kills: 0,
            breaks: 0,
            cheat: Cheat::Never,
        }
    }

    pub fn new(rng: &mut Rng, steps: Option<usize>) -> Plan {
        let mut maybe = |chances: &[usize]| if rng.one_in(2) { rng.pick(chances) } else { 0 };
        let (faults, read_faults) = (maybe(&[3, 10]), maybe(&[4, 15]));
        let (interludes, others) = (maybe(&[10, 40]), maybe(&[3, 8]));
        let (kills, breaks) = (maybe(&[30, 100]), maybe(&[5, 15]));
        Plan {
            is_ipvs: rng.one_in(3),
            listens: !rng.one_in(4),
            min_sync_period: rng.one_in(8).then_some(Duration::from_secs(1)),
            services: rng.pick(&[2, 4, 8, super::objects::SERVICES]),
            steps: steps.unwrap_or_else(|| rng.pick(&[5, 15, 40])),
            faults,
            read_faults,
            largest: rng.one_in(4).then(|| rng.pick(&[190, 250])),
            refuses: rng.one_in(3),
            interludes,
            others,
            kills,
            breaks,
            cheat: Cheat::Never,
        }
    }

    /// Whether nobody but us changes anything: nothing that we write can be refused then.
    pub fn is_ours_alone(&self) -> bool {
        self.interludes == 0 && self.others == 0 && !self.refuses
    }
}
