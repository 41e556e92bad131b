//! Our own metrics of virtual servers, which are where IPVS balances connections. In other modes they are 0.

use kube_verdict_ipvs::Figures;
use kube_verdict_table::{Family, PerFamily};
use prometheus::Registry;
use prometheus::core::{GenericCounter, GenericGauge};

use crate::reconcile::Servers;

use super::{Atom, FAMILY, Float, counter, gauges, per_family};

/// The fields.
pub(in crate::serve) struct Ipvs {
    /// orders that were carried out
    pub(in crate::serve) orders: GenericCounter<Atom>,
    figures: PerFamily<[GenericGauge<Float>; 6]>,
}

/// The gauges, each with what it shows.
type Shows = fn(&Figures) -> usize;
const GAUGES: [(&str, &str, Shows); 6] = [
    ("kubeverdict_ipvs_virtual_servers", "Virtual servers of ours in IPVS that serve", |figures| {
        figures.virtual_servers
    }),
    ("kubeverdict_ipvs_real_servers", "Real servers of ours in IPVS that get connections", |figures| {
        figures.real_servers
    }),
    (
        "kubeverdict_ipvs_draining_virtual_servers",
        "Virtual servers of ours in IPVS that nothing leads to and that go with their last connection",
        |figures| figures.draining_virtual_servers,
    ),
    (
        "kubeverdict_ipvs_draining_real_servers",
        "Real servers of ours in IPVS that get no new connections and go with their last",
        |figures| figures.draining_real_servers,
    ),
    (
        "kubeverdict_ipvs_schedulers_replaced",
        "Virtual servers that have another scheduler than was asked for, because there is none of that name",
        |figures| figures.schedulers_replaced,
    ),
    (
        "kubeverdict_ipvs_quarantined",
        "Virtual and real servers that the kernel refuses at present; they are tried again",
        |figures| figures.quarantined,
    ),
];

impl Ipvs {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let mut both = Vec::with_capacity(GAUGES.len());
        for (name, help, _) in GAUGES {
            both.push(gauges(registry, (name, help), &[FAMILY])?);
        }
        Ok(Ipvs {
            orders: counter(
                registry,
                "kubeverdict_ipvs_orders_total",
                "Orders about virtual and real servers that IPVS carried out",
            )?,
            figures: per_family(|family| {
                std::array::from_fn(|index| both[index].with_label_values(&[family]))
            }),
        })
    }

    /// What there is. A family of which that is not known at the moment stays as it was.
    pub(in crate::serve) fn set(&self, servers: &Servers) {
        for family in Family::BOTH {
            let Some(figures) = &servers[family] else { continue };
            for (gauge, (.., shows)) in self.figures[family].iter().zip(GAUGES) {
                gauge.set(shows(figures) as f64);
            }
        }
    }
}
