//! A scenario: the topology, its servers and taps, the daemon, and the objects that it was given.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::config::Config;
use crate::daemon::{Daemon, Files};
use crate::echo::Echo;
use crate::kernel;
use crate::listing::Listing;
use crate::manifest::{self, Objects};
use crate::model::Model;
use crate::netns::Netns;
use crate::plan::{self, Family, NODE};
use crate::requirements;
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

    /// The topology alone.
    pub fn without_daemon(config: &Config) -> Scenario {
        requirements::check();
        let topology = Topology::new();
        let config = config.build();
        Scenario {
            daemon: None,
            echo: Mutex::new(Echo::new()),
            sightings: Sightings::new(&topology),
            topology,
            files: Files::new(&config),
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
        self.objects.extend(sentinel(self.generation));
        self.listen_at_endpoints();
        self.files.write("scenario.json", &self.objects);
    }

    /// Waits until the kernel shows the objects written last.
    ///
    /// # Panics
    /// When it does not within seconds, or the daemon has died.
    pub fn settle(&mut self) {
        let deadline = Instant::now() + PROGRAMMING;
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
        let rendered = Netns::new();
        kernel::load(&rendered, &self.files.render(self.node()));
        let meaning = |netns: &Netns, family| {
            Listing::parse(&kernel::list(netns, family).expect("our table")).meaning()
        };
        let deadline = Instant::now() + PROGRAMMING;
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
        Family::BOTH.into_iter().all(|family| {
            let address = plan::ip(family, &sentinel_address(generation)).to_string();
            kernel::list(self.node(), family).is_some_and(|table| {
                table.split(|c: char| c.is_whitespace() || c == ',').any(|word| word == address)
            })
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

fn sentinel_address(generation: u32) -> String {
    format!("10.255.{}.{}", generation / 250, generation % 250 + 1)
}
