//! Who balances connections, and which packet marks are IPVS's. A mark is 32 bits that all programs of a machine share; those that have our
//! value in the bits of our mask are ours, and the bits outside the mask say which virtual server a packet is for.
//! So a virtual server whose mark has that value was made by us, and all others were not. What marks packets is not
//! here. Facts: IPVS compares the whole mark (ip_vs_ctl.c of the kernel, `__ip_vs_svc_fwm_find`).

use std::fmt;
use std::str::FromStr;

/// A value, and a mask of the bits that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Marks {
    value: u32,
    mask: u32,
}

/// Text or numbers that say no marks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMarks {
    /// not VALUE/MASK
    #[error("{0:?} is no VALUE/MASK: two numbers up to 0xffffffff, such as {default}", default = Marks::DEFAULT)]
    Text(String),
    /// a value that the mask has no bits for
    #[error("the value {value:#010x} has bits outside the mask {mask:#010x}: no packet would ever match")]
    OutsideMask {
        /// the value
        value: u32,
        /// the mask
        mask: u32,
    },
    /// a mask of nothing
    #[error("the mask is 0: every packet would be taken for one of IPVS's; name the bits that tell them")]
    NoMask,
    /// a value of nothing
    #[error(
        "the value is 0, which is what packets have that nobody marked; choose another within {mask:#010x}"
    )]
    NoValue {
        /// the mask
        mask: u32,
    },
    /// a mask of too much
    #[error("the mask {mask:#010x} leaves {left} bits to number virtual servers with; leave {least} or more",
        least = Marks::LEAST)]
    NoRoom {
        /// the mask
        mask: u32,
        /// bits outside it
        left: u32,
    },
}

impl Marks {
    /// What is taken when nobody says otherwise.
    pub const DEFAULT: Marks = Marks { value: 0x4b00_0000, mask: 0xff00_0000 };
    /// Bits that must be left for numbers.
    const LEAST: u32 = 16;

    /// Marks of this value, if they can be.
    pub fn new(value: u32, mask: u32) -> Result<Marks, NoMarks> {
        match mask.count_zeros() {
            32 => Err(NoMarks::NoMask),
            left if left < Marks::LEAST => Err(NoMarks::NoRoom { mask, left }),
            _ if value & !mask != 0 => Err(NoMarks::OutsideMask { value, mask }),
            _ if value == 0 => Err(NoMarks::NoValue { mask }),
            _ => Ok(Marks { value, mask }),
        }
    }

    /// What all of them have in the bits of the mask.
    pub fn value(self) -> u32 {
        self.value
    }

    /// The bits that tell them from others.
    pub fn mask(self) -> u32 {
        self.mask
    }

    /// Whether a packet or a virtual server with this mark is ours. It is even where it has no number: packets of
    /// established connections have none.
    pub fn is_ours(self, mark: u32) -> bool {
        mark & self.mask == self.value
    }

    /// The largest number that a mark can carry; the smallest is 1.
    pub fn capacity(self) -> u32 {
        1u32.checked_shl(self.mask.count_zeros()).map_or(u32::MAX, |count| count - 1)
    }

    /// The whole mark with this number, whose bits are those outside the mask, lowest first. None: there is no such
    /// number.
    pub fn mark(self, number: u32) -> Option<u32> {
        if number == 0 || number > self.capacity() {
            return None;
        }
        let free = (0..u32::BITS).map(|bit| 1 << bit).filter(|bit| self.mask & bit == 0);
        let set = free.enumerate().filter(|(index, _)| number >> index & 1 == 1);
        Some(set.fold(self.value, |mark, (_, bit)| mark | bit))
    }

    /// The number of a whole mark. None: it is not ours, or has none.
    pub fn number(self, mark: u32) -> Option<u32> {
        let free = (0..u32::BITS).map(|bit| 1 << bit).filter(|bit| self.mask & bit == 0);
        let number =
            free.enumerate().fold(0, |number, (index, bit)| number | u32::from(mark & bit != 0) << index);
        (self.is_ours(mark) && number != 0).then_some(number)
    }
}

