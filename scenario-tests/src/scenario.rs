//! A scenario: the topology, its servers and taps, the daemon, and the objects that it was given.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{Api, ControlPlane};
use crate::config::Config;
use crate::daemon::{Daemon, Files};
use crate::echo::Echo;
use crate::http;
use crate::kernel;
use crate::listing::Listing;
use crate::manifest::{self, Objects};
use crate::mode::{Mode, mode};
use crate::model::Model;
use crate::netns::Netns;
use crate::pace;
use crate::plan::{self, Family, NODE};
use crate::sightings::Sightings;
use crate::topology::{Host, Topology};
use crate::wire::Protocol;

/// Everything that one test needs. It is gone with its value.
#[derive(Debug)]
pub struct Scenario {
    // Fields are dropped in this order: who uses the namespaces goes first.
    daemon: Option<Daemon>,
    echo: Mutex<Echo>,
    sightings: Sightings,
    topology: Topology,
    files: Files,
    /// where objects go in place of a directory
    api: Option<Api>,
    config: Value,
    objects: Objects,
    generation: u32,
    /// held while a line with affinity is checked: who comes twice at once cannot be known yet
    pub(crate) affinity: Mutex<()>,
}

/// How long the daemon may take to programme a change before a test fails; usually it is milliseconds.
const PROGRAMMING: Duration = Duration::from_secs(20);

impl Scenario {
    /// The topology with a daemon in it, which has no manifests yet but the Node.
    pub fn start(config: &Config) -> Scenario {
        let mut scenario = Scenario::without_daemon(config);
        scenario.write([]);
        scenario.start_daemon();
        scenario
    }

    /// The same, and the objects come by an API server.
    pub fn start_in(control_plane: &ControlPlane, config: &Config) -> Scenario {
        let mut scenario = Scenario::in_cluster(control_plane, config);
        scenario.write([]);
        scenario.start_daemon();
        scenario
    }

    /// The topology alone.
    pub fn without_daemon(config: &Config) -> Scenario {
        Scenario::with(Topology::new(), config, |_, config| (Files::new(config), None))
    }

    /// The topology alone, with a way to an API server.
    pub fn in_cluster(control_plane: &ControlPlane, config: &Config) -> Scenario {
        Scenario::with(Topology::new(), config, |topology, config| {
            let kubeconfig = control_plane.connect(topology.of(Host::Node));
            (Files::for_cluster(config, &kubeconfig), Some(control_plane.api().clone()))
        })
    }

    fn with(
        topology: Topology,
        config: &Config,
        files: impl FnOnce(&Topology, &Value) -> (Files, Option<Api>),
    ) -> Scenario {
        let config = config.build();
        let (files, api) = files(&topology, &config);
        Scenario {
            daemon: None,
            echo: Mutex::new(Echo::new()),
            sightings: Sightings::new(&topology),
            topology,
            files,
            api,
            config,
            objects: Vec::new(),
            generation: 0,
            affinity: Mutex::new(()),
        }
    }

    /// Starts the daemon, or another one after the first.
    pub fn start_daemon(&mut self) {
        self.daemon = Some(Daemon::start(&self.files, self.topology.of(Host::Node)));
    }

    /// Takes the daemon out, for tests that end it in their own way.
    ///
    /// # Panics
    /// When there is none.
    pub fn take_daemon(&mut self) -> Daemon {
        self.daemon.take().expect("a daemon")
    }

    /// Puts it back.
    pub fn put_daemon(&mut self, daemon: Daemon) {
        self.daemon = Some(daemon);
    }

    /// The namespace of the node under test.
    pub fn node(&self) -> &Netns {
        self.topology.of(Host::Node)
    }

    /// The namespaces.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// What the taps saw.
    pub fn sightings(&self) -> &Sightings {
        &self.sightings
    }

    /// The daemon's files, to be changed before it starts.
    pub fn files_mut(&mut self) -> &mut Files {
        &mut self.files
    }

    /// The daemon's files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The objects applied last, the scenario's own among them.
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// The oracle for the objects applied last.
    pub fn model(&self) -> Model {
        Model::new(&self.objects, &self.config, NODE, node_addresses())
    }

    /// Replaces all manifests by these objects (and the Node, in [`plan::ZONE`], unless there is one among them)
    /// and waits until the kernel has them.
    pub fn apply(&mut self, parts: impl IntoIterator<Item = Objects>) {
        self.write(parts);
        self.settle();
    }

    /// Writes as [`Scenario::apply`] does, but does not wait.
    pub fn write(&mut self, parts: impl IntoIterator<Item = Objects>) {
        self.objects = manifest::all(parts);
        if !self.objects.iter().any(|object| object["kind"] == "Node") {
            self.objects.extend(manifest::node(Some(plan::ZONE)));
        }
        self.generation += 1;
        self.listen_at_endpoints();
        match self.api.clone() {
            None => {
                self.objects.extend(sentinel(self.generation));
                self.files.write("scenario.json", &self.objects);
            }
            Some(api) => {
                api.replace(&self.objects);
                // A Service and a slice, each the last of its kind: who has both has everything.
                let sentinels = sentinels(self.generation);
                api.apply(&sentinels);
                self.objects.extend(sentinels);
                // The API server has one by itself.
                self.objects.push(own_service_cidr());
            }
        }
    }

    /// Waits until the kernel shows what the API server has by now, whoever gave it that.
    ///
    /// # Panics
    /// When it does not within seconds, or there is no API server.
    pub fn catch_up(&mut self) {
        self.generation += 1;
        self.api.as_ref().expect("an API server").apply(&sentinels(self.generation));
        self.settle();
    }

