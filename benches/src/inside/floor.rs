//! Programming the whole table, from parsed objects to committed, next to the floor: the same batches, in
//! bytes already, sent to an empty kernel in the same rounds.

use std::path::Path;
use std::time::{Duration, Instant};

use kube_verdict::source::manifests::Directory;
use kube_verdict_nftables::{Netlink, Nftables};

use super::stats::{human, row};
use crate::Error;
use crate::parts::{OPTIONS, batches, empty, empty_table, sent};

/// Prints the rows.
pub fn measure(directory: &Path, rounds: u32) -> Result<(), Error> {
    let start = Instant::now();
    let loaded = Directory::open(directory)?.load();
    row("read and parse the manifests", &[start.elapsed()]);
    let mut floors = Vec::new();
    let [mut tables, mut syncs, mut totals] = [const { Vec::<Duration>::new() }; 3];
    let batches = batches(&loaded.events)?;
    let mut netlink = Netlink::open()?;
    for _ in 0..rounds {
        empty(&mut netlink)?;
        let start = Instant::now();
        let mut table = empty_table();
        let events = loaded.events.clone();
        let cloned = start.elapsed();
        table.update(events);
        let built = start.elapsed();
        let mut backend = Nftables::new(Netlink::open()?, OPTIONS);
        backend.sync(&table, Instant::now()).map_err(|errors| format!("{errors:?}"))?;
        let committed = start.elapsed();
        tables.push(built - cloned);
        syncs.push(committed - built);
        totals.push(committed - cloned);
        empty(&mut netlink)?;
        floors.push(sent(&mut netlink, &batches)?);
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
    empty(&mut netlink)
}
