//! Removes every virtual server of our marks, whoever made it and whatever it is like; none of others.

use kube_verdict_ipvs_codec::Order;
use kube_verdict_table::Family;

use crate::Marks;
use crate::kernel::{Error, Kernel};

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// virtual servers
    pub servers: usize,
    /// connections that went with them: established ones, and those that began or ended
    pub connections: u64,
    /// virtual servers that the kernel did not let go of
    pub refused: usize,
}

/// Removes them in both families. One that somebody else deletes meanwhile is not counted.
pub fn remove(kernel: &mut impl Kernel, marks: Marks) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    for family in Family::BOTH {
        let mut found = Vec::new();
        kernel.read(family, marks, &mut |server, real| {
            let connections = real.iter().map(|real| real.connections);
            let connections =
                connections.map(|of| u64::from(of.active) + u64::from(of.inactive)).sum::<u64>();
            found.push((Order::Delete(server.key), connections));
        })?;
        let orders: Vec<Order> = found.iter().map(|(order, _)| *order).collect();
        let refused = kernel.run(&orders)?;
        for (index, (_, connections)) in found.into_iter().enumerate() {
            match refused.iter().find(|refusal| refusal.order == index) {
                None => {
                    removed.servers += 1;
                    removed.connections += connections;
                }
                Some(refusal) => removed.refused += usize::from(refusal.errno != libc::ESRCH),
            }
        }
    }
    Ok(removed)
}
