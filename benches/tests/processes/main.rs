//! Every contender that is a process, as far as this machine can have it, through the measurements of a tiny world:
//! figures come, and clients reach the endpoints that they should. How large figures are is not looked at.
//!
//! The real kube-proxy takes part if its program has been built (`scripts/peers.sh`), and is named as absent if not.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kube_verdict_bench::contender::daemon::{Candidate, Programs};
use kube_verdict_bench::contender::{Contender, Contestant, Kind};
use kube_verdict_bench::measure::{Effort, Turn, memory, programme, restart};
use kube_verdict_bench::results::Quantity;
use kube_verdict_bench::stage::{Stage, ask};
use kube_verdict_bench::workload::{Change, PORT, Service, Size, World};
use kube_verdict_scenario_tests::daemon::program;

const SIZE: Size = Size { services: 3, endpoints: 2 };
/// Five slices' worth of endpoints.
const LARGE: Size = Size { services: 2, endpoints: 450 };
const EFFORT: Effort =
    Effort { patience: Duration::from_secs(120), budget: Duration::from_millis(300), changes: 3 };

fn programs() -> Programs {
    let peers = std::env::var_os("KUBE_VERDICT_KUBE_PROXY").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var("XDG_CACHE_HOME")
            .unwrap_or_else(|_| format!("{}/.cache", std::env::var("HOME").unwrap_or_default()));
        PathBuf::from(home).join("kube-verdict/peers-1.36.3/kube-proxy")
    });
    Programs { kube_verdict: program().to_owned(), kube_proxy: peers.exists().then_some(peers) }
}

/// Asks until this Service is served by exactly these endpoints.
fn leads(stage: &Stage, service: &Service) -> bool {
    let to = SocketAddrV4::new(service.cluster_ip, PORT);
    let answer = stage.client.run(|| ask(service.protocol, to, Duration::from_secs(1)));
    answer.is_ok_and(|endpoint| service.endpoints.contains(&endpoint))
}

fn until(what: &str, contestant: &mut dyn Contestant, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        contestant.check().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(start.elapsed() < EFFORT.patience, "{what}: not within {:?}", EFFORT.patience);
    }
}

fn play(contender: Contender) {
    let candidate = match Candidate::find(contender, &programs()) {
        Ok(candidate) => candidate,
        Err(reason) if contender == Contender::KubeVerdictNftables => panic!("{reason}"),
        Err(reason) => return eprintln!("absent: {}: {reason}", contender.label()),
    };
    let (stage, world) = (Stage::new(), World::new(SIZE));
    let mut contestant = candidate.contestant(&stage, &world).expect("a contestant");
    let mut figures = Vec::new();
    let mut turn = Turn {
        stage: &stage,
        contestant: &mut contestant,
        world,
        effort: EFFORT,
        record: &mut |quantity, variant, sample| {
            assert!(variant.is_empty() && sample.is_finite() && sample >= 0.0, "{quantity:?}: {sample}");
            figures.push((quantity, sample));
        },
    };
    programme::measure(&mut turn).expect("a first sync");
    memory::at_rest(&mut turn).expect("rest");
    every_change_comes_true(&mut turn);
    restart::measure(&mut turn).expect("a restart");
    everybody_is_served(&turn.world, &stage);
    if let Some(order) = turn.contestant.order().expect("an order") {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, turn.world.services().map(|service| service.number).collect::<Vec<_>>());
    }
    memory::peak(&mut turn).expect("a peak");
    everybody_is_served(&turn.world, &stage);
    eprintln!("{} {}: {figures:?}", contender.label(), candidate.version());
    let figure = |wanted| figures.iter().find(|(quantity, _)| *quantity == wanted).map(|(_, sample)| *sample);
    let missing = |quantity: &&Quantity| !matches!(figure(**quantity), Some(sample) if sample > 0.0);
    let positive = [
        Quantity::FirstSync,
        Quantity::FirstSyncCpu,
        Quantity::Resident,
        Quantity::Restart,
        Quantity::RestartCpu,
        Quantity::Peak,
    ];
    assert_eq!(positive.iter().find(missing), None, "{figures:?}");
    assert!(figure(Quantity::IdleCpu).is_some_and(|cores| cores < 16.0), "{figures:?}");
    assert!(figure(Quantity::RestartFailed).is_some(), "{figures:?}");
    assert!(figure(Quantity::Peak) >= figure(Quantity::Resident), "{figures:?}");
}

