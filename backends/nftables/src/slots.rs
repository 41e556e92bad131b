//! Which backend stands in which slot.
//!
//! The table says which backends a frontend has, in no particular place. Here they keep the slot they have, so
//! that a change writes as few elements as it can, and a restart, which reads the slots back, writes none.

use kube_verdict_table::Backend;

/// Places `wanted` (sorted, without duplicates) into slots `0..wanted.len()`, moving as few as possible from
/// where `before` has them.
pub fn assign(before: &[Backend], wanted: &[Backend]) -> Box<[Backend]> {
    if before == wanted {
        return wanted.into();
    }
    let mut taken = vec![false; wanted.len()];
    let mut slots: Vec<Option<Backend>> = vec![None; wanted.len()];
    for (slot, backend) in slots.iter_mut().zip(before) {
        if let Ok(index) = wanted.binary_search(backend)
            && !taken[index]
        {
            taken[index] = true;
            *slot = Some(*backend);
        }
    }
    let mut homeless = wanted.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(backend, _)| *backend);
    // As many are homeless as slots are free: both are what `wanted` has beyond those that stayed.
    slots.into_iter().map_while(|slot| slot.or_else(|| homeless.next())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends(ports: &[u16]) -> Vec<Backend> {
        ports.iter().map(|port| Backend { ip: [10, 0, 0, 1].into(), port: *port }).collect()
    }

    #[test]
    fn who_stays_keeps_its_slot() {
        let cases: [(&[u16], &[u16], &[u16]); 7] = [
            (&[], &[1, 2, 3], &[1, 2, 3]),
            (&[1, 2, 3], &[1, 2, 3], &[1, 2, 3]),
            (&[3, 1, 2], &[1, 2, 3], &[3, 1, 2]),
            (&[3, 1, 2], &[1, 2, 3, 4], &[3, 1, 2, 4]),
            (&[3, 1, 2], &[1, 2, 4], &[4, 1, 2]),
            (&[3, 1, 2], &[1, 2], &[2, 1]),
            (&[1, 1, 2], &[1, 2, 3], &[1, 3, 2]),
        ];
        for (before, wanted, expected) in cases {
            assert_eq!(
                *assign(&backends(before), &backends(wanted)),
                *backends(expected),
                "{before:?} {wanted:?}"
            );
        }
    }
}
