//! Two nodes with the same addresses in worlds of their own: kube-proxy in one, we in the other, one API server
//! for both.

use std::process::Command;
use std::thread;

use kube_verdict_scenario_tests::cluster::{Api, ControlPlane};
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::peer::{KubeProxy, Mode};
use kube_verdict_scenario_tests::prelude::*;
use kube_verdict_scenario_tests::random;
use kube_verdict_scenario_tests::rng::Rng;
use serde_json::{Value, json};

use crate::grid;

/// Numbers of the Services, which are part of their addresses. The first ClusterIP is the API server's own.
const SERVICES: std::ops::RangeInclusive<u8> = 11..=18;
/// Packets of the grid that are tried in a step, through each kernel.
const PACKETS: usize = 60;

pub struct World {
    // Who uses the namespaces goes first.
    theirs: Peer,
    ours: Scenario,
    control_plane: ControlPlane,
    config: Config,
    rng: Rng,
    /// the objects of each Service, empty while it is not there
    services: Vec<Vec<Value>>,
    step: u32,
}

struct Peer {
    proxy: KubeProxy,
    scenario: Scenario,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let config = grid::config(&mut rng);
        let control_plane = ControlPlane::start();
        control_plane.api().apply(&node(Some(plan::ZONE)));
        let scenario = Scenario::without_daemon(&config);
        let link = control_plane.connect(scenario.node());
        let proxy = KubeProxy::start(Mode::Nftables, scenario.node(), &config.build(), &link);
        World {
            theirs: Peer { proxy, scenario },
            ours: Scenario::start(&config),
            control_plane,
            config,
            rng,
            services: SERVICES.map(|_| Vec::new()).collect(),
            step: 0,
        }
    }

    pub fn walk(mut self, steps: u32) {
        for _ in 0..steps {
            // Ports of probes come round after a while: no new packet may be taken for an old flow.
            forget_flows(self.theirs.scenario.node());
            forget_flows(self.ours.node());
            self.change();
            self.judge();
        }
    }

    /// Some Services come, go, or get other slices; both proxies are given the result.
    fn change(&mut self) {
        let api = self.control_plane.api();
        for (n, known) in SERVICES.zip(&mut self.services) {
            let next = match self.rng.below(4) {
                0 if self.step > 0 => continue,
                1 if self.step > 0 => Vec::new(),
                2 if !known.is_empty() => {
                    // The Service stays, its slices are others.
                    let slices = grid::objects(&mut self.rng, n).into_iter().skip(1);
                    known[..1].iter().cloned().chain(slices).collect()
                }
                _ => grid::objects(&mut self.rng, n),
            };
            // What an API server will not change in place is made anew.
            let stale: Vec<Value> = known.iter().filter(|object| !next.contains(object)).cloned().collect();
            api.remove(&stale);
            api.apply(&next);
            *known = next;
        }
        self.step += 1;
        let sentinel = self.sentinel();
        let objects = everything(api);
        self.theirs.scenario.write([objects.clone()]);
        self.theirs.proxy.wait_for(&sentinel);
        self.ours.apply([objects]);
    }

    /// A Service and a slice that change with each step, last of all: what was written before them is there when
    /// they are.
    fn sentinel(&self) -> Vec<String> {
        let api = self.control_plane.api();
        let address = format!("10.96.0.{}", 200 + self.step % 50);
        let endpoint = format!("10.244.{}.{}", 100 + self.step / 250, 1 + self.step % 250);
        let slice = slice("differential-x", "differential").tcp("p", 9).with([at(&endpoint)]);
        api.apply(&slice.build());
        let service = service("differential").ip(&address).tcp("p", 9).build();
        api.remove(&service);
        api.apply(&service);
        let [a, b] = plan::both(&address);
        let [c, d] = plan::both(&endpoint);
        vec![a, b, c, d]
    }

    fn judge(&mut self) {
        let mut cases = random::packets(&mut self.rng, &self.ours, SERVICES, PACKETS);
        let name = format!("step {} with {:?}", self.step, self.config);
        for case in &mut cases {
            case.name.clone_from(&name);
        }
        let (ours, theirs) = thread::scope(|scope| {
            let theirs = scope.spawn(|| self.theirs.scenario.packet_complaints(&cases));
            (self.ours.packet_complaints(&cases), theirs.join().expect("the peer's packets"))
        });
        assert!(
            ours.is_empty() && theirs.is_empty(),
            "of {} packets:\n--- ours:\n{}\n--- kube-proxy's:\n{}\n--- objects:\n{}\n--- our log:\n{}",
            cases.len(),
            ours.join("\n"),
            theirs.join("\n"),
            json!(self.ours.objects()),
            self.ours.files().log(),
        );
    }
}

fn forget_flows(netns: &Netns) {
    let output = netns.run(|| Command::new("conntrack").arg("-F").output());
    let output = output.expect("running conntrack (package conntrack)");
    assert!(output.status.success(), "conntrack: {}", String::from_utf8_lossy(&output.stderr));
}

/// What the API server made of it all.
fn everything(api: &Api) -> Objects {
    let mut all = Vec::new();
    for (path, version, kind) in [
        ("/api/v1/services", "v1", "Service"),
        ("/apis/discovery.k8s.io/v1/endpointslices", "discovery.k8s.io/v1", "EndpointSlice"),
        ("/apis/networking.k8s.io/v1/servicecidrs", "networking.k8s.io/v1", "ServiceCIDR"),
        ("/api/v1/nodes", "v1", "Node"),
    ] {
        let list = api.get(path).expect("a list");
        for item in list["items"].as_array().expect("a list") {
            let mut item = item.clone();
            // Absent, to a server that is written in Go.
            item.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
            item["apiVersion"] = version.into();
            item["kind"] = kind.into();
            all.push(item);
        }
    }
    all
}