fn everybody_is_served(world: &World, stage: &Stage) {
    let unserved = world.services().find(|service| !leads(stage, service));
    assert_eq!(unserved, None, "its endpoints do not answer");
}

fn every_change_comes_true(turn: &mut Turn<'_>) {
    let (stage, probe) = (turn.stage, turn.world.probes().start);
    turn.tell(&[Change::Replace { service: probe, endpoint: 0 }]).expect("it hears");
    let changed = turn.world.service(probe).expect("it exists");
    until("a replaced endpoint", turn.contestant, || leads(stage, &changed));
    let service = turn.world.unborn();
    turn.tell(&[Change::Create { service }]).expect("it hears");
    let created = turn.world.service(service).expect("it exists");
    until("a new Service", turn.contestant, || leads(stage, &created));
    turn.tell(&[Change::Delete { service }]).expect("it hears");
    until("a deleted Service", turn.contestant, || !leads(stage, &created));
}

macro_rules! contenders {
    ($($name:ident: $contender:ident;)*) => {
        $(#[test]
        fn $name() {
            play(Contender::$contender);
        })*

        #[test]
        fn none_is_forgotten() {
            let played = [$(Contender::$contender),*];
            let is_process = |contender: &&Contender| matches!(contender.kind(), Kind::Ours | Kind::Peer);
            assert_eq!(Contender::ALL.iter().filter(is_process).find(|one| !played.contains(one)), None);
        }
    };
}

contenders! {
    kube_verdict_nftables: KubeVerdictNftables;
    kube_verdict_ipvs: KubeVerdictIpvs;
    kube_proxy_nftables: KubeProxyNftables;
    kube_proxy_iptables_legacy: KubeProxyIptablesLegacy;
    kube_proxy_iptables_nft: KubeProxyIptablesNft;
    kube_proxy_ipvs: KubeProxyIpvs;
}

#[test]
fn services_of_many_slices() {
    let candidate = Candidate::find(Contender::KubeVerdictNftables, &programs()).expect("it is built");
    let (stage, world) = (Stage::new(), World::new(LARGE));
    let mut contestant = candidate.contestant(&stage, &world).expect("a contestant");
    contestant.start().expect("it starts");
    let first = world.service(0).expect("it exists");
    until("a first Service", &mut contestant, || leads(&stage, &first));
    // Endpoints of the last slice are reached as well, some time.
    let last = Service { endpoints: first.endpoints[400..].to_vec(), ..first };
    until("an endpoint of the fifth slice", &mut contestant, || leads(&stage, &last));
}

#[test]
fn who_has_died_is_noticed() {
    let mut programs = programs();
    programs.kube_verdict = "/bin/true".into();
    let candidate = Candidate::find(Contender::KubeVerdictNftables, &programs).expect("it says a version");
    let (stage, world) = (Stage::new(), World::new(SIZE));
    let mut contestant = candidate.contestant(&stage, &world).expect("a contestant");
    let mut turn = Turn {
        stage: &stage,
        contestant: &mut contestant,
        world,
        effort: EFFORT,
        record: &mut |quantity, _, _| panic!("{quantity:?} of somebody who does nothing"),
    };
    let error = programme::measure(&mut turn).expect_err("nobody serves");
    assert!(error.to_string().contains("kube-verdict nftables has ended: exit status: 0"), "{error}");
}
