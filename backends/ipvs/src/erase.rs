//! Deletes virtual servers with all that they have, and ends their connections: for when nothing leads to them any
//! more, or nobody is to be served.

use kube_verdict_ipvs_codec::Order;
use kube_verdict_table::Family;

use crate::Marks;
use crate::kernel::{Error, Kernel};

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// virtual servers
    pub servers: usize,
    /// the connections that they had, those about to be forgotten included
    pub connections: u64,
}

/// Deletes every virtual server that has one of these marks, of both families.
///
/// # Errors
/// When the kernel cannot be asked or told. What was deleted before is.
pub fn erase(kernel: &mut impl Kernel, marks: Marks) -> Result<Erased, Error> {
    let mut erased = Erased::default();
    for family in Family::BOTH {
        let mut found = Vec::new();
        kernel.read(family, marks, &mut |server, real| {
            let connections = real
                .iter()
                .map(|listed| u64::from(listed.connections.active) + u64::from(listed.connections.inactive));
            found.push((Order::Delete(server.key), connections.sum::<u64>()));
        })?;
        let orders: Vec<Order> = found.iter().map(|(order, _)| *order).collect();
        if orders.is_empty() {
            continue;
        }
        // What is refused somebody else has deleted.
        let refused = kernel.run(&orders)?;
        for (index, (_, connections)) in found.iter().enumerate() {
            if refused.iter().all(|refusal| refusal.order != index) {
                erased.servers += 1;
                erased.connections += connections;
            }
        }
    }
    Ok(erased)
}

#[cfg(test)]
mod tests {
    use kube_verdict_ipvs_codec::{Key, Name, RealServer, VirtualServer};
    use kube_verdict_table::Backend;

    use super::*;
    use crate::kernel::key;
    use crate::kernel::memory::MemoryKernel;

    #[test]
    fn those_of_the_marks_go_and_no_others() {
        let mut kernel = MemoryKernel::default();
        let ours = [key(Family::V4, 0x4b00_0001), key(Family::V6, 0x4b00_0001), key(Family::V4, 0x4b00_0002)];
        let others =
            [key(Family::V4, 7), Key::Address { address: [10, 96, 0, 1].into(), protocol: 6, port: 80 }];
        for server in ours.iter().chain(&others) {
            let ip = if *server == ours[1] { "fd00:2::1" } else { "10.2.0.1" };
            let backend = Backend { ip: ip.parse().unwrap(), port: 8080 };
            let rr = Name::new("rr").unwrap();
            kernel.intrude(&Order::Add(VirtualServer::new(*server, rr))).unwrap();
            kernel.intrude(&Order::AddTo(*server, RealServer::new(backend.ip, backend.port))).unwrap();
            assert!(kernel.connect(server, backend, 1, 2));
        }
        // Somebody is faster.
        kernel.refuse = Some(Box::new(move |order| (*order.key() == ours[2]).then_some(libc::ESRCH)));
        let erased = erase(&mut kernel, Marks::DEFAULT).unwrap();
        assert_eq!(erased, Erased { servers: 2, connections: 6 });
        let left = kernel.contents().keys().copied().collect::<Vec<_>>();
        assert!(left.len() == 3 && others.iter().all(|other| left.contains(other)), "{left:?}");
    }
}
