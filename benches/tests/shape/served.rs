//! The rules lead clients to endpoints, through every change.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kube_verdict_bench::contender::{Contender, Contestant, Rules};
use kube_verdict_bench::stage::{Stage, ask};
use kube_verdict_bench::workload::{Change, PORT, Service, Size, World};

const PATIENCE: Duration = Duration::from_secs(60);

/// A stage with rules on it, and the world that they are to serve.
struct Play {
    stage: Stage,
    rules: Rules,
    world: World,
}

impl Play {
    fn start(contender: Contender) -> Play {
        let stage = Stage::new();
        let world = World::new(Size { services: 4, endpoints: 3 });
        let rules = Rules::new(contender, stage.node.share(), world.clone(), PATIENCE);
        let mut rules = rules.expect("they are rules");
        rules.start().expect("they are loaded");
        Play { stage, rules, world }
    }

    fn tell(&mut self, changes: &[Change]) {
        for change in changes {
            self.world.apply(*change);
        }
        self.rules.tell(changes).expect("they are loaded");
    }

    fn ask(&self, service: &Service) -> std::io::Result<Ipv4Addr> {
        let to = SocketAddrV4::new(service.cluster_ip, PORT);
        self.stage.client.run(|| ask(service.protocol, to, Duration::from_secs(2)))
    }

    /// Every Service is served by its endpoints, and by all of them if asked often enough.
    fn is_served(&self) {
        for service in self.world.services() {
            for _ in 0..service.endpoints.len() * 3 {
                let answer = self.ask(&service);
                assert!(
                    answer.as_ref().is_ok_and(|ip| service.endpoints.contains(ip)),
                    "{answer:?} {service:?}"
                );
            }
        }
    }
}

#[track_caller]
fn changes_arrive(contender: Contender) {
    assert_eq!(Rules::absence(contender), None);
    let mut play = Play::start(contender);
    play.is_served();
    let (service, probe) = (play.world.unborn(), play.world.probes().start);
    play.tell(&[Change::Replace { service: 0, endpoint: 1 }, Change::Create { service }]);
    play.is_served();
    play.tell(&[Change::Delete { service }]);
    let gone = World::new(play.world.size()).apply(Change::Create { service }).expect("it existed");
    assert!(play.ask(&gone).is_err());
    play.tell(&[Change::Create { service }, Change::Replace { service: probe, endpoint: 0 }]);
    play.is_served();
    play.rules.stop().expect("nothing is to be ended");
    play.tell(&[Change::Replace { service: 1, endpoint: 0 }, Change::Delete { service: probe }]);
    play.rules.start().expect("they are loaded once more");
    play.is_served();
    assert!(play.rules.cpu().is_ok_and(|cpu| cpu > Duration::ZERO));
    if let Some(order) = play.rules.order().expect("the rules can be read") {
        assert_eq!(order, play.world.services().map(|service| service.number).collect::<Vec<_>>());
    }
}

#[test]
fn iptables_legacy() {
    changes_arrive(Contender::RulesIptablesLegacy);
}

#[test]
fn iptables_nft() {
    changes_arrive(Contender::RulesIptablesNft);
}

#[test]
fn nftables() {
    changes_arrive(Contender::RulesNftables);
}

#[test]
fn who_cannot_take_part_says_why() {
    assert!(Rules::absence(Contender::FloorDnat).is_some());
}
