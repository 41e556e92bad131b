//! The API server goes away and comes back; the kernel keeps what it has (reference §1.1).

use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::cluster::ControlPlane;
use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::prelude::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{IN_SYNC, said, web};

const AWAY: &str = "is of no use: ";
const BACK: &str = "answers again";

/// How long an outage lasts here; `KUBE_VERDICT_OUTAGE` has other seconds.
fn outage() -> Duration {
    let seconds = std::env::var("KUBE_VERDICT_OUTAGE").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(12))
}

/// Traffic goes on, old connections and new ones, for so long.
fn goes_on(scenario: &Scenario, conversations: &mut [Conversation], time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        for family in Family::BOTH {
            scenario.reach(From::PodA, family, "10.96.0.10:80");
        }
        conversations.iter_mut().for_each(Conversation::still_lives);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn killed_and_started_again() {
    let mut control_plane = ControlPlane::start();
    let mut scenario = Scenario::start_in(&control_plane, &Config::default());
    scenario.apply(web("web", 10, "pod-c"));
    let mut conversations: Vec<Conversation> = Family::BOTH
        .map(|family| Conversation::open(&scenario, From::PodA, family, "10.96.0.10:80"))
        .into_iter()
        .collect();
    control_plane.kill_api_server();
    said(&scenario, AWAY, 1);
    goes_on(&scenario, &mut conversations, outage());

    // A daemon that starts meanwhile waits, and takes nothing away.
    scenario.take_daemon().terminate();
    scenario.start_daemon();
    said(&scenario, AWAY, 2);
    goes_on(&scenario, &mut conversations, Duration::from_secs(1));
    assert_eq!(scenario.files().log().matches(IN_SYNC).count(), 1);

    control_plane.start_api_server();
    said(&scenario, IN_SYNC, 2);
    scenario.apply([web("web", 10, "pod-c"), web("more", 11, "pod-b")].concat());
    scenario.check(&[
        case("as before", From::PodA, "10.96.0.10:80", dnat(&["pod-c:8080"])),
        case("what came after", From::PodA, "10.96.0.11:80", dnat(&["pod-b:8080"])),
    ]);
    goes_on(&scenario, &mut conversations, Duration::ZERO);
    let log = scenario.files().log();
    assert_eq!((log.matches(AWAY).count(), log.matches(BACK).count()), (2, 1), "{log}");
    scenario.becomes_what_is_rendered();
}

#[test]
fn history_is_forgotten_meanwhile() {
    let mut control_plane = ControlPlane::start();
    let mut scenario = Scenario::start_in(&control_plane, &Config::default());
    scenario
        .apply([web("goes", 10, "pod-a"), web("stays", 11, "pod-b"), web("changes", 12, "pod-c")].concat());
    // The daemon sleeps through all of it, so that it comes back to a server that does not know its past.
    let daemon = scenario.take_daemon();
    let pid = Pid::from_raw(daemon.pid() as i32);
    kill(pid, Signal::SIGSTOP).unwrap();
    scenario
        .write([web("stays", 11, "pod-b"), web("changes", 12, "pod-d"), web("comes", 13, "pod-c")].concat());
    control_plane.kill_api_server();
    control_plane.start_api_server();
    control_plane.compact();
    kill(pid, Signal::SIGCONT).unwrap();
    scenario.put_daemon(daemon);
    scenario.settle();
    scenario.check(&[
        case("deleted meanwhile", From::PodD, "10.96.0.10:80", DROP),
        case("as it was", From::PodD, "10.96.0.11:80", dnat(&["pod-b:8080"])),
        case("changed meanwhile", From::PodA, "10.96.0.12:80", dnat(&["pod-d:8080"])),
        case("created meanwhile", From::PodD, "10.96.0.13:80", dnat(&["pod-c:8080"])),
    ]);
    scenario.becomes_what_is_rendered();
}

#[test]
fn the_way_is_blocked() {
    let control_plane = ControlPlane::start();
    let mut scenario = Scenario::start_in(&control_plane, &Config::default());
    scenario.apply(web("web", 10, "pod-c"));
    let link = |state: &str| {
        let words = format!("link set api {state}\n");
        scenario.node().run(|| kube_verdict_scenario_tests::topology::ip_batch(&words));
    };
    link("down");
    goes_on(&scenario, &mut [], outage());
    link("up");
    scenario.apply([web("web", 10, "pod-b"), web("more", 11, "pod-c")].concat());
    scenario.check(&[
        case("changed", From::PodD, "10.96.0.10:80", dnat(&["pod-b:8080"])),
        case("created", From::PodD, "10.96.0.11:80", dnat(&["pod-c:8080"])),
    ]);
}
