//! One endpoint's change, from the event in hand to committed: one at a time, and as a stream at a fixed rate
//! in which what waits goes out together, as in the daemon's loop.

use std::path::Path;
use std::time::{Duration, Instant};

use kube_verdict::source::manifests::Directory;
use kube_verdict_nftables::{Netlink, Nftables, Options};
use kube_verdict_table::ServiceTable;
use kube_verdict_table::objects::ObjectEvent;

use super::manifests;
use super::stats::tail;
use crate::Error;

/// How long the stream lasts.
const STREAM: Duration = Duration::from_secs(5);

/// A programmed table, and where the manifests of changes are written to be parsed.
struct Scene {
    table: ServiceTable,
    backend: Nftables<Netlink>,
    services: u32,
    endpoints: u32,
}

/// Prints the rows.
pub fn measure(
    directory: &Path,
    services: u32,
    endpoints: u32,
    changes: u32,
    rate: u32,
) -> Result<(), Error> {
    let mut table = crate::parts::empty_table();
    table.update(Directory::open(directory)?.load().events);
    let mut backend = Nftables::new(Netlink::open()?, Options::slots(0x4000));
    backend.sync(&table, Instant::now()).map_err(|errors| format!("{errors:?}"))?;
    let mut scene = Scene { table, backend, services, endpoints };
    one_by_one(&mut scene, changes)?;
    stream(&mut scene, rate)
}

impl Scene {
    /// Events of changes, parsed.
    fn events(&self, from: u32, count: u32) -> Result<Vec<ObjectEvent>, Error> {
        let directory = tempfile::tempdir()?;
        let mut events = Vec::new();
        for change in from..from + count {
            let version = 1 + change / self.services;
            let text =
                manifests::manifest(change.wrapping_mul(7919) % self.services, self.endpoints, version);
            let slice = text.split("---\n").nth(1).unwrap_or_default();
            std::fs::write(directory.path().join(format!("{change:09}.yaml")), slice)?;
            if (change + 1 - from).is_multiple_of(self.services.min(1000)) || change + 1 == from + count {
                events.extend(Directory::open(directory.path())?.load().events);
                for entry in directory.path().read_dir()? {
                    std::fs::remove_file(entry?.path())?;
                }
            }
        }
        Ok(events)
    }

    fn apply(&mut self, events: impl IntoIterator<Item = ObjectEvent>) -> Result<(), Error> {
        let update = self.table.update(events);
        self.backend
            .apply(&self.table, &update.change, Instant::now())
            .map_err(|errors| format!("{errors:?}"))?;
        Ok(())
    }
}

fn one_by_one(scene: &mut Scene, changes: u32) -> Result<(), Error> {
    let mut times = Vec::new();
    for event in scene.events(0, changes)? {
        let start = Instant::now();
        scene.apply([event])?;
        times.push(start.elapsed());
    }
    tail("event -> committed, one endpoint", &times);
    Ok(())
}

fn stream(scene: &mut Scene, rate: u32) -> Result<(), Error> {
    let gap = Duration::from_secs(1) / rate;
    let events = scene.events(scene.services, rate * STREAM.as_secs() as u32)?;
    let (start, mut busy) = (Instant::now(), Duration::ZERO);
    let mut times = Vec::with_capacity(events.len());
    let mut events = (0u32..).zip(events).peekable();
    while let Some((number, _)) = events.peek() {
        let due = start + gap * *number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        let (mut waiting, mut arrived) = (Vec::new(), Vec::new());
        while let Some((number, event)) = events.next_if(|(number, _)| start + gap * *number <= now) {
            arrived.push(start + gap * number);
            waiting.push(event);
        }
        scene.apply(waiting)?;
        let done = Instant::now();
        busy += done - now;
        times.extend(arrived.into_iter().map(|at| done - at));
    }
    tail(&format!("{rate} changes a second for {} s, event -> committed", STREAM.as_secs()), &times);
    println!(
        "| share of one core that this took | {:.0} % | | |",
        100.0 * busy.as_secs_f64() / start.elapsed().as_secs_f64()
    );
    Ok(())
}
