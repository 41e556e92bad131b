//! How much samples of the same thing differ, and whether two sets of them differ by more than that.

/// The middle and the ends of some samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// half of the samples are below, half above
    pub median: f64,
    /// the lowest
    pub low: f64,
    /// the highest
    pub high: f64,
    /// how many there are
    pub count: usize,
}

impl Spread {
    /// Of these samples; none of nothing.
    pub fn of(samples: &[f64]) -> Option<Spread> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len().is_multiple_of(2) {
            true => f64::midpoint(sorted[middle - 1], sorted[middle]),
            false => sorted[middle],
        };
        Some(Spread { median, low, high, count: sorted.len() })
    }
}

/// How two figures stand to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparison {
    /// the samples of one reach into those of the other, or the medians differ by less than a twentieth
    Equal,
    /// the first is so many times the second, and none of its samples is as high as one of the second's
    Lower(f64),
    /// the first is so many times the second, and all of its samples are higher than the second's
    Higher(f64),
}

/// Medians that differ by less than this share are equal, whatever their spread: nobody would notice.
const NOTICEABLE: f64 = 0.05;

/// Compares the first with the second. Fewer than three samples of either say nothing about noise, so a spread of a tenth
/// around each median is assumed there at least.
pub fn compare(first: &[f64], second: &[f64]) -> Option<Comparison> {
    let (first, second) = (Spread::of(first)?.widened(), Spread::of(second)?.widened());
    let ratio = first.median / second.median;
    let close =
        (first.median - second.median).abs() <= NOTICEABLE * first.median.abs().max(second.median.abs());
    Some(if close {
        Comparison::Equal
    } else if first.high < second.low {
        Comparison::Lower(ratio)
    } else if first.low > second.high {
        Comparison::Higher(ratio)
    } else {
        Comparison::Equal
    })
}

impl Spread {
    /// Two samples may be close by chance.
    fn widened(self) -> Spread {
        if self.count >= 3 {
            return self;
        }
        let (low, high) = (self.low.min(self.median * 0.9), self.high.max(self.median * 1.1));
        Spread { low, high, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_equal() {
        assert_eq!(compare(&[1.0, 2.0, 3.0], &[2.5, 3.5, 4.5]), Some(Comparison::Equal));
        assert_eq!(compare(&[1.0, 1.01, 1.02], &[1.03, 1.04, 1.05]), Some(Comparison::Equal));
        assert_eq!(compare(&[0.0], &[0.0]), Some(Comparison::Equal));
        assert_eq!(compare(&[], &[1.0]), None);
    }

    #[test]
    fn what_does_not_is_lower_or_higher() {
        assert_eq!(compare(&[1.0, 1.0, 1.1], &[2.0, 2.0, 2.2]), Some(Comparison::Lower(0.5)));
        assert_eq!(compare(&[4.0, 4.0, 4.1], &[2.0, 2.0, 2.2]), Some(Comparison::Higher(2.0)));
    }

    #[test]
    fn a_single_sample_is_not_exact() {
        assert_eq!(compare(&[1.0], &[1.15]), Some(Comparison::Equal));
        assert_eq!(compare(&[1.0], &[1.5]), Some(Comparison::Lower(1.0 / 1.5)));
    }
}
