//! How many CPUs the host has. Not how many this process may use: conntrack's table is the host's (reference
//! §16).

use super::tree::Tree;

const ONLINE: &str = "/sys/devices/system/cpu/online";

/// The CPUs that are online, or those that this process sees where there is no sysfs.
pub(super) fn count(tree: &Tree) -> u64 {
    let online = tree.read(ONLINE).ok().and_then(|text| count_in(&text)).filter(|count| *count > 0);
    online.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |count| count.get() as u64))
}

/// `0-3,5`
fn count_in(list: &str) -> Option<u64> {
    list.split(',')
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            last.checked_sub(first)?.checked_add(1)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(count_in("0"), Some(1));
        assert_eq!(count_in("0-3,5"), Some(5));
        assert_eq!(count_in("0-255"), Some(256));
        for text in ["", "a", "3-0", "0-"] {
            assert_eq!(count_in(text), None, "{text}");
        }
    }
}
