//! The machine's own nf_tables: a network namespace for each test, and nft. Needs root.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a test on a thread in a new network namespace.
pub fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
            .expect("these tests need root (CAP_SYS_ADMIN)");
        test();
    });
    thread.join().expect("the test's thread");
}

/// Runs nft.
pub fn nft(arguments: &[&str], input: &str) -> String {
    let mut nft = Command::new("nft")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need nft: apt-get install nftables");
    nft.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = nft.wait_with_output().unwrap();
    assert!(output.status.success(), "nft {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
