//! Which rate to try next.

/// Changes a second.
const RUNGS: [u32; 9] = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000];
/// Every contender begins here, so that there is a rate at which all can be compared.
const FIRST: usize = 4;
/// Rungs taken at once while it goes one way only.
const STRIDE: usize = 2;

/// A ladder of rates, climbed with as few trials as will do: by two rungs up or down until one is held and a higher one
/// is not, then what lies between.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ladder {
    /// the highest rung that was held
    held: Option<usize>,
    /// the lowest that was not
    failed: Option<usize>,
}

impl Ladder {
    /// The next rate; none when there is nothing left to find out.
    pub fn next(&self) -> Option<u32> {
        let top = RUNGS.len() - 1;
        let rung = match (self.held, self.failed) {
            (None, None) => Some(FIRST),
            (Some(held), None) => (held < top).then(|| top.min(held + STRIDE)),
            (None, Some(failed)) => (failed > 0).then(|| failed.saturating_sub(STRIDE)),
            (Some(held), Some(failed)) => (failed > held + 1).then(|| usize::midpoint(held, failed)),
        };
        rung.map(|rung| RUNGS[rung])
    }

    /// What became of [`Ladder::next`].
    pub fn tried(&mut self, rate: u32, was_held: bool) {
        let rung = RUNGS.iter().position(|rung| *rung == rate);
        match was_held {
            true => self.held = self.held.max(rung),
            false => self.failed = [self.failed, rung].into_iter().flatten().min(),
        }
    }

    /// The highest rate that was held; 0: none.
    pub fn highest(&self) -> u32 {
        self.held.map_or(0, |rung| RUNGS[rung])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates that are tried of somebody who holds so many changes a second.
    fn climb(limit: u32) -> (Vec<u32>, u32) {
        let (mut ladder, mut tried) = (Ladder::default(), Vec::new());
        while let Some(rate) = ladder.next() {
            tried.push(rate);
            ladder.tried(rate, rate <= limit);
        }
        (tried, ladder.highest())
    }

    #[test]
    fn the_highest_rung_that_is_held_is_found() {
        assert_eq!(climb(50_000), (vec![100, 1000, 10_000], 10_000));
        assert_eq!(climb(5000), (vec![100, 1000, 10_000, 3000], 3000));
        assert_eq!(climb(999), (vec![100, 1000, 300], 300));
        assert_eq!(climb(100), (vec![100, 1000, 300], 100));
        assert_eq!(climb(20), (vec![100, 10, 30], 10));
        assert_eq!(climb(1), (vec![100, 10, 1, 3], 1));
        assert_eq!(climb(0), (vec![100, 10, 1], 0));
    }
}
