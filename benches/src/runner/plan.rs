//! Which turn comes next: pure. Contenders are interleaved, so that whatever else the machine does meets all of them.
//!
//! A round has every size, small ones first, and within a size every contender, each round beginning with another one.
//! The first round is always played to its end. After it a size is played once more while there is time for all of its
//! contenders: those that are compared have as many samples, and small sizes have more rounds than large ones.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::contender::Contender;

/// One contender at one size, in one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// counted from 1
    pub round: u32,
    /// who
    pub contender: Contender,
    /// number of Services
    pub services: u32,
}

/// When it is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// after so many rounds
    Rounds(u32),
    /// about after this time
    Time(Duration),
}

/// More rounds than this make figures no more certain than they are.
const ENOUGH: u32 = 11;

/// What remains to be played.
#[derive(Debug)]
pub struct Plan {
    /// who plays at which size
    sizes: BTreeMap<u32, Vec<Contender>>,
    limit: Limit,
    round: u32,
    /// sizes of this round that are still to come
    waiting: VecDeque<u32>,
    /// turns of the size that is being played
    turns: VecDeque<Slot>,
    /// how long a turn took when it was last played
    took: BTreeMap<(u32, Contender), Duration>,
}

impl Plan {
    /// Of contenders and the sizes at which each of them plays.
    pub fn new(turns: impl IntoIterator<Item = (u32, Contender)>, limit: Limit) -> Self {
        let mut sizes: BTreeMap<u32, Vec<Contender>> = BTreeMap::new();
        for (services, contender) in turns {
            sizes.entry(services).or_default().push(contender);
        }
        let waiting = sizes.keys().copied().collect();
        Plan { sizes, limit, round: 1, waiting, turns: VecDeque::new(), took: BTreeMap::new() }
    }

    /// The next turn, so long after the beginning. None: it is over.
    pub fn next(&mut self, elapsed: Duration) -> Option<Slot> {
        while self.turns.is_empty() {
            match self.waiting.pop_front() {
                Some(services) if self.affordable(services, elapsed) => self.deal(services),
                Some(_) => {}
                None if !self.another_round(elapsed) => return None,
                None => {}
            }
        }
        self.turns.pop_front()
    }

    /// A turn is over.
    pub fn played(&mut self, slot: Slot, took: Duration) {
        self.took.insert((slot.services, slot.contender), took);
    }

    /// All sizes, whoever plays at them.
    pub fn sizes(&self) -> Vec<u32> {
        self.sizes.keys().copied().collect()
    }

    /// Rounds that are over: all of their turns that there was time for were played.
    pub fn rounds(&self) -> u32 {
        let over = self.waiting.is_empty() && self.turns.is_empty();
        if over { self.round } else { self.round - 1 }
    }

    /// A contender plays no more at this size and above.
    pub fn leave_out(&mut self, contender: Contender, services: u32) {
        for (_, contenders) in self.sizes.range_mut(services..) {
            contenders.retain(|other| *other != contender);
        }
        self.turns.retain(|slot| slot.contender != contender);
    }

    /// The share of the whole that is over, as far as can be known: 0 to 1.
    pub fn share(&self, elapsed: Duration) -> f64 {
        let of_round = |round: u32| {
            let turns: usize = self.sizes.values().map(Vec::len).sum();
            let waiting: usize =
                self.waiting.iter().filter_map(|services| self.sizes.get(services)).map(Vec::len).sum();
            let left = (waiting + self.turns.len()) as f64 / turns.max(1) as f64;
            f64::from(round - 1) + (1.0 - left).max(0.0)
        };
        let share = match self.limit {
            Limit::Rounds(rounds) => of_round(self.round) / f64::from(rounds.max(1)),
            Limit::Time(time) => {
                let by_time = elapsed.as_secs_f64() / time.as_secs_f64().max(1.0);
                // While the first round goes on its end counts too: it is played whatever the time.
                if self.round == 1 { by_time.min(of_round(1)) } else { by_time }
            }
        };
        share.clamp(0.0, 1.0)
    }

    fn deal(&mut self, services: u32) {
        let Some(contenders) = self.sizes.get(&services).filter(|contenders| !contenders.is_empty()) else {
            return;
        };
        let first = (self.round as usize - 1) % contenders.len();
        let order = contenders.iter().cycle().skip(first).take(contenders.len());
        self.turns =
            order.map(|contender| Slot { round: self.round, contender: *contender, services }).collect();
    }

    fn affordable(&self, services: u32, elapsed: Duration) -> bool {
        match self.limit {
            Limit::Rounds(_) => true,
            Limit::Time(_) if self.round == 1 => true,
            Limit::Time(time) => elapsed + self.cost(services) <= time,
        }
    }

