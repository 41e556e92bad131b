//! How fast the machine is that the tests run on. Without KVM a virtual machine does everything several times slower
//! than the host, and unevenly so: waiting for what should come is longer there. That is said here and nowhere else.

use std::sync::OnceLock;
use std::time::Duration;

/// Set to the kernel's name by `scripts/vm/test.sh` in the machines that it makes.
const IN_MACHINE: &str = "KUBE_VERDICT_IN_MACHINE";
/// How many times longer everything may take there. Netlink and system calls take 3 to 10 times as long
/// when nothing else runs on the host.
const SLOWER: u32 = 6;

/// Whether this is an emulated machine.
pub fn is_emulated() -> bool {
    static EMULATED: OnceLock<bool> = OnceLock::new();
    *EMULATED.get_or_init(|| std::env::var_os(IN_MACHINE).is_some())
}

/// A time limit: how long what takes less than `here` on a host may take on this machine.
pub fn limit(here: Duration) -> Duration {
    here * if is_emulated() { SLOWER } else { 1 }
}

/// How often this machine does in the same time what a host does `here` times.
pub fn times(here: u64) -> u64 {
    here / if is_emulated() { u64::from(SLOWER) } else { 1 }
}

/// A count of seconds in which a test's own steps must fit, such as a timeout of affinity, on this machine.
pub fn seconds(here: u32) -> u32 {
    here * if is_emulated() { SLOWER / 2 } else { 1 }
}
