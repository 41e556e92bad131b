//! Memory that follows the table: what parsing and the first batch needed goes back to the system.
//!
//! glibc gives each thread an arena of its own and lets its thresholds grow with the largest block that was
//! ever freed; a daemon that once read a large directory would keep all of that for good.
#![allow(unsafe_code)]

/// Blocks of this size and above are mapped, and unmapped when they are freed.
const MAPPED: libc::c_int = 128 << 10;

/// To be called before threads are started.
pub fn configure() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two integers; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
    }
}

/// Gives free memory back to the system; for moments after much of it was freed.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
