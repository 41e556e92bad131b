//! What has to be there beside nf_tables before packets are sent to it, and may go only when none are any more: the
//! virtual servers of IPVS.

use std::time::Instant;

use kube_verdict_table::{Family, ServiceTable};

use crate::state::Wanted;

/// Follows a family's batches.
pub trait Companion {
    /// The marks that have a virtual server: new ones get others, since what drains may be somebody else's. Asked before
    /// everything is compared.
    fn taken(&mut self, family: Family, now: Instant) -> Vec<u32>;

    /// A batch is about to be sent that leads packets to these virtual servers. They are to be there; nothing is
    /// taken away yet. What cannot be had is the companion's to say and to try again: the batch is sent.
    fn raise(&mut self, family: Family, wanted: &Wanted, now: Instant);

    /// The batch became real: what nothing leads to any more may go.
    fn lower(&mut self, family: Family, table: &ServiceTable, now: Instant);
}

/// Everything is in nf_tables.
impl Companion for () {
    fn taken(&mut self, _: Family, _: Instant) -> Vec<u32> {
        Vec::new()
    }

    fn raise(&mut self, _: Family, _: &Wanted, _: Instant) {}
    fn lower(&mut self, _: Family, _: &ServiceTable, _: Instant) {}
}
