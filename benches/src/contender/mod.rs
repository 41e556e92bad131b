//! Who takes part, and what each of them can be told. How each does it is a file of its own.

pub mod daemon;
mod floor;
mod load;
mod name;
mod rules;

use std::net::SocketAddrV4;
use std::time::Duration;

pub use floor::Floor;
pub use name::{Contender, Kind};
pub use rules::Rules;

use crate::Error;
use crate::workload::{Change, PORT, Service};

/// A contender at work in one node's namespace, on one world. What it left in the kernel goes with the namespace.
pub trait Contestant: Send {
    /// Makes the kernel serve the world as it is now: starts the process, or loads the rules. A process need not be in
    /// step when this returns; rules are loaded. Once more after [`Contestant::stop`]: a restart.
    ///
    /// # Errors
    /// A program that is not there, does not start, or refuses.
    fn start(&mut self) -> Result<(), Error>;

    /// Makes changes. Of a process: through the API, at once, all of them; it hears of them when this returns or soon
    /// after. Of rules: they are loaded when this returns.
    ///
    /// # Errors
    /// The process is no longer there, or rules are refused.
    fn tell(&mut self, changes: &[Change]) -> Result<(), Error>;

    /// Ends the process and waits for its end; what is in the kernel stays.
    ///
    /// # Errors
    /// It cannot be ended.
    fn stop(&mut self) -> Result<(), Error>;

    /// Whether all is as it was left. To be asked when something does not come true: the reason may be that the process
    /// has died.
    ///
    /// # Errors
    /// A process that should run has ended: how, and its last words.
    fn check(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// CPU time used by the process and by the children that it waited for, since the last start. Of rules: by the
    /// programs that loaded them.
    ///
    /// # Errors
    /// The process is no longer there.
    fn cpu(&self) -> Result<Duration, Error>;

    /// What the process holds, nothing after [`Contestant::stop`]; none if there never is a process.
    ///
    /// # Errors
    /// The process is no longer there.
    fn memory(&self) -> Result<Option<Memory>, Error>;

    /// Services in the order in which their rules are met, by number, as far as the kernel's state says so; none if a
    /// packet's way does not depend on it.
    ///
    /// # Errors
    /// The kernel's rules cannot be read.
    fn order(&self) -> Result<Option<Vec<u32>>, Error> {
        Ok(None)
    }

    /// Where clients reach a Service: at its ClusterIP, unless this is a floor without any translation.
    fn frontend(&self, service: &Service) -> SocketAddrV4 {
        SocketAddrV4::new(service.cluster_ip, PORT)
    }

    /// How long a contender that has come to rest must be left alone until nothing of its own accord delays its answer to
    /// the next change. kube-proxy waits from the end of a sync for its minSyncPeriod, a second, before it begins
    /// another, which is also what is assumed of contenders that do not say.
    fn quiet(&self) -> Duration {
        Duration::from_millis(1100)
    }
}

/// A process' memory, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// resident now
    pub resident: u64,
    /// the most that was resident since its first start, in one of its lives. After [`Contestant::stop`] that of its
    /// children is known as well, and counts if it was more.
    pub peak: u64,
}
