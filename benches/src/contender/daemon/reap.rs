//! `wait4`: waiting for a child, and what it used. The standard library waits without saying the latter. This is the
//! crate's only unsafe code.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::libc;

/// How a child ended.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    /// its status
    pub status: ExitStatus,
    /// the most that it, or one of the children that it waited for, had resident, bytes; or this process, when the
    /// child was made, if that was more
    pub peak: u64,
}

/// Waits for a child's end, or only looks whether it has ended. Whoever has been told of the end does not ask again: the
/// number may be another's then.
pub fn reap(pid: u32, wait: bool) -> io::Result<Option<Reaped>> {
    let mut status = 0;
    // SAFETY: a structure of plain numbers, for which nothing is a value like any other.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let flags = if wait { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: both pointers lead to values of the right types that live until the call is over.
        match unsafe { libc::wait4(pid.cast_signed(), &raw mut status, flags, &raw mut usage) } {
            -1 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
            0 => return Ok(None),
            _ => break,
        }
    }
    let peak = u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024;
    Ok(Some(Reaped { status: ExitStatus::from_raw(status), peak }))
}
