//! What nft makes of our table: its listing loads back, and `render` says the same as the daemon.

use kube_verdict_scenario_tests::kernel;
use kube_verdict_scenario_tests::listing::Listing;
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::prelude::*;

/// One Service of every kind there is.
fn everything() -> Vec<Objects> {
    let lb = |name: &str, number: u8| {
        service(name)
            .ip(&format!("10.96.0.{number}"))
            .every_protocol(80)
            .node_port(30_000 + u16::from(number))
            .external_ip(&format!("198.51.100.{number}"))
            .load_balancer(&format!("192.0.2.{number}"), None)
    };
    let ends = |name: &str, addresses: &[&str]| {
        slice(name, name).every_protocol(8080).with(addresses.iter().map(|address| at(address))).build()
    };
    let all = ["pod-a", "pod-b", "pod-c", "pod-d"];
    vec![
        lb("plain", 10).build(),
        ends("plain", &all),
        lb("local", 11).external_local().internal_local().build(),
        ends("local", &all[1..]),
        lb("elsewhere", 12).external_local().internal_local().build(),
        ends("elsewhere", &all[2..]),
        lb("sticky", 13).affinity(600).build(),
        ends("sticky", &all[..3]),
        lb("sticky-local", 14).affinity(10800).external_local().build(),
        ends("sticky-local", &all),
        lb("ranges", 15).ranges_of(&["203.0.113.0/24", "172.18.0.0/24", "10.0.0.0/8"]).build(),
        ends("ranges", &all[..2]),
        lb("sticky-ranges", 16).ranges_of(&["203.0.113.0/24"]).affinity(600).external_local().build(),
        ends("sticky-ranges", &all[..2]),
        lb("empty", 17).build(),
        service_cidr("kubernetes", plan::SERVICE_CIDR),
        service_cidr("more", "10.97.0.0/16"),
    ]
}

fn listed(netns: &Netns, family: Family) -> (String, Listing) {
    let text = kernel::list(netns, family).expect("our table");
    let listing = Listing::parse(&text);
    assert!(listing.sets.len() > 5 && listing.chains.len() > 5, "not much of a table:\n{text}");
    (text, listing)
}

fn with(config: &Config) {
    let mut scenario = Scenario::start(config);
    scenario.apply(everything());
    // Clients to be remembered, so that there are elements with a timeout too.
    for family in Family::BOTH {
        scenario.reach(From::Client, family, "10.96.0.13:80");
        scenario.reach(From::Client, family, "node:30014");
    }
    let Some(rendered) = kernel::copy(&scenario.files().render(scenario.node())) else { return };
    for family in Family::BOTH {
        let (text, programmed) = listed(scenario.node(), family);

        let Some(copy) = kernel::copy(&text) else { return };
        let (_, loaded) = listed(&copy, family);
        let differences = programmed.meaning().differences(&loaded.meaning());
        assert!(differences.is_empty(), "loading the listing back changed it:\n{}", differences.join("\n"));

        let (_, rendered) = listed(&rendered, family);
        let differences = programmed.meaning().differences(&rendered.meaning());
        assert!(differences.is_empty(), "render differs from the kernel:\n{}", differences.join("\n"));
    }
}

#[test]
fn by_cluster_cidr() {
    with(&Config::default());
}

#[test]
fn by_interface() {
    with(&Config::detecting(Detect::Bridge("veth-a")).node_ports_in(&["0.0.0.0/0"]));
}

#[test]
fn by_interface_prefix() {
    with(&Config::detecting(Detect::Prefix("veth")).node_ports_in(&["172.18.0.0/24"]).masquerade_all());
}

#[test]
fn without_a_detector() {
    with(&Config::detecting(Detect::Nothing).node_port_addresses(&["all"]));
}

/// An empty table is the same as one that was full once: chains that nobody uses go after a while.
#[test]
fn after_everything_is_gone() {
    let mut scenario = Scenario::start(&Config::default());
    scenario.apply(everything());
    scenario.apply([]);
    scenario.becomes_what_is_rendered();
}
