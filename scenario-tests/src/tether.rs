//! Child processes that end with the test, however it ends: a daemon left behind would keep its namespace
//! alive. This is the crate's only unsafe code.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::netns::Netns;

/// Keeps the thread alive that started a child: the kernel's parent-death signal follows threads.
#[derive(Debug)]
pub struct Tether {
    _alive: mpsc::Sender<()>,
}

/// Starts a child in a namespace; it is killed when the tether is dropped or this process dies.
///
/// # Panics
/// When it cannot be started.
pub fn spawn(netns: &Netns, command: Command) -> (Child, Tether) {
    try_spawn(netns, command).expect("starting a program")
}

/// The same, for programs that may not be there.
///
/// # Errors
/// It cannot be started.
pub fn try_spawn(netns: &Netns, mut command: Command) -> io::Result<(Child, Tether)> {
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(Into::into));
    }
    let (alive, ended) = mpsc::channel();
    let (give, take) = mpsc::channel();
    let netns = netns.share();
    std::thread::spawn(move || {
        netns.enter();
        let _ = give.send(command.spawn());
        let _ = ended.recv();
    });
    let child = take.recv().map_err(|_| io::Error::other("the starting thread has ended"))??;
    Ok((child, Tether { _alive: alive }))
}
