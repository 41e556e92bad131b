//! Random numbers that a seed repeats (xorshift64*): a failing random scenario prints its seed.

/// The generator.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() >> 11) as usize % bound
    }

    /// True once in `n` times, on average.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of the choices.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Each of the choices with probability one half.
    pub fn some<T: Copy>(&mut self, choices: &[T]) -> Vec<T> {
        choices.iter().copied().filter(|_| self.one_in(2)).collect()
    }
}

/// A seed from the clock, unless `KUBE_VERDICT_SEED` names one.
pub fn seed() -> u64 {
    match std::env::var("KUBE_VERDICT_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("KUBE_VERDICT_SEED={text:?} is not a number")),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |d| d.as_nanos() as u64),
    }
}
