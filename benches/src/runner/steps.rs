//! The order of things within a turn: which measurement comes when, and what each of them is called in failures.

use crate::Error;
use crate::contender::Kind;
use crate::measure::{Turn, change, churn, datapath, memory, programme, restart};
use crate::results::Group;

/// One measurement of a turn.
pub struct Step {
    /// as failures call it
    pub name: &'static str,
    /// of whom it is made
    pub kinds: &'static [Kind],
    /// it is left out unless one of these is wanted
    pub groups: &'static [Group],
    /// the measurement
    pub measure: fn(&mut Turn<'_>) -> Result<(), Error>,
}

/// Everything else needs what this one does: it brings the kernel into step. So it is never left out.
pub const FIRST: &str = "first sync";

const ALL: &[Group] = &[Group::Program, Group::Change, Group::Churn, Group::Datapath, Group::Memory];
const PROCESSES: &[Kind] = &[Kind::Ours, Kind::Peer];
const CHANGEABLE: &[Kind] = &[Kind::Ours, Kind::Peer, Kind::Rules];

/// All steps, in order.
pub const STEPS: &[Step] = &[
    Step { name: FIRST, kinds: CHANGEABLE, groups: ALL, measure: programme::measure },
    Step { name: FIRST, kinds: &[Kind::Floor], groups: ALL, measure: |turn| turn.contestant.start() },
    Step { name: "memory at rest", kinds: PROCESSES, groups: &[Group::Memory], measure: memory::at_rest },
    Step { name: "change", kinds: CHANGEABLE, groups: &[Group::Change], measure: change::measure },
    Step {
        name: "datapath",
        kinds: &[Kind::Ours, Kind::Peer, Kind::Rules, Kind::Floor],
        groups: &[Group::Datapath],
        measure: datapath::measure,
    },
    Step { name: "churn", kinds: CHANGEABLE, groups: &[Group::Churn], measure: churn::measure },
    Step { name: "restart", kinds: PROCESSES, groups: &[Group::Program], measure: restart::measure },
    // The process is ended for it.
    Step { name: "peak memory", kinds: PROCESSES, groups: &[Group::Memory], measure: memory::peak },
];

/// Whether a failure of this step, by its name, is why figures of a group are missing.
pub fn concerns(step: &str, group: Group) -> bool {
    let mut known = STEPS.iter().filter(|known| known.name == step).peekable();
    // A turn may have died outside of any.
    known.peek().is_none() || known.any(|known| known.groups.contains(&group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_figure_has_its_reason_in_its_own_step_or_the_first() {
        assert!(concerns("change", Group::Change) && !concerns("change", Group::Churn));
        assert!(concerns(FIRST, Group::Datapath) && concerns("the beginning", Group::Memory));
    }
}
