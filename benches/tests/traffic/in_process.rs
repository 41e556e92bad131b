//! A contestant without a process: kube-verdict's own table and backend, in this one.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use kube_verdict_bench::Error;
use kube_verdict_bench::contender::{Contestant, Memory};
use kube_verdict_bench::parts::empty_table;
use kube_verdict_bench::stage::Stage;
use kube_verdict_bench::workload::{Change, PORT, Service, TARGET_PORT, World};
use kube_verdict_nftables::{Netlink, Nftables, Options};
use kube_verdict_table::objects::{EndpointSlice, Kind, Object, ObjectEvent, ObjectKey};
use serde_json::{from_value, json};

/// It does as it is told, unless it is told here not to.
pub struct InProcess {
    world: World,
    loader: Loader,
    /// this Service is not served
    pub dropped: Option<u32>,
    /// changes of this Service are lost on it
    pub unheard: Option<u32>,
    /// changes are made so much later
    pub lag: Duration,
}

/// A thread in the node's namespace that makes the kernel equal to what it is sent; its netlink socket must stay there.
struct Loader {
    events: Sender<Vec<ObjectEvent>>,
    loaded: Receiver<Result<(), String>>,
}

impl Loader {
    fn start(stage: &Stage) -> Self {
        let ((events, given), (done, loaded)) = (channel::<Vec<ObjectEvent>>(), channel());
        let node = stage.node.share();
        spawn(move || {
            node.enter();
            let (mut table, netlink) = (empty_table(), Netlink::open().expect("a netlink socket"));
            let mut backend = Nftables::new(netlink, Options::slots(0x4000));
            backend.sync(&table, Instant::now()).expect("an empty table");
            for events in given {
                let change = table.update(events).change;
                let result = backend.apply(&table, &change, Instant::now());
                let _ = done.send(result.map(drop).map_err(|errors| format!("{errors:?}")));
            }
        });
        Loader { events, loaded }
    }

    fn load(&self, events: Vec<ObjectEvent>) -> Result<(), Error> {
        self.events.send(events)?;
        Ok(self.loaded.recv()??)
    }
}

impl InProcess {
    pub fn new(stage: &Stage, world: &World) -> Self {
        let (world, loader) = (world.clone(), Loader::start(stage));
        InProcess { world, loader, dropped: None, unheard: None, lag: Duration::ZERO }
    }
}

impl Contestant for InProcess {
    fn start(&mut self) -> Result<(), Error> {
        let served = self.world.services().filter(|service| Some(service.number) != self.dropped);
        self.loader.load(served.flat_map(|service| applied(&service)).collect())
    }

    fn tell(&mut self, changes: &[Change]) -> Result<(), Error> {
        sleep(self.lag);
        let mut events = Vec::new();
        for change in changes.iter().filter(|change| Some(change.service()) != self.unheard) {
            match self.world.apply(*change) {
                Some(service) => events.extend(applied(&service)),
                None => events.extend(deleted(change.service())),
            }
        }
        self.loader.load(events)
    }

    fn stop(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn cpu(&self) -> Result<Duration, Error> {
        Ok(Duration::ZERO)
    }

    fn memory(&self) -> Result<Option<Memory>, Error> {
        Ok(None)
    }

    fn quiet(&self) -> Duration {
        Duration::ZERO
    }
}

fn applied(service: &Service) -> [ObjectEvent; 2] {
    let protocol = service.protocol.as_str();
    let endpoints: Vec<_> = service.endpoints.iter().map(|ip| json!({"addresses": [ip]})).collect();
    let name = format!("s{}", service.number);
    let object = json!({
        "metadata": {"name": name, "namespace": "bench"},
        "spec": {"clusterIP": service.cluster_ip, "ports": [{"port": PORT, "protocol": protocol}]},
    });
    let slice = json!({
        "metadata": {"name": name, "namespace": "bench", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": TARGET_PORT, "protocol": protocol}],
        "endpoints": endpoints,
    });
    let mut object = Object::Service(Box::new(from_value(object).expect("a Service")));
    let mut slice = Object::EndpointSlice(from_value::<EndpointSlice>(slice).expect("a slice"));
    object.apply_api_defaults();
    slice.apply_api_defaults();
    [object, slice].map(ObjectEvent::Applied)
}

fn deleted(service: u32) -> [ObjectEvent; 2] {
    [Kind::Service, Kind::EndpointSlice].map(|kind| {
        let name = format!("s{service}").into();
        ObjectEvent::Deleted(ObjectKey { kind, namespace: "bench".into(), name })
    })
}
