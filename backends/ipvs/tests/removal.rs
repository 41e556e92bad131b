//! Removing every virtual server of ours, on a kernel in memory.
#![allow(clippy::unwrap_used)] // a test may panic

mod common;

use common::*;
use kube_verdict_ipvs::kernel::key;
use kube_verdict_ipvs::kernel::memory::MemoryKernel;
use kube_verdict_ipvs::{Marks, Removed, remove};
use kube_verdict_ipvs_codec::{Key, Name, Order, VirtualServer};
use kube_verdict_table::Family;

/// One of ours in each family, with a mark that has a number and with one that has none; and two of others.
fn kernel() -> (MemoryKernel, [Key; 2]) {
    let mut kernel = MemoryKernel::default();
    let others = [key(V4, 77), key(Family::V6, 0x4c00_0001)];
    let ours = [server_key(1), key(Family::V6, mark(9)), key(V4, Marks::DEFAULT.value())];
    for key in ours.into_iter().chain(others) {
        let server = VirtualServer::new(key, Name::new("rr").unwrap());
        kernel.intrude(&Order::Add(server)).unwrap();
    }
    kernel.intrude(&Order::AddTo(server_key(1), real(2, 1))).unwrap();
    kernel.intrude(&Order::AddTo(server_key(1), real(3, 0))).unwrap();
    assert!(
        kernel.connect(&server_key(1), backend(2), 3, 1) && kernel.connect(&server_key(1), backend(3), 0, 2)
    );
    (kernel, others)
}

#[test]
fn ours_go_with_their_connections_and_no_others() {
    let (mut kernel, others) = kernel();
    let removed = remove(&mut kernel, Marks::DEFAULT).unwrap();
    assert_eq!(removed, Removed { servers: 3, connections: 6, refused: 0 });
    assert_eq!(kernel.contents().keys().copied().collect::<Vec<_>>(), others);
    assert_eq!(remove(&mut kernel, Marks::DEFAULT).unwrap(), Removed::default());
    let theirs: Marks = "0x4c000000/0xff000000".parse().unwrap();
    assert_eq!(remove(&mut kernel, theirs).unwrap().servers, 1);
}

#[test]
fn one_that_stays_stops_no_other_and_one_that_is_gone_is_none() {
    for (errno, refused) in [(libc::EBUSY, 1), (libc::ESRCH, 0)] {
        let (mut kernel, _) = kernel();
        kernel.refuse =
            Some(Box::new(move |order| (*order == Order::Delete(server_key(1))).then_some(errno)));
        let removed = remove(&mut kernel, Marks::DEFAULT).unwrap();
        assert_eq!(removed, Removed { servers: 2, connections: 0, refused });
    }
}
