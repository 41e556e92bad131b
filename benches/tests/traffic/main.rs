//! What is measured of traffic and of changes is there, and what goes wrong is found: with contestants that need no
//! daemon, on a few Services. No figure is judged, but by what a contestant did wrong on purpose.

mod in_process;

use std::collections::BTreeMap;
use std::time::Duration;

use in_process::InProcess;
use kube_verdict_bench::Error;
use kube_verdict_bench::contender::{Contender, Contestant, Floor};
use kube_verdict_bench::measure::{Effort, Turn, change, churn, datapath};
use kube_verdict_bench::results::Quantity;
use kube_verdict_bench::stage::Stage;
use kube_verdict_bench::workload::{Size, World};

const SIZE: Size = Size { services: 12, endpoints: 3 };
const EFFORT: Effort =
    Effort { patience: Duration::from_secs(10), budget: Duration::from_secs(1), changes: 20 };

/// What was recorded, and what went wrong.
struct Played {
    figures: BTreeMap<(String, String), f64>,
    result: Result<(), Error>,
}

impl Played {
    fn get(&self, quantity: Quantity, variant: &str) -> Option<f64> {
        self.figures.get(&(format!("{quantity:?}"), variant.to_owned())).copied()
    }

    #[track_caller]
    fn has(&self, quantity: Quantity, variant: &str) {
        let value = self.get(quantity, variant);
        assert!(value.is_some_and(|value| value > 0.0), "{quantity:?} {variant}: {value:?}");
    }

    /// Failures of a contestant that does nothing wrong: on a busy machine an answer may be late.
    #[track_caller]
    fn has_few(&self, quantity: Quantity, variant: &str) {
        let value = self.get(quantity, variant);
        assert!(value.is_some_and(|value| value < 3.0), "{quantity:?} {variant}: {value:?}");
    }

    #[track_caller]
    fn has_many(&self, quantity: Quantity, variant: &str) {
        let value = self.get(quantity, variant);
        assert!(value.is_some_and(|value| value >= 5.0), "{quantity:?} {variant}: {value:?}");
    }

    #[track_caller]
    fn is_well(&self) {
        assert!(self.result.is_ok(), "{:?}", self.result);
    }
}

