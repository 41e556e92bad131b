//! Who plays which contender, and whether it can on this machine.

use std::path::Path;
use std::time::Duration;

use super::host::version;
use crate::Error;
use crate::contender::daemon::{Candidate, Programs};
use crate::contender::{Contender, Contestant, Floor, Kind, Rules};
use crate::stage::Stage;
use crate::workload::World;

/// A contender on a stage, not yet at work.
///
/// # Errors
/// It cannot be made.
pub fn make(
    contender: Contender,
    stage: &Stage,
    world: &World,
    programs: &Programs,
    patience: Duration,
) -> Result<Box<dyn Contestant>, Error> {
    match contender.kind() {
        Kind::Ours | Kind::Peer => {
            Ok(Box::new(Candidate::find(contender, programs)?.contestant(stage, world)?))
        }
        Kind::Rules => Ok(Box::new(Rules::new(contender, stage.node.share(), world.clone(), patience)?)),
        Kind::Floor => match Floor::new(contender, stage, world)? {
            Some(floor) => Ok(Box::new(floor)),
            None => Err(format!("{} does not play on a stage", contender.label()).into()),
        },
    }
}

/// Its version, or why it cannot take part.
///
/// # Errors
/// The reason.
pub fn audition(contender: Contender, programs: &Programs) -> Result<String, String> {
    match (contender, contender.kind()) {
        (_, Kind::Ours | Kind::Peer) => {
            Candidate::find(contender, programs).map(|candidate| candidate.version().to_owned())
        }
        (_, Kind::Rules) => Rules::absence(contender).map_or(Ok(String::new()), Err),
        (Contender::FloorConntrack | Contender::FloorDnat, _) if version(Path::new("nft")).is_none() => {
            Err("there is no program nft: install the package nftables".to_owned())
        }
        (_, Kind::Floor) => Ok(String::new()),
    }
}
