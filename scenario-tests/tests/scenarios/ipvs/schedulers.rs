//! Schedulers, by annotation and by configuration (reference §12.4), as connections fare under them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use kube_verdict_scenario_tests::conversation::Conversation;
use kube_verdict_scenario_tests::prelude::*;
use serde_json::json;

use super::{EVERYWHERE, at_pod, ends};

const TO: &str = "10.96.0.10:80";
/// Of so many clients more than one endpoint is chosen, whatever the hash.
const CLIENTS: u8 = 40;

fn web() -> Service {
    service("web").ip("10.96.0.10").tcp("http", 80)
}

/// Another Service, whose changes concern nobody.
fn other(pods: &[&str]) -> Objects {
    [service("other").ip("10.96.0.11").tcp("http", 80).scheduler("wlc").build(), ends("other", pods)].concat()
}

/// Who serves the clients of a crowd.
fn served(scenario: &Scenario, family: Family) -> BTreeMap<u8, SocketAddr> {
    (1..=CLIENTS).map(|client| (client, scenario.reach(From::Crowd(client), family, TO))).collect()
}

fn distinct(served: &BTreeMap<u8, SocketAddr>) -> BTreeSet<SocketAddr> {
    served.values().copied().collect()
}

/// `rr`, and `wrr`, since all weights are the same.
#[test]
fn turns_are_taken() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    for scheduler in ["rr", "wrr"] {
        scenario.apply([web().scheduler(scheduler).build(), ends("web", &EVERYWHERE)]);
        for family in Family::BOTH {
            let round = |_| scenario.reach(From::Client, family, TO);
            let turns: Vec<SocketAddr> = (0..12).map(round).collect();
            let first: BTreeSet<&SocketAddr> = turns[..4].iter().collect();
            assert_eq!(first.len(), 4, "{scheduler}: {turns:?}");
            assert!(turns.windows(5).all(|five| five[0] == five[4]), "{scheduler}: {turns:?}");
        }
    }
}

/// `lc`: who has the fewest connections gets the next one.
fn fewest(scenario: &mut Scenario, service: &dyn Fn() -> Service) {
    scenario.apply([service().build(), ends("web", &["pod-a"])]);
    let mut busy = Vec::new();
    for family in Family::BOTH {
        busy.extend((0..3).map(|_| Conversation::open(scenario, From::Client, family, TO)));
    }
    scenario.apply([service().build(), ends("web", &["pod-a", "pod-c"])]);
    for family in Family::BOTH {
        for _ in 0..3 {
            let next = Conversation::open(scenario, From::Client2, family, TO);
            assert_eq!(next.backend(), at_pod(family, "pod-c"), "pod-a has three and got one more");
            busy.push(next);
        }
    }
    busy.iter_mut().for_each(Conversation::still_lives);
}

#[test]
fn the_fewest_connections() {
    if !is_about_ipvs() {
        return;
    }
    fewest(&mut Scenario::start(&Config::default()), &|| web().scheduler("lc"));
}

#[test]
fn the_scheduler_of_the_configuration() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default().field("ipvs", json!({ "scheduler": "lc" })));
    fewest(&mut scenario, &web);
    // A Service's own comes first.
    scenario.apply([web().scheduler("sh").build(), ends("web", &EVERYWHERE)]);
    for family in Family::BOTH {
        assert_eq!(scenario.spread(From::Client, family, TO, 8).len(), 1);
    }
}

/// `sh` and `mh`: a client is served by the same endpoint, until that leaves.
#[test]
fn by_the_clients_address() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    for scheduler in ["sh", "mh"] {
        let service = || web().scheduler(scheduler).build();
        scenario.apply([service(), ends("web", &EVERYWHERE), other(&["pod-a", "pod-b"])]);
        let before = Family::BOTH.map(|family| (family, served(&scenario, family)));
        for (family, clients) in &before {
            assert!(distinct(clients).len() > 1, "{scheduler}: all clients are at one endpoint");
            assert_eq!(served(&scenario, *family), *clients, "{scheduler}: clients moved");
        }
        for change in [other(&["pod-c"]), Objects::new(), other(&EVERYWHERE)] {
            scenario.apply([service(), ends("web", &EVERYWHERE), change]);
        }
        for (family, clients) in &before {
            assert_eq!(served(&scenario, *family), *clients, "{scheduler}: others' changes moved clients");
        }
        scenario.take_daemon().kill();
        scenario.start_daemon();
        scenario.apply([service(), ends("web", &EVERYWHERE)]);
        for (family, clients) in &before {
            assert_eq!(served(&scenario, *family), *clients, "{scheduler}: a restart moved clients");
        }
    }
}

