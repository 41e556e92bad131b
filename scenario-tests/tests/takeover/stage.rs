//! A scenario's topology with a real control plane and its objects.

use std::time::{Duration, Instant};

use kube_verdict_scenario_tests::cluster::{ControlPlane, Kubeconfig};
use kube_verdict_scenario_tests::peer::{KubeProxy, Mode};
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::topology::ip_batch;

/// A prefix of everybody's, so that all frontends have somebody to refuse.
const RANGES: &[&str] = &["203.0.113.0/24"];

/// How long kube-proxy may take to programme the objects.
const PROGRAMMING: Duration = Duration::from_secs(60);

pub struct Stage {
    pub scenario: Scenario,
    pub link: Kubeconfig,
    _control_plane: ControlPlane,
}

impl Stage {
    /// With servers at the endpoints, and nobody who leads there.
    pub fn set() -> Stage {
        let mut scenario = Scenario::without_daemon(&Config::default());
        let control_plane = ControlPlane::start();
        let link = control_plane.connect(scenario.node());
        let objects = objects();
        control_plane.api().apply(&objects);
        scenario.write([objects]);
        Stage { scenario, link, _control_plane: control_plane }
    }

    /// Starts kube-proxy, and waits until it has programmed everything.
    pub fn kube_proxy(&self, mode: Mode) -> KubeProxy {
        let kube_proxy = KubeProxy::start(mode, self.scenario.node(), &Config::default().build(), &self.link);
        let deadline = Instant::now() + PROGRAMMING;
        let has_all = |family| {
            let listing = mode.listing(self.scenario.node(), family);
            // Of the last Service too, in the table that is written last.
            let endpoint = plan::ip(family, plan::POD_C).to_string();
            listing.contains(&endpoint) && listing.contains("default/zz")
        };
        while !Family::BOTH.into_iter().all(has_all) {
            assert!(Instant::now() < deadline, "{mode:?} does not serve. Its log:\n{}", kube_proxy.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        kube_proxy
    }

    /// Takes all links down, so that nothing counts.
    pub fn silence(&self) {
        const LINKS: [&str; 8] = ["api", "eth0", "eth1", "eth2", "eth3", "lo", "veth-a", "veth-b"];
        let commands: String = LINKS.iter().map(|link| format!("link set {link} down\n")).collect();
        self.scenario.node().run(|| ip_batch(&commands));
    }
}

/// Services of all kinds that leave traces of their own.
fn objects() -> Objects {
    let everywhere = || [at("pod-a"), at("pod-b"), at("pod-c").on(Some(plan::NODE_2))];
    [
        node(Some(plan::ZONE)),
        service("web").ip("10.96.0.10").tcp("http", 80).node_port(30080).build(),
        slice("web", "web").tcp("http", 8080).with(everywhere()).build(),
        service("dns").ip("10.96.0.11").port("dns", "UDP", 53).node_port(30053).build(),
        slice("dns", "dns").port("dns", "UDP", 5353).with(everywhere()).build(),
        service("sticky").ip("10.96.0.12").tcp("http", 80).affinity(600).build(),
        slice("sticky", "sticky").tcp("http", 8080).with(everywhere()).build(),
        service("balanced")
            .ip("10.96.0.13")
            .tcp("http", 80)
            .node_port(30081)
            .load_balancer("198.51.100.13", None)
            .ranges_of(RANGES)
            .external_local()
            .build(),
        slice("balanced", "balanced").tcp("http", 8080).with(everywhere()).build(),
        service("empty").ip("10.96.0.14").tcp("http", 80).external_ip("198.51.100.14").build(),
        service("zz").ip("10.96.0.15").tcp("http", 80).build(),
        slice("zz", "zz").tcp("http", 8080).with(everywhere()).build(),
    ]
    .concat()
}
