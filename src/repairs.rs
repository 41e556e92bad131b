//! Repairs of what somebody else changed: of what there are any, and how long to rest after one. The first is at once;
//! should the same be changed again and again, as another program would that believes it to be its own, each pause is
//! twice the one before. Time is handed in.

use std::time::{Duration, Instant};

/// What is ours in the kernel, and others may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    /// the tables of nftables
    Tables,
    /// the virtual servers of IPVS
    VirtualServers,
    /// the rules and routes that lead to IPVS
    Routing,
}

impl Ours {
    /// All of it.
    pub const ALL: [Ours; 3] = [Ours::Tables, Ours::VirtualServers, Ours::Routing];

    /// As metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Ours::Tables => "nftables",
            Ours::VirtualServers => "ipvs",
            Ours::Routing => "routing",
        }
    }
}

/// The pause after the first repair.
pub const PAUSE: Duration = Duration::from_millis(20);
/// After so much time without a repair the next one is the first again; longer, if pauses are longer.
const CALM: Duration = Duration::from_secs(10);

/// The repairs of one thing.
#[derive(Debug)]
pub struct Repairs {
    longest: Duration,
    /// the last, and the pause after it
    last: Option<(Instant, Duration)>,
}

impl Repairs {
    /// None yet. No pause will be longer than this, if this is not shorter than the first.
    pub fn new(longest: Duration) -> Self {
        Repairs { longest, last: None }
    }

    /// One took place; the pause after it.
    pub fn repaired(&mut self, now: Instant) -> Duration {
        let pause = match self.last {
            Some((at, pause)) if now < at + CALM.max(pause * 2) => pause * 2,
            _ => PAUSE,
        };
        let pause = pause.min(self.longest.max(PAUSE));
        self.last = Some((now, pause));
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fight_slows_down() {
        let mut now = Instant::now();
        let mut repairs = Repairs::new(Duration::from_secs(30));
        let pauses: Vec<u128> = (0..13)
            .map(|_| {
                let pause = repairs.repaired(now);
                now += pause;
                pause.as_millis()
            })
            .collect();
        let doubled = (0..11).map(|n| 20 << n);
        assert_eq!(pauses, doubled.chain([30_000; 2]).collect::<Vec<u128>>());
        assert_eq!(repairs.repaired(now + Duration::from_secs(90)), PAUSE);
    }
}