impl Default for Marks {
    fn default() -> Self {
        Marks::DEFAULT
    }
}

impl fmt::Display for Marks {
    /// `0x4b000000/0xff000000`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}/{:#010x}", self.value, self.mask)
    }
}

impl FromStr for Marks {
    type Err = NoMarks;

    /// Two numbers, decimal or, after `0x`, hexadecimal.
    fn from_str(text: &str) -> Result<Self, NoMarks> {
        let number = |text: &str| match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) if digits.starts_with('+') => None,
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None if text.starts_with('+') => None,
            None => text.parse().ok(),
        };
        let numbers = text.split_once('/');
        let pair = numbers.and_then(|(value, mask)| Some((number(value.trim())?, number(mask.trim())?)));
        let (value, mask) = pair.ok_or_else(|| NoMarks::Text(text.to_owned()))?;
        Marks::new(value, mask)
    }
}

/// Who chooses a connection's backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balancer {
    /// chance, by slots
    #[default]
    Slots,
    /// the same, and IPVS still has connections from before, which go on
    SlotsBesideIpvs(Marks),
    /// IPVS
    Ipvs(Marks),
}

impl Balancer {
    /// The marks of connections that IPVS has.
    pub fn marks(self) -> Option<Marks> {
        match self {
            Balancer::Slots => None,
            Balancer::SlotsBesideIpvs(marks) | Balancer::Ipvs(marks) => Some(marks),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_read_and_written() {
        assert_eq!("0x4b000000/0xff000000".parse(), Ok(Marks::DEFAULT));
        assert_eq!(Marks::DEFAULT.to_string(), "0x4b000000/0xff000000");
        assert_eq!("1/1".parse(), Marks::new(1, 1));
        assert_eq!(" 256 / 0X00000F00 ".parse(), Marks::new(0x100, 0xf00));
        for text in ["", "/", "1", "0x1/", "0x/0xff", "1/2/3", "-1/1", "+1/1", "0x+1/1", "0x100000000/1"] {
            assert_eq!(text.parse::<Marks>(), Err(NoMarks::Text(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn impossible_ones_are_refused_and_it_is_said_why() {
        for (value, mask, words) in [
            (0x0100_0000, 0x0200_0000, "outside the mask"),
            (0, 0, "the mask is 0"),
            (0, 0xff, "the value is 0"),
            (1, u32::MAX, "leaves 0 bits"),
            (1, 0x1_ffff, "leaves 15 bits"),
        ] {
            let said = Marks::new(value, mask).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
        assert!(Marks::new(1, 0xffff).is_ok());
    }

    #[test]
    fn numbers_fill_the_bits_that_are_left_lowest_first() {
        assert_eq!(Marks::DEFAULT.mark(1), Some(0x4b00_0001));
        assert_eq!(Marks::DEFAULT.mark(0xff_ffff), Some(0x4bff_ffff));
        assert_eq!(Marks::DEFAULT.capacity(), 0xff_ffff);
        assert_eq!([0, 0x100_0000].map(|number| Marks::DEFAULT.mark(number)), [None; 2]);
        let odd = Marks::new(0x2, 0x0f0f_0002).unwrap();
        assert_eq!([1, 2, 3, 4].map(|number| odd.mark(number)), [0x3, 0x6, 0x7, 0xa].map(Some));
        assert_eq!([0x2, 0x3, 0x0100_0003].map(|mark| odd.is_ours(mark)), [true, true, false]);
        assert_eq!([0x2, 0x0100_0003].map(|mark| odd.number(mark)), [None; 2]);
    }

    proptest! {
        #[test]
        fn a_mark_and_its_number(mask in any::<u32>(), value in any::<u32>(), number in any::<u32>()) {
            let Ok(marks) = Marks::new(value & mask, mask) else { return Ok(()) };
            let number = number % marks.capacity() + 1;
            let mark = marks.mark(number).unwrap();
            prop_assert!(marks.is_ours(mark));
            prop_assert_eq!(marks.number(mark), Some(number));
            prop_assert_eq!(marks.to_string().parse(), Ok(marks));
        }
    }
}
