//! Go's spelling of durations, `1h15m30.5s`, as the configuration file uses it (reference §15.1).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// A signed duration in nanoseconds: negative ones can be written, and are refused by validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(i64);

const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// Nothing.
    pub const ZERO: GoDuration = GoDuration(0);

    /// That many nanoseconds.
    pub const fn nanoseconds(nanoseconds: i64) -> Self {
        GoDuration(nanoseconds)
    }

    /// Whole seconds.
    pub const fn seconds(seconds: i64) -> Self {
        GoDuration(seconds.saturating_mul(1_000_000_000))
    }

    /// Whether it is less than nothing.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// As a [`Duration`]; nothing if negative.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

/// A duration on the command line that is to be longer than nothing.
///
/// # Errors
/// What is wrong with the text.
pub fn positive(text: &str) -> Result<Duration, String> {
    let duration: GoDuration = text.parse()?;
    if duration <= GoDuration::ZERO {
        return Err(format!("{text:?} is no time at all: write one such as 24h"));
    }
    Ok(duration.to_std())
}

impl FromStr for GoDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a duration such as 30s or 1h0m0s");
        let (sign, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (-1, &text[1..]),
            Some(b'+') => (1, &text[1..]),
            _ => (1, text),
        };
        if rest == "0" {
            return Ok(GoDuration::ZERO);
        }
        if rest.is_empty() {
            return Err(bad());
        }
        let mut total: i64 = 0;
        while !rest.is_empty() {
            let (nanoseconds, after) = term(rest).ok_or_else(bad)?;
            total = total.checked_add(nanoseconds).ok_or_else(bad)?;
            rest = after;
        }
        Ok(GoDuration(sign * total))
    }
}

/// One number with its unit, and what follows.
fn term(text: &str) -> Option<(i64, &str)> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let (_, scale) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut place = scale;
    let mut total = whole.checked_mul(scale)?;
    for digit in fraction.bytes() {
        place /= 10;
        total = total.checked_add(place * i64::from(digit - b'0'))?;
    }
    Some((total, rest))
}

impl fmt::Display for GoDuration {
    /// Go's own spelling: `1h0m0s`, `1.5s`, `300ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match nanoseconds {
            0 => return f.write_str("0s"),
            1..1_000 => return write!(f, "{nanoseconds}ns"),
            1_000..1_000_000 => return write!(f, "{}µs", decimal(nanoseconds, 1_000)),
            1_000_000..1_000_000_000 => return write!(f, "{}ms", decimal(nanoseconds, 1_000_000)),
            _ => {}
        }
        let (hours, rest) = (nanoseconds / 3_600_000_000_000, nanoseconds % 3_600_000_000_000);
        let (minutes, rest) = (rest / 60_000_000_000, rest % 60_000_000_000);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(rest, 1_000_000_000))
    }
}

/// `value / scale` without trailing zeros.
fn decimal(value: u64, scale: u64) -> String {
    let (whole, fraction) = (value / scale, value % scale);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = scale.ilog10() as usize;
    format!("{whole}.{}", format!("{fraction:0digits$}").trim_end_matches('0'))
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_go_reads() {
        let nanoseconds = |text: &str| text.parse::<GoDuration>().unwrap().0;
        assert_eq!(nanoseconds("30s"), 30_000_000_000);
        assert_eq!(nanoseconds("1h0m0s"), 3_600_000_000_000);
        assert_eq!(nanoseconds("1h15m30.918273645s"), 4_530_918_273_645);
        assert_eq!(nanoseconds("-1.5h"), -5_400_000_000_000);
        assert_eq!(nanoseconds("300ms"), 300_000_000);
        assert_eq!(nanoseconds("2us3µs4μs5ns"), 9_005);
        assert_eq!(nanoseconds(".5s"), 500_000_000);
        assert_eq!(nanoseconds("0"), 0);
        assert_eq!(nanoseconds("+5s"), 5_000_000_000);
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in ["", "3", "-", "s", ".s", "30", "1d", "1.2.3s", "1 s", " 1s", "9999999h", "1s-"] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_go_writes() {
        for text in ["30s", "1h0m0s", "15m0s", "1.5s", "300ms", "0s", "24h0m0s", "-1m5s", "1.001µs", "3ns"] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanoseconds in i64::MIN + 1..=i64::MAX) {
            let duration = GoDuration(nanoseconds);
            prop_assert_eq!(duration.to_string().parse::<GoDuration>(), Ok(duration));
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,20}") {
            let _ = text.parse::<GoDuration>();
        }
    }
}
