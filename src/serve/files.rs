//! Room for sockets: a listener for each Service that wants health checks may need more files than the soft
//! limit, which is low for the sake of programmes that use select(2). Go's runtime raises it the same way.
#![allow(unsafe_code)]

/// Raises the soft limit of open files to the hard one. If that is refused, things are as before.
pub(super) fn allow_many() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a valid rlimit that outlives them.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
