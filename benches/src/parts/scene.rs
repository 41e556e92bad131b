//! A world in a table, and its changes as events.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use kube_verdict_nftables::{Kernel, Nftables, Options};
use kube_verdict_table::objects::{Kind, Object, ObjectEvent};
use kube_verdict_table::{
    Balancer, LocalDetector, NodePortAddresses, NodeState, PerFamily, ServiceTable, Settings,
};

use crate::Error;
use crate::stage::{CLUSTER_CIDR, NODE_IP};
use crate::workload::{Change, NODE, Service, World, objects};

/// A world, the table that it makes, and a backend that follows it.
pub struct Scene<K> {
    world: World,
    table: ServiceTable,
    backend: Nftables<K>,
    /// changes so far
    count: u32,
}

/// A table as a node of the stage begins with.
pub fn empty_table() -> ServiceTable {
    let settings = Settings {
        node_name: NODE.into(),
        detector: PerFamily {
            v4: CLUSTER_CIDR.parse().ok().map(|cidr| LocalDetector::Source(vec![cidr])),
            v6: None,
        },
        masquerade_all: false,
        allow_external_ips: true,
        balancer: Balancer::Random,
    };
    let node = NodeState {
        local_addresses: BTreeSet::from([IpAddr::from(NODE_IP)]),
        node_port_addresses: PerFamily::from_fn(|_| NodePortAddresses::AnyLocal),
        ..NodeState::default()
    };
    ServiceTable::new(settings, node)
}

/// A Service and its slice, parsed.
///
/// # Errors
/// The table's types do not take them.
pub fn events(service: &Service) -> Result<[ObjectEvent; 2], Error> {
    let [service, slice] = objects(service);
    let parse = |kind, value| -> Result<ObjectEvent, Error> {
        let mut object = Object::deserialize_as(kind, value)?;
        object.apply_api_defaults();
        Ok(ObjectEvent::Applied(object))
    };
    Ok([parse(Kind::Service, service)?, parse(Kind::EndpointSlice, slice)?])
}

impl<K: Kernel> Scene<K> {
    /// A world that is programmed.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(world: World, kernel: K) -> Result<Scene<K>, Error> {
        let mut table = empty_table();
        let all: Result<Vec<_>, Error> = world.services().map(|service| events(&service)).collect();
        table.update(all?.into_iter().flatten());
        let mut backend = Nftables::new(kernel, Options::slots(0x4000));
        backend.sync(&table, Instant::now()).map_err(|errors| format!("{errors:?}"))?;
        Ok(Scene { world, table, backend, count: 0 })
    }

    /// The event of one more endpoint's replacement, another Service's every time.
    ///
    /// # Errors
    /// Those of [`events`].
    pub fn replacement(&mut self) -> Result<ObjectEvent, Error> {
        let size = self.world.size();
        // Far apart, so that neighbours in memory are not neighbours in time.
        let service = self.count.wrapping_mul(7919) % size.regular();
        let endpoint = self.count % size.endpoints;
        self.count += 1;
        let service = self.world.apply(Change::Replace { service, endpoint }).ok_or("no such Service")?;
        let [_, slice] = events(&service)?;
        Ok(slice)
    }

    /// Takes an event in, and says whether anything changed.
    pub fn update(&mut self, event: ObjectEvent) -> kube_verdict_table::Update {
        self.table.update([event])
    }

    /// Takes an event in and writes what it changes.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn apply(&mut self, event: ObjectEvent) -> Result<(), Error> {
        let update = self.table.update([event]);
        self.backend
            .apply(&self.table, &update.change, Instant::now())
            .map_err(|errors| format!("{errors:?}"))?;
        Ok(())
    }

    /// The kernel that the backend writes to.
    pub fn kernel_mut(&mut self) -> &mut K {
        self.backend.kernel_mut()
    }
}
