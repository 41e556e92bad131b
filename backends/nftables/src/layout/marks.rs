//! Who balances connections, and by which packet marks IPVS is told.
//!
//! A packet whose mark, but for the bits outside `mask`, is `value` is IPVS's business; the bits outside number its
//! virtual servers (`ipvsadm -f`). IPVS compares whole marks, so others' bits on a first packet are put aside until
//! IPVS has sent it on.

/// The marks of virtual servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// what the bits of the mask are
    pub value: u32,
    /// the bits that tell
    pub mask: u32,
}

impl Marks {
    /// How many numbers there are; 0 is none.
    pub fn capacity(self) -> u32 {
        u32::try_from((1u64 << self.mask.count_zeros()) - 1).unwrap_or(u32::MAX)
    }

    /// The mark of a number, whose bits are spread over those outside the mask.
    pub fn of(self, number: u32) -> u32 {
        let free = (0..u32::BITS).filter(|bit| self.mask & 1 << bit == 0);
        let spread = free.enumerate().filter(|(n, _)| number & 1 << n != 0);
        spread.fold(self.value, |mark, (_, bit)| mark | 1 << bit)
    }

    /// The number of a mark, if it is one of ours.
    pub fn number(self, mark: u32) -> Option<u32> {
        let free = (0..u32::BITS).filter(|bit| self.mask & 1 << bit == 0);
        let bits = free.enumerate().filter(|(_, bit)| mark & 1 << bit != 0);
        let number = bits.fold(0, |number, (n, _)| number | 1 << n);
        (mark & self.mask == self.value && number != 0).then_some(number)
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
    use super::*;

    #[test]
    fn numbers_are_in_the_bits_that_the_mask_leaves() {
        let marks = Marks { value: 0x4b00_0000, mask: 0xff00_0000 };
        assert_eq!((marks.of(1), marks.capacity()), (0x4b00_0001, 0x00ff_ffff));
        let scattered = Marks { value: 0x0000_1000, mask: 0x0000_f000 };
        assert_eq!(scattered.of(0x1_2345), 0x0012_1345);
        for number in [1, 2, 0xfff, 0x1000, 0x0fff_ffff] {
            assert_eq!(scattered.number(scattered.of(number)), Some(number));
        }
        assert_eq!(marks.number(0x4b00_0000), None);
        assert_eq!(marks.number(0x4c00_0001), None);
    }
}
