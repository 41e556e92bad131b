//! How near kube-verdict comes to the kernel's own pace: from parsed objects in hand to committed, next to the floor: the
//! same batches, in bytes before, sent to an empty kernel.

use std::time::{Duration, Instant};

use kube_verdict_nftables::batch::Batch;
use kube_verdict_nftables::layout::TABLE;
use kube_verdict_nftables::{Netlink, Nftables, Options};
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_table::Family;
use kube_verdict_table::objects::ObjectEvent;

use super::null::Null;
use super::scene::{empty_table, events};
use crate::Error;
use crate::contender::Contender;
use crate::results::{Key, Quantity};
use crate::workload::{Size, World};

/// As the daemon has them.
pub(crate) const OPTIONS: Options = Options::slots(0x4000);

/// One round at a size, in a namespace of its own: a sample of [`Quantity::Kernel`] for
/// [`Contender::KubeVerdictNftables`], and one for [`Contender::FloorNetlink`]. Before them each is played once without
/// being recorded, so that memory and caches are warm for both.
///
/// # Errors
/// The kernel refuses, or this does not run as root.
pub fn measure(size: Size, record: &mut dyn FnMut(Key, f64)) -> Result<(), Error> {
    let world = World::new(size);
    let all: Result<Vec<_>, Error> = world.services().map(|service| events(&service)).collect();
    let events: Vec<ObjectEvent> = all?.into_iter().flatten().collect();
    let (ours, floor) = Netns::new().run(|| -> Result<_, Error> {
        let batches = batches(&events)?;
        let mut netlink = Netlink::open()?;
        let mut times = (Duration::ZERO, Duration::ZERO);
        for _ in ["warm", "recorded"] {
            let ours = programmed(events.clone())?;
            empty(&mut netlink)?;
            let floor = sent(&mut netlink, &batches)?;
            empty(&mut netlink)?;
            times = (ours, floor);
        }
        Ok(times)
    })?;
    for (contender, time) in [(Contender::KubeVerdictNftables, ours), (Contender::FloorNetlink, floor)] {
        let key = Key { quantity: Quantity::Kernel, contender, size, variant: String::new() };
        record(key, time.as_secs_f64());
    }
    Ok(())
}

/// From objects to committed.
fn programmed(events: Vec<ObjectEvent>) -> Result<Duration, Error> {
    let netlink = Netlink::open()?;
    let start = Instant::now();
    let mut table = empty_table();
    table.update(events);
    let mut backend = Nftables::new(netlink, OPTIONS);
    backend.sync(&table, Instant::now()).map_err(|errors| format!("{errors:?}"))?;
    Ok(start.elapsed())
}

/// The batches that programme an empty kernel.
pub(crate) fn batches(events: &[ObjectEvent]) -> Result<Vec<Batch>, Error> {
    let mut table = empty_table();
    table.update(events.to_vec());
    let mut backend = Nftables::new(Null::keeping(), OPTIONS);
    backend.sync(&table, Instant::now()).map_err(|errors| format!("{errors:?}"))?;
    Ok(backend.kernel_mut().batches.take().unwrap_or_default())
}

/// How long the kernel takes for them.
pub(crate) fn sent(netlink: &mut Netlink, batches: &[Batch]) -> Result<Duration, Error> {
    let mut time = Duration::ZERO;
    for batch in batches {
        let prepared = netlink.prepare(batch);
        let start = Instant::now();
        netlink.send(&prepared)?;
        time += start.elapsed();
    }
    Ok(time)
}

/// Deletes our tables.
pub(crate) fn empty(netlink: &mut Netlink) -> Result<(), Error> {
    for family in Family::BOTH {
        netlink.delete_table(family, TABLE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_measured() {
        let mut samples = Vec::new();
        let size = Size { services: 20, endpoints: 3 };
        measure(size, &mut |key, sample| samples.push((key.contender, sample))).expect("it can be measured");
        assert!(samples.iter().all(|(_, sample)| *sample > 0.0));
        let contenders: Vec<Contender> = samples.iter().map(|(contender, _)| *contender).collect();
        assert_eq!(contenders, [Contender::KubeVerdictNftables, Contender::FloorNetlink]);
    }
}
