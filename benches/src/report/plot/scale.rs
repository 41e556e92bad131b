//! From numbers to places on paper: linear, or logarithmic where numbers differ too much, with nothing at the very end.

/// Numbers that differ by more are drawn logarithmically.
const MUCH: f64 = 20.0;

/// One axis.
#[derive(Clone, Debug)]
pub struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// on paper: where `low` is, where `high` is
    from: f64,
    to: f64,
    /// there is a place for 0 below the lowest number
    zero: bool,
}

/// Room for 0 on a logarithmic axis, of the paper's.
const ZERO: f64 = 18.0;

impl Axis {
    /// An axis for numbers, none of which is negative.
    pub fn of(numbers: &[f64], (from, to): (f64, f64)) -> Axis {
        let high = numbers.iter().copied().fold(0.0, f64::max);
        let positive = numbers.iter().copied().filter(|number| *number > 0.0);
        let low = positive.fold(f64::INFINITY, f64::min);
        if !low.is_finite() || high / low <= MUCH {
            let high = if high > 0.0 { ceiling(high) } else { 1.0 };
            return Axis { low: 0.0, high, logarithmic: false, from, to, zero: false };
        }
        let zero = numbers.contains(&0.0);
        Axis::logarithmic(low, high, (from, to), zero)
    }

    /// A logarithmic axis, from the decade of the lowest to the decade of the highest.
    pub fn logarithmic(low: f64, high: f64, (from, to): (f64, f64), zero: bool) -> Axis {
        let low = 10f64.powf((low.log10() + 1e-9).floor());
        let high = 10f64.powf((high.log10() - 1e-9).ceil()).max(low * 10.0);
        Axis { low, high, logarithmic: true, from, to, zero }
    }

    /// A logarithmic axis between two numbers, and no further.
    pub fn between(low: f64, high: f64, (from, to): (f64, f64)) -> Axis {
        Axis { low, high: high.max(low * 2.0), logarithmic: true, from, to, zero: false }
    }

    /// The same axis for numbers that are so many times larger.
    pub fn times(self, factor: f64) -> Axis {
        Axis { low: self.low * factor, high: self.high * factor, ..self }
    }

    /// Where a number is.
    pub fn place(&self, number: f64) -> f64 {
        let from = if self.zero { self.from + ZERO * (self.to - self.from).signum() } else { self.from };
        let share = match self.logarithmic {
            true if number <= 0.0 => return self.from,
            true => (number / self.low).log10() / (self.high / self.low).log10(),
            false => (number - self.low) / (self.high - self.low),
        };
        from + share.clamp(0.0, 1.0) * (self.to - from)
    }

    /// Numbers to be written at the axis.
    pub fn ticks(&self) -> Vec<f64> {
        if !self.logarithmic {
            return (0..=4u8).map(|step| self.high * f64::from(step) / 4.0).collect();
        }
        let decades = (self.high / self.low).log10().round() as i32;
        let every = (decades + 4) / 5;
        let decade = |number| self.low * 10f64.powi(number);
        let zero = self.zero.then_some(0.0);
        zero.into_iter().chain((0..=decades).step_by(every.max(1) as usize).map(decade)).collect()
    }
}

/// The next number that can be divided by four without many digits.
fn ceiling(number: f64) -> f64 {
    let decade = 10f64.powf(number.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * decade).find(|step| *step >= number).unwrap_or(decade * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_little_begins_at_nothing() {
        let axis = Axis::of(&[3.0, 5.5], (100.0, 0.0));
        assert_eq!((axis.place(0.0), axis.place(6.0), axis.place(3.0)), (100.0, 0.0, 50.0));
        assert_eq!(axis.ticks(), [0.0, 1.5, 3.0, 4.5, 6.0]);
    }

    #[test]
    fn what_differs_much_is_logarithmic_from_decade_to_decade() {
        let axis = Axis::of(&[0.004, 5.0], (400.0, 0.0));
        assert_eq!((axis.place(0.001), axis.place(10.0)), (400.0, 0.0));
        assert!((axis.place(0.1) - 200.0).abs() < 1e-6);
        assert_eq!(axis.ticks().len(), 5);
    }

    #[test]
    fn nothing_has_its_place_beside_a_logarithmic_axis() {
        let axis = Axis::of(&[0.0, 1.0, 1000.0], (400.0, 0.0));
        assert_eq!((axis.place(0.0), axis.place(1.0)), (400.0, 382.0));
        assert_eq!(axis.ticks()[0], 0.0);
    }

    #[test]
    fn only_nothing_is_an_axis_too() {
        let axis = Axis::of(&[0.0, 0.0], (10.0, 0.0));
        assert_eq!(axis.place(0.0), 10.0);
    }
}
