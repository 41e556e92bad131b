//! The daemon dies and comes back: nothing is lost, nothing is written without need.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::netlink::Netfilter;
use kube_verdict_scenario_tests::pace;
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::rng::{self, Rng};

use kube_verdict_scenario_tests::random;

/// What the daemon says when it has compared the kernel with its manifests for the first time.
const IN_SYNC: &str = "the kernel is as the manifests say";

fn steady() -> Vec<Objects> {
    vec![
        service("steady").ip("10.96.9.9").tcp("http", 80).affinity(600).node_port(30999).build(),
        slice("steady", "steady").tcp("http", 8080).with([at("pod-a")]).build(),
    ]
}

fn in_sync(scenario: &Scenario, times: usize) {
    let deadline = Instant::now() + pace::limit(Duration::from_secs(20));
    while scenario.files().log().matches(IN_SYNC).count() < times {
        assert!(Instant::now() < deadline, "the daemon is not in sync:\n{}", scenario.files().log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// New connections counted at the frontends of the steady Service.
fn counters(scenario: &Scenario) -> Vec<String> {
    Family::BOTH
        .into_iter()
        .flat_map(|family| {
            let text = kernel::list(scenario.node(), family).expect("our table");
            let address = plan::ip(family, "10.96.9.9").to_string();
            let lines: Vec<String> = text
                .split([',', '\n'])
                .filter(|line| line.contains(&address) && line.contains("counter packets"))
                .map(|line| line.trim().to_owned())
                .collect();
            lines
        })
        .collect()
}

#[test]
fn a_restart_with_nothing_changed_writes_nothing() {
    let seed = rng::seed();
    eprintln!("KUBE_VERDICT_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut scenario = Scenario::start(&Config::default());
    let mut parts: Vec<Objects> = (1..=8).flat_map(|n| random::objects(&mut rng, n)).collect();
    parts.extend(steady());
    parts.push(service_cidr("kubernetes", plan::SERVICE_CIDR));
    scenario.apply(parts);
    for family in Family::BOTH {
        for _ in 0..3 {
            scenario.reach(From::Client, family, "10.96.9.9:80");
        }
    }
    let before = counters(&scenario);
    assert!(!before.is_empty() && before.iter().all(|line| !line.contains("packets 0 ")), "{before:?}");
    let mut nf_tables = Netfilter::open(scenario.node());
    let generation = nf_tables.generation();
    let mut restarts = 1;
    for violently in [true, false, true] {
        let daemon = scenario.take_daemon();
        if violently {
            daemon.kill()
        } else {
            daemon.terminate()
        };
        scenario.start_daemon();
        restarts += 1;
        in_sync(&scenario, restarts);
        assert_eq!(nf_tables.generation(), generation, "a restart wrote something");
        assert_eq!(counters(&scenario), before, "a restart lost the counters");
    }
}

/// `kill -9` at random moments while changes stream in.
#[test]
fn violent_deaths() {
    let seed = rng::seed();
    eprintln!("KUBE_VERDICT_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply(steady());
    let mut conversations: Vec<Conversation> = Family::BOTH
        .into_iter()
        .flat_map(|family| ["10.96.9.9:80", "node:30999"].map(|to| (family, to)))
        .map(|(family, to)| Conversation::open(&scenario, From::Client, family, to))
        .collect();
    let states: Vec<Objects> = (0..24)
        .map(|_| (1..=6).flat_map(|n| random::objects(&mut rng, n)).collect::<Vec<_>>().concat())
        .collect();
    for _ in 0..15 {
        let life = Duration::from_millis(5 + rng.below(120) as u64);
        let stop = AtomicBool::new(false);
        let daemon = scenario.take_daemon();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for state in states.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    scenario.files().write("stream.json", state);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            std::thread::sleep(life);
            daemon.kill();
            stop.store(true, Ordering::Relaxed);
        });
        for conversation in &mut conversations {
            conversation.still_lives();
        }
        scenario.check_packets(&[case("in between", From::Client, "10.96.9.9:80", snat(&["pod-a:8080"]))]);
        scenario.start_daemon();
    }
    // What is in the directory now is what must be in the kernel.
    scenario.apply(steady());
    scenario.becomes_what_is_rendered();
    for conversation in &mut conversations {
        conversation.still_lives();
    }
}

/// `cleanup` removes every trace, and says so when there is none.
#[test]
fn cleanup_leaves_nothing() {
    let mut scenario = Scenario::without_daemon(&Config::default());
    let routing = kernel::routing(scenario.node());
    scenario.start_daemon();
    scenario.apply(steady());
    scenario.take_daemon().kill();
    for _ in 0..2 {
        scenario.files().cleanup(scenario.node());
        let ruleset = kernel::nft(scenario.node(), &["list", "ruleset"], "").expect("the ruleset");
        assert!(ruleset.trim().is_empty(), "left behind:\n{ruleset}");
        assert_eq!(kernel::routing(scenario.node()), routing);
        if mode() == Mode::Ipvs {
            assert_eq!(kernel::virtual_servers(scenario.node()), "");
        }
    }
    scenario.check_packets(&[case("nobody's", From::Client, "10.96.9.9:80", PASS)]);
}
