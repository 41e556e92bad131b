//! Made-up results for tests: a run with everything in it that a report has to show.

use crate::contender::Contender;
use crate::results::{Absence, Entrant, Failure, Key, Machine, Quantity, Results, SCHEMA};
use crate::workload::Size;

const SIZES: [u32; 3] = [1, 1000, 10_000];

/// What one contender has: at each size, by the size.
type Law = fn(f64) -> f64;
/// What several have of one quantity.
type Laws = (Quantity, &'static str, &'static [(Contender, Law)]);

/// A run.
pub fn results() -> Results {
    use Contender::*;
    let contenders = [
        (KubeVerdictNftables, "0.1.0"),
        (KubeProxyNftables, "1.36.3"),
        (KubeProxyIptablesLegacy, "1.36.3"),
        (KubeProxyIptablesNft, "1.36.3"),
        (FloorRouting, ""),
        (FloorDnat, ""),
    ];
    let entrant = |(contender, version): (Contender, &str)| Entrant { contender, version: version.into() };
    let failure = |services, what: &str, error: &str| Failure {
        contender: KubeProxyIptablesNft,
        services,
        what: what.into(),
        error: error.into(),
    };
    let mut results = Results {
        schema: SCHEMA,
        started: "2026-11-21T12:00:00Z".into(),
        took: 903.5,
        command: vec!["kube-verdict-bench".into(), "run".into()],
        rounds: 3,
        machine: Machine {
            kernel: "6.18.0".into(),
            processor: "a processor".into(),
            cores: 2,
            memory: 8 << 30,
            programs: vec![("nft".into(), "1.0.6".into())],
        },
        contenders: contenders.into_iter().map(entrant).collect(),
        absent: vec![Absence { contender: KubeProxyIpvs, reason: "this kernel has no IPVS".into() }],
        failures: vec![
            failure(1000, "first sync", "round 1: not served after 60 s"),
            failure(10_000, "first sync", "not tried: too slow at 1000"),
        ],
        notes: vec!["Nothing was pinned | but the client.".into()],
        ..Results::default()
    };
    let laws: &[Laws] = &[
        (
            Quantity::FirstSync,
            "",
            &[
                (KubeVerdictNftables, |n| 0.1 + n * 5e-5),
                (KubeProxyNftables, |n| 0.3 + n * 1.5e-3),
                (KubeProxyIptablesLegacy, |n| 0.25 + n * 1e-3),
            ],
        ),
        (
            Quantity::ChangeP50,
            "",
            &[
                (KubeVerdictNftables, |_| 0.0015),
                (KubeProxyNftables, |n| 0.01 + n * 5e-4),
                (KubeProxyIptablesLegacy, |n| 0.05 + n * 3e-4),
            ],
        ),
        (
            Quantity::ChurnCpu,
            "1000 changes/s",
            &[(KubeVerdictNftables, |_| 0.04), (KubeProxyNftables, |_| 0.9)],
        ),
        (
            Quantity::ChurnCpu,
            "100 changes/s",
            &[(KubeVerdictNftables, |_| 0.01), (KubeProxyNftables, |_| 0.8)],
        ),
        (
            Quantity::ChurnFailed,
            "100 changes/s, tcp",
            &[(KubeVerdictNftables, |_| 0.0), (KubeProxyNftables, |_| 0.0)],
        ),
        (
            Quantity::FirstPacketP50,
            "udp, last Service",
            &[
                (KubeVerdictNftables, |_| 6.0e-6),
                (KubeProxyNftables, |_| 5.0e-6),
                (KubeProxyIptablesLegacy, |n| 6e-6 + n * 2e-8),
            ],
        ),
        (Quantity::Throughput, "", &[(KubeVerdictNftables, |_| 9.4e9), (KubeProxyNftables, |_| 9.4e9)]),
        (
            Quantity::Resident,
            "",
            &[(KubeVerdictNftables, |n| 6e6 + n * 4e3), (KubeProxyNftables, |n| 6e7 + n * 2e4)],
        ),
    ];
    for (quantity, variant, laws) in laws {
        for (contender, law) in *laws {
            for services in SIZES {
                add(&mut results, *contender, *quantity, variant, services, law(f64::from(services)));
            }
        }
    }
    let packets = "udp, last Service";
    add(&mut results, FloorRouting, Quantity::FirstPacketP50, packets, 0, 3.5e-6);
    add(&mut results, FloorDnat, Quantity::FirstPacketP50, packets, 0, 5.5e-6);
    add(&mut results, KubeProxyIptablesNft, Quantity::FirstSync, "", 1, 0.4);
    results
}

/// Three samples around a value.
fn add(
    results: &mut Results,
    contender: Contender,
    quantity: Quantity,
    variant: &str,
    services: u32,
    value: f64,
) {
    for wobble in [0.97, 1.0, 1.02] {
        let key =
            Key { quantity, contender, size: Size { services, endpoints: 10 }, variant: variant.into() };
        results.add(key, value * wobble);
    }
}
