//! The real kube-proxy with a world's objects.

use std::time::{Duration, Instant};

use kube_verdict_bench::stage::{CLUSTER_CIDR, NODE_IP};
use kube_verdict_bench::workload::{Change, NAMESPACE, World, objects};
use kube_verdict_scenario_tests::cluster::ControlPlane;
use kube_verdict_scenario_tests::netns::Netns;
use kube_verdict_scenario_tests::peer::{KubeProxy, Mode};
use kube_verdict_scenario_tests::plan;
use kube_verdict_scenario_tests::topology::ip_batch;
use serde_json::json;

/// How long it may take to write what is waited for; usually it is a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kube-proxy at work, with a control plane of its own.
pub struct Peer {
    proxy: KubeProxy,
    control_plane: ControlPlane,
    /// of what it wrote
    seen: usize,
}

impl Peer {
    /// Starts it with all objects there.
    pub fn start(mode: Mode, world: &World) -> Peer {
        let control_plane = ControlPlane::start();
        let api = control_plane.api();
        api.apply(&[
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }),
            json!({
                "apiVersion": "v1", "kind": "Node", "metadata": { "name": plan::NODE },
                "status": { "addresses": [{ "type": "InternalIP", "address": NODE_IP }] },
            }),
        ]);
        api.apply(&world.services().flat_map(|s| objects(&s)).collect::<Vec<_>>());
        let node = Netns::new();
        node.run(|| {
            ip_batch(&format!(
                "link set lo up\nlink add client type veth peer name other\nlink set client up\n\
                 link set other up\naddr add {NODE_IP}/24 dev client\nroute add default via 10.0.1.2\n"
            ));
        });
        let kubeconfig = control_plane.connect(&node);
        let config = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "clusterCIDR": CLUSTER_CIDR,
        });
        let proxy = KubeProxy::start_recorded(mode, &node, &config, &kubeconfig);
        Peer { proxy, control_plane, seen: 0 }
    }

    /// Makes the API's objects those of the world after the change. What alone says nothing comes first, so that kube-proxy
    /// hears of the change at once, whatever it takes together.
    pub fn tell(&mut self, world: &World, change: Change) {
        let api = self.control_plane.api();
        match world.service(change.service()) {
            Some(service) => {
                let [service, slice] = objects(&service);
                api.apply(&[slice]);
                api.apply(&[service]);
            }
            None => {
                let service = world.clone().apply(Change::Create { service: change.service() });
                api.remove(&objects(&service.expect("it existed"))[..1]);
            }
        }
    }

    /// Waits until it has written something that is as it should be, after what it wrote before.
    ///
    /// # Panics
    /// When it has not after a while.
    pub fn writes(&mut self, what: &str, is_right: impl Fn(&str) -> bool, right: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let inputs = self.proxy.inputs();
            if let Some(place) = inputs[self.seen..].iter().position(|input| is_right(input)) {
                self.seen += place + 1;
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{what}: kube-proxy writes\n{}\nand not\n{right}\nIts log:\n{}",
                inputs[self.seen..].join("\n---\n"),
                self.proxy.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
