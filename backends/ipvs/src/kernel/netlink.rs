//! The real kernel. Its socket is opened when it is first needed, and anew after it failed, in the network
//! namespace of the thread that does so.

use kube_verdict_ipvs_codec::{Ipvs, Load, Order, Refusal, Timeouts, VirtualServer};
use kube_verdict_table::Family;

use super::{Error, Kernel, key, our_mark};
use crate::Marks;

/// The kernel's IPVS over generic netlink.
#[derive(Debug, Default)]
pub struct Netlink {
    ipvs: Option<Ipvs>,
}

impl Netlink {
    /// Finds IPVS in the kernel, which loads it if it can.
    pub fn open() -> Result<Netlink, Error> {
        Ok(Netlink { ipvs: Some(Ipvs::open()?) })
    }

    /// Does something with the socket, which is not used again if that fails: answers may still be on their way.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Ipvs) -> Result<T, kube_verdict_ipvs_codec::Error>,
    ) -> Result<T, Error> {
        let mut ipvs = match self.ipvs.take() {
            Some(ipvs) => ipvs,
            None => Ipvs::open()?,
        };
        let done = work(&mut ipvs)?;
        self.ipvs = Some(ipvs);
        Ok(done)
    }
}

impl Kernel for Netlink {
    fn read(
        &mut self,
        family: Family,
        marks: Marks,
        each: &mut dyn FnMut(&VirtualServer, &[Load]),
    ) -> Result<(), Error> {
        let mut loads = Vec::new();
        self.with(|ipvs| {
            for listed in ipvs.virtual_servers()? {
                if our_mark(&listed.server.key, family, marks).is_some() {
                    ipvs.loads(&listed.server.key, &mut loads)?;
                    each(&listed.server, &loads);
                }
            }
            Ok(())
        })
    }

    fn run(&mut self, orders: &[Order]) -> Result<Vec<Refusal>, Error> {
        let refused = self.with(|ipvs| ipvs.run(orders))?;
        match refused.iter().any(|refusal| refusal.errno == libc::EPERM) {
            true => Err(Error::Denied),
            false => Ok(refused),
        }
    }

    fn real_servers(
        &mut self,
        family: Family,
        marks: &[u32],
        each: &mut dyn FnMut(u32, &[Load]),
    ) -> Result<(), Error> {
        let mut loads = Vec::new();
        self.with(|ipvs| {
            for mark in marks {
                ipvs.loads(&key(family, *mark), &mut loads)?;
                each(*mark, &loads);
            }
            Ok(())
        })
    }

    fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), Error> {
        self.with(|ipvs| ipvs.set_timeouts(timeouts))
    }
}