/// An endpoint leaves while somebody still talks to it, so it drains. `sh` and `mh` keep its place in their tables then:
/// its clients must find another one nevertheless, and nobody else moves. Once it is gone `mh` moves few of the others.
#[test]
fn clients_of_an_endpoint_that_drains_find_another() {
    if !is_about_ipvs() {
        return;
    }
    for scheduler in ["sh", "mh"] {
        let mut scenario = Scenario::start(&Config::default());
        let service = || web().scheduler(scheduler).build();
        scenario.apply([service(), ends("web", &EVERYWHERE)]);
        let before = Family::BOTH.map(|family| (family, served(&scenario, family)));
        let gone = |family| at_pod(family, "pod-d");
        let mut talking: Vec<Conversation> = Vec::new();
        for (family, clients) in &before {
            let of_pod = clients.iter().find(|(_, backend)| **backend == gone(*family));
            let client = of_pod.expect("a client of pod-d").0;
            talking.push(Conversation::open(&scenario, From::Crowd(*client), *family, TO));
        }
        scenario.apply([service(), ends("web", &EVERYWHERE[..3])]);
        // How many clients of others were moved, of how many.
        let moved = |scenario: &Scenario, family, clients: &BTreeMap<u8, SocketAddr>| {
            let now = served(scenario, family);
            assert!(!now.values().any(|backend| *backend == gone(family)), "{scheduler}: {now:?}");
            let others = || clients.iter().filter(|(_, backend)| **backend != gone(family));
            (others().filter(|(client, backend)| now[*client] != **backend).count(), others().count())
        };
        for (family, clients) in &before {
            assert_eq!(scenario.weights(gone(*family)), [0], "{scheduler}: it drains");
            let (moved, all) = moved(&scenario, *family, clients);
            assert_eq!(moved, 0, "{scheduler}: of {all} clients of other endpoints");
        }
        talking.iter_mut().for_each(Conversation::still_lives);
        talking.into_iter().for_each(Conversation::reset);
        scenario.until("it is gone", || Family::BOTH.iter().all(|f| scenario.weights(gone(*f)).is_empty()));
        for (family, clients) in &before {
            let (moved, all) = moved(&scenario, *family, clients);
            assert!(scheduler != "mh" || moved * 4 <= all, "{moved} of {all} clients moved without need");
        }
    }
}

#[test]
fn another_scheduler_keeps_what_is_established() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply([web().build(), ends("web", &EVERYWHERE)]);
    let mut talking = Vec::new();
    for family in Family::BOTH {
        for from in [From::Client, From::PodB, From::Node] {
            talking.extend((0..2).map(|_| Conversation::open(&scenario, from, family, TO)));
        }
    }
    for scheduler in ["lc", "sh,sh-port", "mh", "none-such", "rr"] {
        scenario.apply([web().scheduler(scheduler).build(), ends("web", &EVERYWHERE)]);
        talking.iter_mut().for_each(Conversation::still_lives);
        for family in Family::BOTH {
            scenario.reach(From::Client2, family, TO);
        }
    }
}

/// What the kernel does not have is told, and `rr` serves.
#[test]
fn a_scheduler_that_there_is_not() {
    if !is_about_ipvs() {
        return;
    }
    let mut scenario = Scenario::start(&Config::default().sync_period("1s"));
    scenario.apply([web().build(), ends("web", &EVERYWHERE), other(&["pod-a"])]);
    scenario.apply([web().scheduler("none-such").build(), ends("web", &EVERYWHERE), other(&["pod-a"])]);
    for family in Family::BOTH {
        let counts = scenario.spread(From::Client, family, TO, 8);
        assert!(counts.len() == 4 && counts.values().all(|count| *count == 2), "{counts:?}");
        scenario.reach(From::Client, family, "10.96.0.11:80");
        let metric = format!("kubeverdict_ipvs_schedulers_replaced{{ip_family=\"{}\"}}", family.name());
        scenario.until("it is counted", || scenario.metric(&metric) == 1);
    }
    let log = scenario.files().log();
    let said = "asks for the scheduler \"none-such\" and gets rr: the kernel has no scheduler none-such";
    assert!(log.contains("default/web:http") && log.contains(said), "{log}");
    // Asked for no longer.
    scenario.apply([web().build(), ends("web", &EVERYWHERE)]);
    for family in Family::BOTH {
        let metric = format!("kubeverdict_ipvs_schedulers_replaced{{ip_family=\"{}\"}}", family.name());
        scenario.until("it is no longer counted", || scenario.metric(&metric) == 0);
    }
}
