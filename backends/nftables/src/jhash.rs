//! Bob Jenkins' lookup3 hash as the kernel has it (`jhash()` of linux/jhash.h), so that we can say which
//! number nftables' `jhash` expression will give to a packet.

const INITVAL: u32 = 0xdead_beef;

/// The hash of `key` as `jhash(key, len, seed)` on a little-endian machine; words are read in host order.
pub fn jhash(key: &[u8], seed: u32) -> u32 {
    let start = INITVAL.wrapping_add(key.len() as u32).wrapping_add(seed);
    let mut state = [start; 3];
    let mut rest = key;
    while rest.len() > 12 {
        let (block, tail) = rest.split_at(12);
        add(&mut state, block);
        mix(&mut state);
        rest = tail;
    }
    if !rest.is_empty() {
        add(&mut state, rest);
        finish(&mut state);
    }
    state[2]
}

/// Adds up to three words, the last one filled with zeros.
fn add(state: &mut [u32; 3], bytes: &[u8]) {
    for (word, chunk) in state.iter_mut().zip(bytes.chunks(4)) {
        let mut padded = [0u8; 4];
        padded[..chunk.len()].copy_from_slice(chunk);
        *word = word.wrapping_add(u32::from_ne_bytes(padded));
    }
}

/// `__jhash_mix`
fn mix([a, b, c]: &mut [u32; 3]) {
    let step = |x: &mut u32, y: &mut u32, z: &mut u32, bits: u32| {
        *x = x.wrapping_sub(*z);
        *x ^= z.rotate_left(bits);
        *z = z.wrapping_add(*y);
    };
    step(a, b, c, 4);
    step(b, c, a, 6);
    step(c, a, b, 8);
    step(a, b, c, 16);
    step(b, c, a, 19);
    step(c, a, b, 4);
}

/// `__jhash_final`
fn finish([a, b, c]: &mut [u32; 3]) {
    let step = |x: &mut u32, y: u32, bits: u32| {
        *x ^= y;
        *x = x.wrapping_sub(y.rotate_left(bits));
    };
    step(c, *b, 14);
    step(a, *c, 11);
    step(b, *a, 25);
    step(c, *b, 16);
    step(a, *c, 4);
    step(b, *a, 14);
    step(c, *b, 24);
}

#[cfg(test)]
mod tests {
    use super::jhash;

    /// The kernel's own cases: lib/test_hash.c has none for jhash; these are lookup3.c's `hashlittle`
    /// driver5 values, which jhash follows but for the start value being the same.
    #[test]
    fn as_lookup3_says() {
        assert_eq!(jhash(b"", 0), 0xdead_beef);
        assert_eq!(jhash(b"", 0xdead_beef), 0xbd5b_7dde);
        assert_eq!(jhash(b"Four score and seven years ago", 0), 0x1777_0551);
        assert_eq!(jhash(b"Four score and seven years ago", 1), 0xcd62_8161);
    }
}
