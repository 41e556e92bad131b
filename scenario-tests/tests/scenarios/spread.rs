//! How new connections are spread over the endpoints of a Service: by chance in nftables mode, in turn by
//! the scheduler that IPVS mode has when none is asked for (`rr`, reference §12).

use std::collections::BTreeMap;

use kube_verdict_scenario_tests::prelude::*;

const ENDPOINTS: [&str; 4] = ["pod-a", "pod-b", "pod-c", "pod-d"];
/// By chance an endpoint gets none of so many once in ten thousand million runs.
const CONNECTIONS: usize = 80;

#[test]
fn every_endpoint_gets_its_share() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([
        service("web").ip("10.96.0.10").every_protocol(80).build(),
        slice("web", "web").every_protocol(8080).with(ENDPOINTS.map(at)).build(),
    ]);
    for family in Family::BOTH {
        for protocol in ["tcp", "udp"] {
            let to = format!("10.96.0.10:80/{protocol}");
            let counts = scenario.spread(From::Client, family, &to, CONNECTIONS);
            let backends = ENDPOINTS.map(|pod| plan::socket(family, &format!("{pod}:8080")));
            match mode() {
                Mode::Nftables => {
                    assert!(counts.keys().copied().eq(sorted(backends)), "{to}: {counts:?}");
                    // Half as much again as two get on average.
                    assert!(counts.values().all(|count| *count < CONNECTIONS * 3 / 4), "{to}: {counts:?}");
                }
                Mode::Ipvs => {
                    let share = CONNECTIONS / ENDPOINTS.len();
                    let even: BTreeMap<_, _> = backends.into_iter().map(|b| (b, share)).collect();
                    assert_eq!(counts, even, "{to}");
                }
            }
        }
    }
}

fn sorted<T: Ord, const N: usize>(mut list: [T; N]) -> [T; N] {
    list.sort();
    list
}
