//! How often memory is allocated for a change, and how much: `cargo bench -p kube-verdict-bench --bench allocations`.

#![allow(missing_docs)]

use std::alloc::System;

use kube_verdict_bench::Error;
use kube_verdict_bench::parts::{Null, Scene};
use kube_verdict_bench::workload::{Size, World};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CHANGES: usize = 1000;

fn main() -> Result<(), Error> {
    println!("| one endpoint replaced, object to batch | allocations | bytes |");
    println!("|---|---|---|");
    for services in [100, 10_000] {
        let mut scene = Scene::new(World::new(Size { services, endpoints: 10 }), Null::default())?;
        let events = (0..CHANGES).map(|_| scene.replacement()).collect::<Result<Vec<_>, _>>()?;
        let region = Region::new(ALLOCATOR);
        for event in events {
            scene.apply(event)?;
        }
        let stats = region.change();
        let (times, bytes) = (stats.allocations + stats.reallocations, stats.bytes_allocated);
        let each = |number| number as f64 / CHANGES as f64;
        println!("| {services} Services × 10 endpoints | {:.1} | {:.0} |", each(times), each(bytes));
    }
    Ok(())
}
