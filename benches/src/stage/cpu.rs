//! Where the threads of clients and of the server run.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Binds the calling thread to the last of the cores that it may use; does nothing if there is one only, or if that is
/// not allowed.
pub fn pin() {
    let this = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(this) else { return };
    let Some(last) = (0..CpuSet::count()).rev().find(|core| allowed.is_set(*core).unwrap_or(false)) else {
        return;
    };
    let mut only = CpuSet::new();
    if only.set(last).is_ok() {
        let _ = sched_setaffinity(this, &only);
    }
}
