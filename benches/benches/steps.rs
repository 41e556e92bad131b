//! What each step costs between an object and the kernel, at 10,000 Services of 10 endpoints: `cargo bench -p
//! kube-verdict-bench --bench steps`. Where it may, which takes root, it also commits to the kernel, in a network namespace of
//! its own.

#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use kube_verdict_bench::parts::{Null, Scene, empty_table, events};
use kube_verdict_bench::workload::{Size, World};
use kube_verdict_nftables::{Netlink, Nftables, Options, slots};
use kube_verdict_table::Backend;
use kube_verdict_table::objects::ObjectEvent;
use nix::sched::{CloneFlags, unshare};

const SIZE: Size = Size { services: 10_000, endpoints: 10 };

fn world() -> Vec<ObjectEvent> {
    World::new(SIZE).services().flat_map(|service| events(&service).expect("objects")).collect()
}

/// The whole table: objects to table, table to batch, batch to bytes.
fn whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("whole table");
    group.sample_size(10);
    let events = world();
    group.bench_function("objects to table", |b| {
        b.iter_batched(
            || (empty_table(), events.clone()),
            |(mut table, events)| {
                table.update(events);
                table
            },
            BatchSize::PerIteration,
        );
    });
    let mut table = empty_table();
    table.update(events);
    let sync = |kernel| {
        let mut backend = Nftables::new(kernel, Options::slots(0x4000));
        backend.sync(&table, Instant::now()).expect("nobody refuses");
        backend
    };
    group.bench_function("table to batch", |b| b.iter_with_large_drop(|| sync(Null::default())));
    let batches = sync(Null::keeping()).kernel_mut().batches.take().expect("they are kept");
    let mut netlink = Netlink::open().expect("a socket");
    group.bench_function("batch to bytes", |b| {
        b.iter_with_large_drop(|| batches.iter().map(|batch| netlink.prepare(batch)).collect::<Vec<_>>());
    });
    group.finish();
}

/// One endpoint replaced by another.
fn change(c: &mut Criterion) {
    let mut group = c.benchmark_group("one endpoint");
    group.measurement_time(Duration::from_secs(3));
    let mut scene = Scene::new(World::new(SIZE), Null::default()).expect("nobody refuses");
    group.bench_function("object to table", |b| {
        let scene = std::cell::RefCell::new(&mut scene);
        let event = || scene.borrow_mut().replacement().expect("an event");
        b.iter_batched(event, |event| scene.borrow_mut().update(event), BatchSize::SmallInput);
    });
    let mut scene = Scene::new(World::new(SIZE), Null::default()).expect("nobody refuses");
    group.bench_function("object to batch", |b| {
        let scene = std::cell::RefCell::new(&mut scene);
        let event = || scene.borrow_mut().replacement().expect("an event");
        b.iter_batched(event, |event| scene.borrow_mut().apply(event), BatchSize::SmallInput);
    });
    let mut scene = Scene::new(World::new(SIZE), Null::default()).expect("nobody refuses");
    let event = scene.replacement().expect("an event");
    scene.kernel_mut().batches = Some(Vec::new());
    scene.apply(event).expect("nobody refuses");
    let batch = scene.kernel_mut().batches.take().and_then(|mut batches| batches.pop()).expect("a batch");
    drop(scene);
    let mut netlink = Netlink::open().expect("a socket");
    group.bench_function("batch to bytes", |b| b.iter(|| netlink.prepare(black_box(&batch)).size()));
    if unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        let netlink = Netlink::open().expect("a socket");
        let mut scene = Scene::new(World::new(SIZE), netlink).expect("the kernel takes it");
        group.bench_function("object to committed", |b| {
            let scene = std::cell::RefCell::new(&mut scene);
            let event = || scene.borrow_mut().replacement().expect("an event");
            b.iter_batched(event, |event| scene.borrow_mut().apply(event), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// Ten backends of which one is another now: who keeps which slot.
fn slots(c: &mut Criterion) {
    let backends = |first: u16| -> Vec<Backend> {
        (first..first + 10).map(|port| Backend { ip: [10, 128, 0, 1].into(), port }).collect()
    };
    let (before, wanted) = (backends(1), backends(2));
    c.bench_function("slots of ten backends", |b| {
        b.iter(|| slots::assign(black_box(&before), black_box(&wanted)));
    });
}

criterion_group!(benches, slots, change, whole);
criterion_main!(benches);
