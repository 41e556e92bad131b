//! Programming the whole table, from parsed objects to committed, next to the floor: the same batches, in
//! bytes already, sent to an empty kernel in the same rounds.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use kube_verdict::source::manifests::Directory;
use kube_verdict_nftables::batch::Batch;
use kube_verdict_nftables::kernel::{CommitError, ReadError, Snapshot};
use kube_verdict_nftables::layout::TABLE;
use kube_verdict_nftables::{Kernel, Netlink, Nftables, Options};
use kube_verdict_table::{Balancer, Family, NodePortAddresses, NodeState, PerFamily, ServiceTable, Settings};

use super::stats::{human, row};

/// The kernel, and a copy of what was committed to it.
struct Recorder {
    netlink: Netlink,
    batches: Vec<Batch>,
}

impl Kernel for Recorder {
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.batches.push(batch.clone());
        self.netlink.commit(batch)
    }

    fn read(&mut self, family: Family) -> Result<Snapshot, ReadError> {
        self.netlink.read(family)
    }

    fn generation(&mut self) -> Result<u32, ReadError> {
        self.netlink.generation()
    }
}

/// A table of a node with nothing special about it.
pub fn empty_table() -> ServiceTable {
    let settings = Settings {
        node_name: "node-0".into(),
        detector: PerFamily::default(),
        masquerade_all: false,
        allow_external_ips: true,
        balancer: Balancer::Random,
    };
    let node = NodeState {
        local_addresses: BTreeSet::new(),
        node_port_addresses: PerFamily::from_fn(|_| NodePortAddresses::AnyLocal),
        ..NodeState::default()
    };
    ServiceTable::new(settings, node)
}

/// Prints the rows.
pub fn measure(directory: &Path, rounds: u32) -> Result<(), Box<dyn Error>> {
    let options = Options::slots(0x4000);
    let start = Instant::now();
    let loaded = Directory::open(directory)?.load();
    row("read and parse the manifests", &[start.elapsed()]);
    let mut floors = Vec::new();
    let [mut tables, mut syncs, mut totals] = [const { Vec::<Duration>::new() }; 3];
    let batches = recorded(&loaded.events, options)?;
    let mut netlink = Netlink::open()?;
    for _ in 0..rounds {
        delete(&mut netlink)?;
        let start = Instant::now();
        let mut table = empty_table();
        let events = loaded.events.clone();
        let cloned = start.elapsed();
        table.update(events);
        let built = start.elapsed();
        let mut backend = Nftables::new(Netlink::open()?, options);
        backend.sync(&table, Instant::now()).map_err(|errors| format!("{errors:?}"))?;
        let committed = start.elapsed();
        tables.push(built - cloned);
        syncs.push(committed - built);
        totals.push(committed - cloned);
        delete(&mut netlink)?;
        floors.push(raw(&mut netlink, &batches)?);
    }
    row("objects -> table", &tables);
    row("table -> committed", &syncs);
    row("parsed -> committed (both)", &totals);
    row("floor: the same batches, in bytes before, sent", &floors);
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let (floor, sync) = (median(&mut floors), median(&mut syncs));
    let ratio = sync.as_secs_f64() / floor.as_secs_f64();
    println!("| *table -> committed* over *floor* | {ratio:.2} × | {} | {} |", human(sync), human(floor));
    delete(&mut netlink)
}

/// The batches that programme the whole table.
fn recorded(
    events: &[kube_verdict_table::objects::ObjectEvent],
    options: Options,
) -> Result<Vec<Batch>, Box<dyn Error>> {
    let mut table = empty_table();
    table.update(events.to_vec());
    let mut backend = Nftables::new(Recorder { netlink: Netlink::open()?, batches: Vec::new() }, options);
    backend.sync(&table, Instant::now()).map_err(|errors| format!("{errors:?}"))?;
    let mut batches = std::mem::take(&mut backend.kernel_mut().batches);
    batches.iter_mut().for_each(|batch| batch.generation = None);
    Ok(batches)
}

fn raw(netlink: &mut Netlink, batches: &[Batch]) -> Result<Duration, Box<dyn Error>> {
    let mut time = Duration::ZERO;
    for batch in batches {
        let prepared = netlink.prepare(batch);
        let start = Instant::now();
        netlink.send(&prepared)?;
        time += start.elapsed();
    }
    Ok(time)
}

/// Deletes the tables.
pub fn empty() -> Result<(), Box<dyn Error>> {
    delete(&mut Netlink::open()?)
}

fn delete(netlink: &mut Netlink) -> Result<(), Box<dyn Error>> {
    for family in Family::BOTH {
        netlink.delete_table(family, TABLE)?;
    }
    Ok(())
}