fn play(
    stage: &Stage,
    contestant: &mut dyn Contestant,
    measure: fn(&mut Turn<'_>) -> Result<(), Error>,
) -> Played {
    contestant.start().expect("it starts");
    let mut figures = BTreeMap::new();
    let mut record = |quantity: Quantity, variant: &str, value: f64| {
        let key = (format!("{quantity:?}"), variant.to_owned());
        assert_eq!(figures.insert(key, value), None, "{quantity:?} {variant:?} is recorded once in a turn");
    };
    let world = World::new(SIZE);
    let mut turn = Turn { stage, contestant, world, effort: EFFORT, record: &mut record };
    let result = measure(&mut turn);
    Played { figures, result }
}

#[test]
fn changes_are_noticed_each_in_its_way() {
    let stage = Stage::new();
    let mut contestant = InProcess::new(&stage, &World::new(SIZE));
    let played = play(&stage, &mut contestant, change::measure);
    played.is_well();
    for quantity in [
        Quantity::ChangeP50,
        Quantity::ChangeP99,
        Quantity::ChangeMax,
        Quantity::Rolling,
        Quantity::Create,
        Quantity::Delete,
    ] {
        played.has(quantity, "");
    }
    assert_eq!(played.get(Quantity::ChangeCpu, ""), Some(0.0));
}

#[test]
fn a_change_that_nobody_notices_is_a_failure_and_the_others_are_measured() {
    let stage = Stage::new();
    let world = World::new(SIZE);
    let mut contestant = InProcess::new(&stage, &world);
    contestant.unheard = Some(world.probes().start);
    let effort = Effort { patience: Duration::from_secs(1), ..EFFORT };
    contestant.start().expect("it starts");
    let mut quantities = Vec::new();
    let mut record = |quantity: Quantity, _: &str, _: f64| quantities.push(quantity);
    let mut turn = Turn { stage: &stage, contestant: &mut contestant, world, effort, record: &mut record };
    let error = change::measure(&mut turn).expect_err("a probe does not change").to_string();
    assert!(error.contains("an endpoint replaced: ") && error.contains("a rolling update: "), "{error}");
    assert!(!error.contains("created"), "{error}");
    assert_eq!(quantities, [Quantity::Create, Quantity::Delete]);
}

#[test]
fn a_stream_is_followed_and_nobody_else_suffers() {
    let stage = Stage::new();
    let mut contestant = InProcess::new(&stage, &World::new(SIZE));
    let played = play(&stage, &mut contestant, churn::measure);
    played.is_well();
    played.has(Quantity::ChurnLagP50, "100 changes/s");
    played.has(Quantity::ChurnLagP99, "100 changes/s");
    played.has(Quantity::ChurnRate, "");
    assert_eq!(played.get(Quantity::ChurnCpu, "100 changes/s"), Some(0.0));
    for protocol in ["tcp", "udp"] {
        let variant = format!("100 changes/s, {protocol}");
        played.has_few(Quantity::ChurnFailed, &variant);
    }
}

#[test]
fn who_lags_is_said_to_and_a_bystander_without_an_answer_is_counted() {
    let stage = Stage::new();
    let mut contestant = InProcess::new(&stage, &World::new(SIZE));
    contestant.lag = churn::LAG + Duration::from_millis(300);
    contestant.dropped = Some(1);
    let played = play(&stage, &mut contestant, churn::measure);
    played.is_well();
    assert_eq!(played.get(Quantity::ChurnRate, ""), Some(0.0));
    played.has_few(Quantity::ChurnFailed, "1 changes/s, tcp");
    played.has_many(Quantity::ChurnFailed, "1 changes/s, udp");
    let lag = played.get(Quantity::ChurnLagP99, "100 changes/s");
    assert!(lag.is_some_and(|lag| lag > churn::LAG.as_secs_f64()), "{lag:?}");
}

#[test]
fn packets_and_connections_are_timed_at_three_services() {
    let stage = Stage::new();
    let mut contestant = InProcess::new(&stage, &World::new(SIZE));
    assert_complete(&play(&stage, &mut contestant, datapath::measure));
}

#[test]
fn floors_are_measured_like_contenders() {
    for floor in [Contender::FloorRouting, Contender::FloorConntrack, Contender::FloorDnat] {
        let stage = Stage::new();
        let mut floor = Floor::new(floor, &stage, &World::new(SIZE)).expect("nft is there").expect("a floor");
        assert_complete(&play(&stage, &mut floor, datapath::measure));
    }
}

#[track_caller]
fn assert_complete(played: &Played) {
    played.is_well();
    for place in ["first", "middle", "last"] {
        let variant = format!("udp, {place} Service");
        played.has(Quantity::FirstPacketP50, &variant);
        played.has(Quantity::FirstPacketP99, &variant);
        played.has(Quantity::Connections, &variant);
        played.has(Quantity::Connections, &format!("tcp, {place} Service"));
    }
    played.has(Quantity::Throughput, "");
    played.has_few(Quantity::ConnectionsFailed, "tcp");
    played.has_few(Quantity::ConnectionsFailed, "udp");
}

#[test]
fn a_service_that_is_not_served_shows() {
    let stage = Stage::new();
    let mut contestant = InProcess::new(&stage, &World::new(SIZE));
    contestant.dropped = Some(11);
    let played = play(&stage, &mut contestant, datapath::measure);
    let error = played.result.as_ref().expect_err("packets are lost").to_string();
    assert!(error.starts_with("first packets, udp, last Service: of "), "{error}");
    assert_eq!(played.get(Quantity::FirstPacketP50, "udp, last Service"), None);
    assert_eq!(played.get(Quantity::Connections, "udp, last Service"), None);
    played.has_many(Quantity::ConnectionsFailed, "udp");
    played.has_few(Quantity::ConnectionsFailed, "tcp");
    played.has(Quantity::FirstPacketP50, "udp, middle Service");
    played.has(Quantity::Throughput, "");
}