    /// Waits until the kernel shows the objects written last.
    ///
    /// # Panics
    /// When it does not within seconds, or the daemon has died.
    pub fn settle(&mut self) {
        let deadline = Instant::now() + pace::limit(PROGRAMMING);
        let started = Instant::now();
        while !self.kernel_shows(self.generation) {
            let alive = self.daemon.as_mut().is_some_and(Daemon::is_running);
            assert!(alive, "the daemon is not running. Its log:\n{}", self.files.log());
            assert!(
                Instant::now() < deadline,
                "generation {} is not in the kernel after {:?}. The daemon's log:\n{}",
                self.generation,
                started.elapsed(),
                self.files.log()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the kernel has what `render` says and nothing else: what nobody uses any more goes after
    /// some seconds of quiet.
    ///
    /// # Panics
    /// When something remains different.
    pub fn becomes_what_is_rendered(&self) {
        let Some(rendered) = kernel::copy(&self.files.render(self.node())) else { return };
        let meaning = |netns: &Netns, family| {
            Listing::parse(&kernel::list(netns, family).expect("our table")).meaning()
        };
        let deadline = Instant::now() + pace::limit(PROGRAMMING);
        loop {
            let differences: Vec<String> = Family::BOTH
                .into_iter()
                .flat_map(|family| meaning(self.node(), family).differences(&meaning(&rendered, family)))
                .collect();
            if differences.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the kernel (first) is not what render says (second):\n{}",
                differences.join("\n")
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn kernel_shows(&self, generation: u32) -> bool {
        self.tables_show(generation) && (mode() == Mode::Nftables || self.nothing_is_pending())
    }

    /// Whether the daemon says that it is done. In IPVS mode the tables are not the last thing to change: endpoints
    /// that are no longer used leave IPVS after them.
    fn nothing_is_pending(&self) -> bool {
        let metrics = SocketAddr::from(([127, 0, 0, 1], 10249));
        http::get(self.node(), metrics, "/metrics").is_ok_and(|page| {
            ["service", "endpoint"].iter().all(|what| {
                let line = format!("\nkubeproxy_sync_proxy_rules_{what}_changes_pending 0\n");
                page.body.contains(&line)
            })
        })
    }

    fn tables_show(&self, generation: u32) -> bool {
        let wanted = match self.api {
            None => vec![sentinel_address(generation)],
            Some(_) => Vec::from(sentinel_addresses(generation)),
        };
        Family::BOTH.into_iter().all(|family| {
            let listed = kernel::list(self.node(), family).unwrap_or_default();
            let words: BTreeSet<&str> = listed.split(|c: char| c.is_whitespace() || c == ',').collect();
            wanted.iter().all(|address| words.contains(plan::ip(family, address).to_string().as_str()))
        })
    }

    /// Makes sure that somebody answers at an address, if one of the hosts has it.
    pub fn listen(&self, address: SocketAddr, protocol: Protocol) {
        if let Some(host) = Host::of(address.ip()) {
            self.echo.lock().expect("echo").ensure(self.topology.of(host), address, protocol);
        }
    }

    /// Starts a server at every endpoint of every slice, used or not.
    fn listen_at_endpoints(&self) {
        for slice in self.objects.iter().filter(|object| object["kind"] == "EndpointSlice") {
            let ports = slice["ports"].as_array().into_iter().flatten();
            for port in ports {
                let Some(number) = port["port"].as_u64() else { continue };
                let protocol = Protocol::parse(port["protocol"].as_str().unwrap_or("TCP"));
                for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
                    let ip: Option<IpAddr> =
                        endpoint["addresses"][0].as_str().and_then(|text| text.parse().ok());
                    if let (Some(ip), Some(protocol)) = (ip, protocol) {
                        self.listen(SocketAddr::new(ip, number as u16), protocol);
                    }
                }
            }
        }
    }
}

/// All addresses of the node under test, loopback aside.
fn node_addresses() -> BTreeSet<IpAddr> {
    let texts = Host::Node.addresses();
    Family::BOTH.into_iter().flat_map(|family| texts.iter().map(move |text| plan::ip(family, text))).collect()
}

/// A Service that shows in the kernel which manifests it has: its ClusterIP, of a prefix that nothing else
/// uses, changes with each.
fn sentinel(generation: u32) -> Objects {
    manifest::service("sentinel").ip(&sentinel_address(generation)).tcp("sentinel", 1).build()
}

/// The same for a cluster, whose ClusterIPs are of one prefix: a Service and its endpoint, which both change.
fn sentinels(generation: u32) -> Objects {
    let [service, endpoint] = sentinel_addresses(generation);
    let name = format!("sentinel-{generation}");
    [
        manifest::service(&name).ip(&service).tcp("sentinel", 1).build(),
        manifest::slice(&name, &name).tcp("sentinel", 1).with([manifest::at(&endpoint)]).build(),
    ]
    .concat()
}

fn sentinel_addresses(generation: u32) -> [String; 2] {
    let number = generation % 90;
    [format!("10.96.0.{}", 110 + number), format!("10.244.99.{}", 1 + number)]
}

/// The ServiceCIDR that an API server makes of its flags.
fn own_service_cidr() -> Value {
    serde_json::json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": { "name": "kubernetes" },
        "spec": { "cidrs": crate::cluster::SERVICE_CIDRS.split(',').collect::<Vec<_>>() },
    })
}

fn sentinel_address(generation: u32) -> String {
    format!("10.255.{}.{}", generation / 250, generation % 250 + 1)
}
