//! One number for many.

/// The sample below which so many hundredths are: of a hundred the 99th for 99. None of nothing.
pub fn percentile(sorted: &[f64], hundredths: u32) -> Option<f64> {
    let rank = (sorted.len() * hundredths as usize).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

/// The same, in order.
pub fn sorted(mut samples: Vec<f64>) -> Vec<f64> {
    samples.sort_unstable_by(f64::total_cmp);
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred() {
        let samples = sorted((1..=100).rev().map(f64::from).collect());
        let of = |hundredths| percentile(&samples, hundredths);
        assert_eq!((of(0), of(50), of(99), of(100)), (Some(1.0), Some(50.0), Some(99.0), Some(100.0)));
    }

    #[test]
    fn of_few_and_of_none() {
        assert_eq!((percentile(&[3.0], 50), percentile(&[3.0], 99)), (Some(3.0), Some(3.0)));
        assert_eq!(percentile(&[1.0, 2.0, 3.0], 50), Some(2.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
