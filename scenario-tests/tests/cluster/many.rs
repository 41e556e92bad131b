//! Many changes by many writers at once: what is in the kernel afterwards is what the API server has.

use kube_verdict_scenario_tests::cluster::{Api, ControlPlane};
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::rng::{self, Rng};

const WRITERS: u64 = 4;
const SERVICES: usize = 500;

/// A Service of a writer, whose address the API server chooses, and its endpoints.
fn pair(rng: &mut Rng, writer: u64, number: usize) -> Objects {
    let name = format!("w{writer}-{number}");
    let service = service(&name).tcp("http", 80);
    let service = if rng.below(4) == 0 { service.affinity(600 + rng.below(3) as u32) } else { service };
    let service = if rng.below(4) == 0 { service.internal_local() } else { service };
    let endpoints =
        (0..rng.below(4)).map(|_| at(&format!("10.244.{}.{}", 1 + rng.below(2), 30 + rng.below(90))));
    let endpoints: Vec<Endpoint> = endpoints.collect();
    [service.build(), slice(&name, &name).only(Family::V4).tcp("http", 8080).with(endpoints).build()].concat()
}

/// Creates, changes and deletes, in portions.
fn write(api: &Api, mut rng: Rng, writer: u64) {
    let mut there: Vec<usize> = Vec::new();
    for portion in 0..10 {
        let new: Vec<usize> = (0..SERVICES / 10).map(|n| portion * SERVICES / 10 + n).collect();
        there.extend(&new);
        let mut change = new;
        change.extend(there.iter().filter(|_| rng.below(8) == 0));
        let objects: Vec<Objects> = change.iter().map(|n| pair(&mut rng, writer, *n)).collect();
        api.apply(&objects.concat());
        let gone: Vec<usize> = there.iter().copied().filter(|_| rng.below(12) == 0).collect();
        there.retain(|number| !gone.contains(number));
        api.remove(&gone.iter().flat_map(|n| pair(&mut rng, writer, *n)).collect::<Vec<_>>());
    }
}

#[test]
fn two_thousand_services_by_four_writers() {
    let seed = rng::seed();
    eprintln!("KUBE_VERDICT_SEED={seed}");
    let control_plane = ControlPlane::start();
    let mut scenario = Scenario::start_in(&control_plane, &Config::default());
    scenario.apply([]);
    let place = Netns::new();
    let kubeconfig = control_plane.connect(&place);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let api = Api::new(&place, &kubeconfig);
            scope.spawn(move || write(&api, Rng::new(seed + writer), writer));
        }
    });
    scenario.catch_up();
    let services = control_plane.api().get("/api/v1/services").unwrap();
    assert!(services["items"].as_array().is_some_and(|items| items.len() > SERVICES));
    scenario.becomes_what_is_rendered();
}
