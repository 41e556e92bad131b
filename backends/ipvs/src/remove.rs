//! Deletes every virtual server of ours, and with them the connections that they have. Nothing drains.

use std::io;

use kube_verdict_ipvs_codec::{self as codec, Load, Order};
use kube_verdict_table::Family;

use crate::Marks;
use crate::kernel::{Error, Kernel};

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// virtual servers
    pub servers: usize,
    /// the connections that they had
    pub connections: u64,
}

/// Deletes all virtual servers with such marks, of both families. One that somebody else deletes meanwhile counts.
pub fn remove(kernel: &mut impl Kernel, marks: Marks) -> Result<Removed, Error> {
    let (mut orders, mut connections) = (Vec::new(), 0);
    for family in Family::BOTH {
        kernel.read(family, marks, &mut |server, loads| {
            orders.push(Order::Delete(server.key));
            let count =
                |load: &Load| u64::from(load.connections.active) + u64::from(load.connections.inactive);
            connections += loads.iter().map(count).sum::<u64>();
        })?;
    }
    let refused = kernel.run(&orders)?;
    if let Some(refusal) = refused.iter().find(|refusal| refusal.errno != libc::ESRCH) {
        let why = io::Error::from_raw_os_error(refusal.errno);
        return Err(codec::Error::Refused { command: orders[refusal.order].command(), why }.into());
    }
    Ok(Removed { servers: orders.len(), connections })
}
