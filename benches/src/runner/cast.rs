//! Who plays which contender, and whether it can on this machine.

use std::path::PathBuf;

use crate::Error;
use crate::contender::{Contender, Contestant};
use crate::stage::Stage;
use crate::workload::World;

/// Where programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// kube-verdict
    pub daemon: PathBuf,
    /// the real kube-proxy
    pub kube_proxy: Option<PathBuf>,
}

/// A contender at work.
///
/// # Errors
/// It cannot be made.
pub fn make<'a>(
    contender: Contender,
    _stage: &'a Stage,
    _world: &World,
    _programs: &Programs,
) -> Result<Box<dyn Contestant + 'a>, Error> {
    Err(format!("{} cannot be made", contender.label()).into())
}

/// Its version, or why it cannot take part.
///
/// # Errors
/// The reason.
pub fn audition(contender: Contender, _programs: &Programs) -> Result<String, String> {
    Err(format!("{} cannot be made", contender.label()))
}
