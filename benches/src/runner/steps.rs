//! The order of things within a turn: which measurement comes when, and what each of them is called in failures.

use crate::Error;
use crate::measure::Turn;
use crate::results::Group;

/// One measurement of a turn.
pub struct Step {
    /// as failures call it
    pub name: &'static str,
    /// it is left out unless one of these is wanted; empty: never
    pub groups: &'static [Group],
    /// the measurement
    pub measure: fn(&mut Turn) -> Result<(), Error>,
}

/// Everything else needs what this one does: it brings the kernel into step.
pub const FIRST: &str = "first sync";

/// All steps, in order.
pub const STEPS: &[Step] = &[];

/// Whether a failure of this step, by its name, is why figures of a group are missing.
pub fn concerns(step: &str, group: Group) -> bool {
    match STEPS.iter().find(|known| known.name == step) {
        Some(known) => known.name == FIRST || known.groups.contains(&group),
        // A turn that died outside of any.
        None => true,
    }
}
