//! What nobody can go below on a packet's way: routing, connection tracking, one rule that translates. The rules are
//! loaded with nft.

use std::io::Write;
use std::net::SocketAddrV4;
use std::process::{Command, Stdio};
use std::time::Duration;

use kube_verdict_scenario_tests::netns::Netns;

use super::{Contender, Contestant, Memory};
use crate::Error;
use crate::stage::Stage;
use crate::workload::{Change, PORT, Service, TARGET_PORT, World};

/// Every flow is tracked, and none is translated.
const CONNTRACK: &str =
    "table ip floor { chain forward { type filter hook forward priority filter; ct state new accept; }; }";
/// Services that are served: the first of each protocol, and there is nothing behind them.
const SERVED: u32 = 2;

/// A floor, on one node.
#[derive(Debug)]
pub struct Floor {
    node: Netns,
    rules: Option<String>,
    /// clients go to endpoints themselves
    is_direct: bool,
}

impl Floor {
    /// The floor of that name; none if it is none of those on a packet's way.
    ///
    /// # Errors
    /// There is no nft to load its rules with.
    pub fn new(contender: Contender, stage: &Stage, world: &World) -> Result<Option<Floor>, Error> {
        let (rules, is_direct) = match contender {
            Contender::FloorRouting => (None, true),
            Contender::FloorConntrack => (Some(CONNTRACK.into()), true),
            Contender::FloorDnat => (Some(translation(world)), false),
            _ => return Ok(None),
        };
        if rules.is_some() {
            Command::new("nft")
                .arg("--version")
                .stdout(Stdio::null())
                .status()
                .map_err(|error| format!("cannot run nft (package nftables): {error}"))?;
        }
        Ok(Some(Floor { node: stage.node.share(), rules, is_direct }))
    }
}

/// One rule for the first Service of each protocol.
fn translation(world: &World) -> String {
    let rules = world.services().take(SERVED as usize).filter_map(|service| {
        let (to, protocol) = (service.cluster_ip, service.protocol.as_str().to_lowercase());
        let endpoint = service.endpoints.first()?;
        Some(format!("ip daddr {to} {protocol} dport {PORT} dnat to {endpoint}:{TARGET_PORT};"))
    });
    let rules: String = rules.collect();
    format!("table ip floor {{ chain prerouting {{ type nat hook prerouting priority dstnat; {rules} }}; }}")
}

/// Has nft take rules in the calling thread's namespace.
fn load(rules: &str) -> Result<(), Error> {
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    // The pipe is closed at the end of the statement.
    nft.stdin.take().ok_or("nft has no standard input")?.write_all(rules.as_bytes())?;
    if nft.wait()?.success() { Ok(()) } else { Err("nft does not take the floor's rules".into()) }
}

impl Contestant for Floor {
    fn start(&mut self) -> Result<(), Error> {
        match &self.rules {
            Some(rules) => self.node.run(|| load(rules)),
            None => Ok(()),
        }
    }

    fn tell(&mut self, _changes: &[Change]) -> Result<(), Error> {
        Err("a floor cannot be told of changes".into())
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

    fn order(&self) -> Result<Option<Vec<u32>>, Error> {
        Ok(Some((0..SERVED).collect()))
    }

    fn frontend(&self, service: &Service) -> SocketAddrV4 {
        match (self.is_direct, service.endpoints.first()) {
            (true, Some(endpoint)) => SocketAddrV4::new(*endpoint, TARGET_PORT),
            _ => SocketAddrV4::new(service.cluster_ip, PORT),
        }
    }

    fn quiet(&self) -> Duration {
        Duration::ZERO
    }
}
