//! How often memory is allocated for a change: so often at most, however large the table is. Of what it costs this is the
//! part that is the same on every machine.

use std::alloc::System;

use kube_verdict_bench::parts::{Null, Scene};
use kube_verdict_bench::workload::{Size, World};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CHANGES: usize = 200;
/// A quarter more than it was when this was written.
const BOUND: f64 = 42.0;

/// Allocations for one endpoint's replacement, from the parsed object to the batch, on average.
fn allocations(services: u32) -> f64 {
    let world = World::new(Size { services, endpoints: 10 });
    let mut scene = Scene::new(world, Null::default()).expect("nobody refuses");
    let events: Vec<_> = (0..CHANGES).map(|_| scene.replacement().expect("an event")).collect();
    let region = Region::new(ALLOCATOR);
    for event in events {
        scene.apply(event).expect("nobody refuses");
    }
    let stats = region.change();
    (stats.allocations + stats.reallocations) as f64 / CHANGES as f64
}

/// One test alone in its process: the allocator counts for all threads.
#[test]
fn a_change_allocates_little_whatever_the_size_of_the_table() {
    let (small, large) = (allocations(100), allocations(2000));
    assert!(small <= BOUND, "{small} allocations for one endpoint's replacement");
    // Now and then a map grows, and the larger it is, the more rarely.
    assert!(large <= small * 1.1 + 1.0, "{large} at 2,000 Services, {small} at 100");
}
