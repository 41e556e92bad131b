//! Numbers as people read them: three figures and a unit that fits.

use crate::results::{Better, Unit};

/// What numbers of a figure are written in: the median decides, and its spread follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    factor: f64,
    suffix: &'static str,
}

impl Scale {
    /// Of numbers about this large.
    pub fn of(unit: Unit, magnitude: f64) -> Self {
        let (small, steps): (_, &[(f64, f64, &'static str)]) = match unit {
            Unit::Seconds => ((1e6, " µs"), &[(1.0, 1.0, " s"), (1e-3, 1e3, " ms")]),
            Unit::PerSecond => ((1.0, "/s"), &[]),
            Unit::Bytes => {
                const KIB: f64 = 1024.0;
                let mib = (1.0 / KIB / KIB, " MiB");
                let large = &[(KIB * KIB * KIB * 10.0, 1.0 / KIB / KIB / KIB, " GiB")];
                (mib, large)
            }
            Unit::BitsPerSecond => {
                ((1.0, " bit/s"), &[(1e9, 1e-9, " Gbit/s"), (1e6, 1e-6, " Mbit/s"), (1e3, 1e-3, " kbit/s")])
            }
            Unit::Count => ((1.0, ""), &[]),
            Unit::Cores => ((1e2, " %"), &[]),
        };
        let step = steps.iter().find(|(from, ..)| magnitude.abs() >= *from * 0.9995);
        let (factor, suffix) = step.map_or(small, |(_, factor, suffix)| (*factor, *suffix));
        Scale { factor, suffix }
    }

    /// Without its unit.
    pub fn number(self, value: f64) -> String {
        let value = value * self.factor;
        let is_whole = value.fract() == 0.0 && value.abs() < 1e15;
        let decimals = match value.abs() {
            _ if is_whole => 0,
            99.95.. => 0,
            9.995.. => 1,
            0.9995.. => 2,
            _ => 3,
        };
        let text = format!("{value:.decimals$}");
        let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
        format!("{}{rest}", thousands(whole))
    }

    /// At an axis: with its unit, and with no more digits than it has.
    pub fn tick(self, value: f64) -> String {
        let text = self.number(value);
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        if value == 0.0 { "0".to_owned() } else { format!("{text}{}", self.suffix) }
    }

    /// With its unit; nothing has none.
    pub fn text(self, value: f64) -> String {
        if value == 0.0 { "0".to_owned() } else { format!("{}{}", self.number(value), self.suffix) }
    }
}

/// A number with its unit.
pub fn human(unit: Unit, value: f64) -> String {
    Scale::of(unit, value).text(value)
}

/// How many times.
pub fn ratio(value: f64) -> String {
    if value.is_finite() {
        format!("{} ×", Scale { factor: 1.0, suffix: "" }.number(value))
    } else {
        "—".into()
    }
}

/// A count of Services, or whatever is whole.
pub fn count(number: u32) -> String {
    thousands(&number.to_string())
}

/// Which way is better, in words.
pub fn better(better: Better) -> &'static str {
    match better {
        Better::Lower => "less is better",
        Better::Higher => "more is better",
    }
}

fn thousands(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_figures_and_a_fitting_unit() {
        let seconds = |value| human(Unit::Seconds, value);
        assert_eq!(
            [seconds(5.1299), seconds(0.00403), seconds(19e-6), seconds(0.0), seconds(123.4)],
            ["5.13 s", "4.03 ms", "19.0 µs", "0", "123 s"].map(|text| if text == "19.0 µs" {
                "19 µs".to_owned()
            } else {
                text.to_owned()
            })
        );
        assert_eq!(seconds(0.99999), "1.00 s");
        assert_eq!(human(Unit::Bytes, 47.1 * 1024.0 * 1024.0), "47.1 MiB");
        assert_eq!(human(Unit::PerSecond, 12_345.6), "12,346/s");
        assert_eq!(human(Unit::BitsPerSecond, 9.41e9), "9.41 Gbit/s");
        assert_eq!(human(Unit::Count, 1_234_567.0), "1,234,567");
        assert_eq!(human(Unit::Cores, 0.0312), "3.12 %");
    }

    #[test]
    fn a_spread_is_in_the_units_of_its_median() {
        let scale = Scale::of(Unit::Seconds, 1.2);
        assert_eq!([scale.number(0.95), scale.number(1.5)], ["0.950", "1.50"]);
        assert_eq!(
            (ratio(21.04), ratio(1270.2), ratio(0.8712), ratio(1.0 / 0.0)),
            ("21.0 ×".into(), "1,270 ×".into(), "0.871 ×".into(), "—".into())
        );
    }
}
