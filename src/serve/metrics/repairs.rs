//! How often somebody else had changed what is ours, and it was mended.

use prometheus::Registry;
use prometheus::core::GenericCounter;

use crate::reconcile::Repair;
use crate::repairs::Ours;

use super::{Atom, counters};

/// The label that tells what was changed.
const WHAT: &str = "what";

/// The fields.
pub(in crate::serve) struct Repairs {
    /// in the order of [`Ours::ALL`]
    all: [GenericCounter<Atom>; 3],
    late: [GenericCounter<Atom>; 3],
}

impl Repairs {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let of = |name, help| {
            let vector = counters(registry, (name, help), &[WHAT])?;
            Ok::<_, prometheus::Error>(Ours::ALL.map(|ours| vector.with_label_values(&[ours.name()])))
        };
        Ok(Repairs {
            all: of(
                "kubeverdict_foreign_changes_repaired_total",
                "How often somebody else had changed what is ours in the kernel and it was mended",
            )?,
            late: of(
                "kubeverdict_foreign_changes_repaired_late_total",
                "How many of these repairs had to wait, because there were others shortly before",
            )?,
        })
    }

    /// Counts one of the loop's, which may be of several things.
    pub(in crate::serve) fn count(&self, repair: Repair) {
        repair.mended.of().for_each(|ours| self.count_one(ours, repair.was_delayed));
    }

    /// Counts one.
    pub(in crate::serve) fn count_one(&self, what: Ours, was_delayed: bool) {
        for ((ours, all), late) in Ours::ALL.into_iter().zip(&self.all).zip(&self.late) {
            if ours == what {
                all.inc();
                late.inc_by(u64::from(was_delayed));
            }
        }
    }
}
