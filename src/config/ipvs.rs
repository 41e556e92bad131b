//! `mode: ipvs`: by what IPVS balances, how long it remembers, and which packet marks it is given (reference §12,
//! §15.2). What it shares with the other modes, masquerading and periods, is in [`Effective`](super::Effective).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use kube_verdict_table::parse_scheduler;

use super::duration::GoDuration;
use super::file::File;

/// kube-proxy's, when nothing is asked for.
const SCHEDULER: &str = "rr";

/// What IPVS is to be like. A timeout of zero leaves the kernel's value alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipvs {
    /// the scheduler, with its flags, of Services that ask for none: `rr`, `sh,sh-port`
    /// ([`parse_scheduler`] has the form)
    pub scheduler: Arc<str>,
    /// how long an established TCP connection may be idle
    pub tcp_timeout: Duration,
    /// how long a TCP connection is kept that is being closed
    pub tcp_fin_timeout: Duration,
    /// how long a UDP flow may be idle
    pub udp_timeout: Duration,
    /// whose packets are IPVS's, and which virtual servers are ours
    pub marks: Marks,
}

impl Ipvs {
    /// What a validated and complete file says.
    pub(super) fn of(file: &File, marks: Marks) -> Self {
        let section = file.ipvs.clone().unwrap_or_default();
        let scheduler = parse_scheduler(section.scheduler.as_deref().unwrap_or_default()).ok().flatten();
        let scheduler = match scheduler.as_deref() {
            None => SCHEDULER.into(),
            // kube-proxy's mh hashes the client's port as well.
            Some("mh") => "mh,mh-port".into(),
            Some(scheduler) => scheduler.into(),
        };
        let duration = |value: Option<GoDuration>| value.unwrap_or_default().to_std();
        Ipvs {
            scheduler,
            tcp_timeout: duration(section.tcp_timeout),
            tcp_fin_timeout: duration(section.tcp_fin_timeout),
            udp_timeout: duration(section.udp_timeout),
            marks,
        }
    }
}

/// Packet marks that are ours to give to IPVS: those that, under the mask, are the value. The bits outside of the
/// mask number virtual servers. `0x4b000000/0xff000000`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    value: u32,
    mask: u32,
}

impl Marks {
    /// Fewer bits to number virtual servers with would not do.
    const LEAST_BITS: u32 = 16;

    /// The value.
    pub fn value(self) -> u32 {
        self.value
    }

    /// The bits that count.
    pub fn mask(self) -> u32 {
        self.mask
    }
}

impl Default for Marks {
    /// 24 bits for numbers, and a value that no well-known tool uses.
    fn default() -> Self {
        Marks { value: 0x4b00_0000, mask: 0xff00_0000 }
    }
}

impl FromStr for Marks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(value, mask)| Some((number(value)?, number(mask)?)));
        let Some((value, mask)) = numbers else {
            return Err(format!("{text:?} is not VALUE/MASK, such as {}", Marks::default()));
        };
        if value & !mask != 0 {
            return Err(format!("{value:#x} has bits that the mask {mask:#x} does not have"));
        }
        if value == 0 {
            return Err("the value must not be 0, which is the mark of every packet that has none".into());
        }
        let bits = mask.count_zeros();
        if bits < Marks::LEAST_BITS {
            return Err(format!(
                "the mask {mask:#x} leaves {bits} bits to number virtual servers with: leave {} at least",
                Marks::LEAST_BITS
            ));
        }
        Ok(Marks { value, mask })
    }
}

/// `0x4b`, `75`
fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // Without a sign, which the standard library would take.
    Some(digits).filter(|digits| !digits.starts_with('+')).and_then(|d| u32::from_str_radix(d, radix).ok())
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}/{:#x}", self.value, self.mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_a_value_and_a_mask() {
        for (text, value, mask) in [
            ("0x4b000000/0xff000000", 0x4b00_0000, 0xff00_0000),
            ("0x1/0xffff", 1, 0xffff),
            (" 256 / 0X00000F00 ", 0x100, 0xf00),
            ("0x80000000/0x80000000", 0x8000_0000, 0x8000_0000),
        ] {
            let marks: Marks = text.parse().unwrap();
            assert_eq!((marks.value(), marks.mask()), (value, mask), "{text}");
            assert_eq!(marks.to_string().parse(), Ok(marks));
        }
        assert_eq!(Marks::default().to_string().parse(), Ok(Marks::default()));
    }

    #[test]
    fn impossible_marks_are_refused_with_the_reason() {
        for (text, expected) in [
            ("", "is not VALUE/MASK, such as 0x4b000000/0xff000000"),
            ("0x4b000000", "is not VALUE/MASK"),
            ("ff/0xff", "is not VALUE/MASK"),
            ("+1/0xff", "is not VALUE/MASK"),
            ("-1/0xff", "is not VALUE/MASK"),
            ("0x1/0x1ffffffff", "is not VALUE/MASK"),
            ("0x4b000001/0xff000000", "has bits that the mask 0xff000000 does not have"),
            ("1/0", "has bits that the mask 0x0"),
            ("0/0", "must not be 0"),
            ("0/0xff", "must not be 0"),
            ("1/0xffffffff", "leaves 0 bits"),
            ("1/0x1ffff", "leaves 15 bits to number virtual servers with: leave 16 at least"),
        ] {
            let message = text.parse::<Marks>().unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