    /// What all turns of a size took when they were last played.
    fn cost(&self, services: u32) -> Duration {
        let contenders = self.sizes.get(&services).into_iter().flatten();
        contenders.filter_map(|contender| self.took.get(&(services, *contender))).sum()
    }

    /// Begins another round, if there is reason to.
    fn another_round(&mut self, elapsed: Duration) -> bool {
        let enough = match self.limit {
            Limit::Rounds(rounds) => self.round >= rounds,
            Limit::Time(_) => self.round >= ENOUGH,
        };
        self.round += 1;
        let playable = |services: &&u32| {
            self.sizes.get(services).is_some_and(|contenders| !contenders.is_empty())
                && self.affordable(**services, elapsed)
        };
        let waiting: VecDeque<u32> = self.sizes.keys().filter(playable).copied().collect();
        if enough || waiting.is_empty() {
            self.round -= 1;
            return false;
        }
        self.waiting = waiting;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Contender::{FloorRouting, KubeVerdictNftables as Ours};
    use super::Contender::{KubeProxyIptablesLegacy as Iptables, KubeProxyNftables as Proxy};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn plan(limit: Limit) -> Plan {
        let turns = [1, 1000].into_iter().flat_map(|size| [(size, Ours), (size, Proxy), (size, Iptables)]);
        Plan::new(turns.chain([(0, FloorRouting)]), limit)
    }

    /// Plays to the end; a turn takes a second for every thousand Services, and one.
    fn all(mut plan: Plan) -> Vec<(u32, u32, Contender)> {
        let (mut elapsed, mut played) = (Duration::ZERO, Vec::new());
        while let Some(slot) = plan.next(elapsed) {
            let took = SECOND * (1 + slot.services / 1000 * 9);
            elapsed += took;
            plan.played(slot, took);
            played.push((slot.round, slot.services, slot.contender));
        }
        played
    }

    #[test]
    fn contenders_are_interleaved_and_the_first_of_a_round_changes() {
        let played = all(plan(Limit::Rounds(2)));
        let expected = [
            (1, 0, FloorRouting),
            (1, 1, Ours),
            (1, 1, Proxy),
            (1, 1, Iptables),
            (1, 1000, Ours),
            (1, 1000, Proxy),
            (1, 1000, Iptables),
            (2, 0, FloorRouting),
            (2, 1, Proxy),
            (2, 1, Iptables),
            (2, 1, Ours),
            (2, 1000, Proxy),
            (2, 1000, Iptables),
            (2, 1000, Ours),
        ];
        assert_eq!(played, expected);
    }

    #[test]
    fn the_first_round_is_whole_however_short_the_time() {
        assert_eq!(all(plan(Limit::Time(SECOND))).len(), 7);
    }

    #[test]
    fn time_that_is_too_short_for_a_large_size_goes_to_the_small_ones_in_whole_groups() {
        // The first round takes 1 + 3 + 30 seconds, and the second has no 30 left.
        let played = all(plan(Limit::Time(SECOND * 43)));
        let count = |size| played.iter().filter(|(_, services, _)| *services == size).count();
        assert_eq!((count(1000), count(1) % 3, count(1)), (3, 0, 9), "{played:?}");
    }

    #[test]
    fn rounds_end_when_there_are_enough_whatever_the_time() {
        let last = all(plan(Limit::Time(SECOND * 100_000))).last().copied();
        assert_eq!(last.map(|(round, ..)| round), Some(ENOUGH));
    }

    #[test]
    fn who_is_left_out_plays_no_more_at_this_size_and_above() {
        let mut plan = plan(Limit::Rounds(2));
        let mut played = Vec::new();
        while let Some(slot) = plan.next(Duration::ZERO) {
            if (slot.contender, slot.services) == (Proxy, 1000) {
                plan.leave_out(Proxy, 1000);
            }
            played.push((slot.round, slot.services, slot.contender));
        }
        assert_eq!(played.iter().filter(|(.., who)| *who == Proxy).count(), 3, "{played:?}");
        assert_eq!(played.len(), 13);
    }

    #[test]
    fn a_plan_without_contenders_ends() {
        assert_eq!(Plan::new([], Limit::Time(SECOND)).next(Duration::ZERO), None);
    }

    #[test]
    fn the_share_grows_to_the_whole() {
        let mut plan = plan(Limit::Rounds(2));
        let mut before = plan.share(Duration::ZERO);
        while plan.next(Duration::ZERO).is_some() {
            let now = plan.share(Duration::ZERO);
            assert!(now >= before && now <= 1.0, "{before} {now}");
            before = now;
        }
        assert!((before - 1.0).abs() < 1e-9);
    }
}
