//! The cleaner beside the loop, with kernels in memory.

use std::sync::mpsc::{Receiver, Sender, channel};

use kube_verdict_nftables::kernel::CommitError;
use kube_verdict_nftables::kernel::memory::MemoryKernel;
use kube_verdict_nftables::{Nftables, Options};
use kube_verdict_table::objects::{Object, ObjectEvent};
use kube_verdict_table::{Balancer, NodeState, PerFamily, ServiceTable, Settings};
use serde_json::{Value, json};

use super::*;
use crate::conntrack::{Entry, Filter};
use crate::reconcile::Reconciler;

const PATIENCE: Duration = Duration::from_secs(20);
const SYNC_PERIOD: Duration = Duration::from_secs(30);

/// Tells what it is asked; each dump waits to be told how it goes.
struct Asked {
    dumps: Sender<Filter>,
    outcomes: Receiver<io::Result<bool>>,
}

impl Kernel for Asked {
    fn dump(&mut self, filter: &Filter, _: &mut dyn FnMut(&Entry)) -> io::Result<bool> {
        let _ = self.dumps.send(*filter);
        self.outcomes.recv().unwrap_or(Ok(true))
    }

    fn delete(&mut self, _: &[Entry]) -> io::Result<usize> {
        Ok(0)
    }
}

/// A loop with a cleaner.
struct Stage {
    reconciler: Reconciler<Nftables<MemoryKernel>, Cleaner>,
    dumps: Receiver<Filter>,
    outcomes: Sender<io::Result<bool>>,
    rounds: Receiver<Round>,
    now: Instant,
}

impl Stage {
    fn new() -> Self {
        let (asks, dumps) = channel();
        let (outcomes, answers) = channel();
        let (observes, rounds) = channel();
        let kernel = Asked { dumps: asks, outcomes: answers };
        let cleaner = Cleaner::start(kernel, move |round| {
            let _ = observes.send(*round);
        })
        .unwrap();
        let settings = Settings {
            node_name: "node".into(),
            detector: PerFamily::default(),
            masquerade_all: false,
            allow_external_ips: true,
            balancer: Balancer::Random,
        };
        let table = ServiceTable::new(settings, NodeState::default());
        let backend = Nftables::new(MemoryKernel::new(), Options::slots(0x4000));
        let now = Instant::now();
        Stage {
            reconciler: Reconciler::new(table, backend, cleaner, SYNC_PERIOD, now),
            dumps,
            outcomes,
            rounds,
            now,
        }
    }

    fn take_in(&mut self, events: impl IntoIterator<Item = ObjectEvent>) {
        let news = Input { events: events.into_iter().collect(), ..Input::default() };
        self.reconciler.take_in(news, self.now);
    }

    fn break_the_kernel(&mut self, broken: bool) {
        let error = || Some(CommitError::Io(io::Error::from_raw_os_error(libc::ENOMEM)));
        self.reconciler.backend_mut().kernel_mut().fault =
            if broken { Some(Box::new(move |_| error())) } else { None };
    }

    /// The port of the next dump.
    fn next(&self) -> Option<u16> {
        self.dumps.recv_timeout(PATIENCE).expect("no dump").port
    }

    fn answer(&self, outcome: io::Result<bool>) {
        self.outcomes.send(outcome).unwrap();
    }
}

fn applied(value: Value) -> ObjectEvent {
    let mut object = match value["kind"].as_str() {
        Some("Service") => Object::Service(serde_json::from_value(value).unwrap()),
        _ => Object::EndpointSlice(serde_json::from_value(value).unwrap()),
    };
    object.apply_api_defaults();
    ObjectEvent::Applied(object)
}

fn service(n: u16, protocol: &str) -> ObjectEvent {
    applied(json!({
        "kind": "Service", "metadata": {"name": format!("s{n}")},
        "spec": {"clusterIP": format!("10.96.0.{n}"), "ports": [{"port": n, "protocol": protocol}]},
    }))
}

fn slice(n: u16, endpoint: u8) -> ObjectEvent {
    applied(json!({
        "kind": "EndpointSlice",
        "metadata": {"name": format!("s{n}-x"), "labels": {"kubernetes.io/service-name": format!("s{n}")}},
        "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "UDP"}],
        "endpoints": [{"addresses": [format!("10.0.{n}.{endpoint}")]}],
    }))
}

#[test]
fn without_udp_the_kernel_is_not_asked() {
    let mut stage = Stage::new();
    stage.take_in([service(1, "TCP"), slice(1, 1)]);
    stage.take_in([slice(1, 2)]);
    stage.take_in([service(2, "UDP")]);
    assert_eq!(stage.next(), Some(2), "nothing was asked before");
}

#[test]
fn what_comes_while_it_is_busy_is_put_together() {
    let mut stage = Stage::new();
    stage.take_in([service(1, "UDP"), slice(1, 1)]);
    assert_eq!(stage.next(), Some(1));
    for n in 2..=4 {
        stage.take_in([service(n, "UDP"), slice(n, 1)]);
        stage.take_in([slice(n, 2)]);
    }
    stage.answer(Ok(true));
    assert_eq!(stage.rounds.recv_timeout(PATIENCE).unwrap().family, Family::V4);
    for n in 2..=4 {
        assert_eq!(stage.next(), Some(n), "each port once");
        stage.answer(Ok(true));
    }
    stage.rounds.recv_timeout(PATIENCE).unwrap();
    stage.take_in([service(9, "UDP")]);
    assert_eq!(stage.next(), Some(9));
}

#[test]
fn a_failed_sync_makes_it_wait_for_the_next() {
    let mut stage = Stage::new();
    stage.take_in([service(1, "UDP"), slice(1, 1)]);
    assert_eq!(stage.next(), Some(1));
    stage.answer(Ok(true));
    stage.break_the_kernel(true);
    stage.take_in([slice(1, 2)]);
    stage.rounds.recv_timeout(PATIENCE).unwrap();
    assert!(stage.dumps.recv_timeout(Duration::from_millis(200)).is_err(), "the old rules are in place");
    stage.break_the_kernel(false);
    stage.reconciler.wake(stage.now + SYNC_PERIOD).unwrap();
    assert_eq!(stage.next(), Some(1));
}

#[test]
fn rules_that_were_gone_for_a_while_touch_everything() {
    let mut stage = Stage::new();
    stage.take_in([service(1, "UDP"), slice(1, 1)]);
    assert_eq!(stage.next(), Some(1));
    stage.answer(Ok(true));
    stage.reconciler.backend_mut().kernel_mut().flush();
    stage.reconciler.wake(stage.now + SYNC_PERIOD).unwrap();
    assert_eq!(stage.next(), Some(1));
    stage.answer(Ok(true));
}

#[test]
fn a_failed_clean_up_is_tried_again() {
    let mut stage = Stage::new();
    stage.take_in([service(1, "UDP"), slice(1, 1)]);
    assert_eq!(stage.next(), Some(1));
    stage.answer(Err(io::Error::from_raw_os_error(libc::EINVAL)));
    assert_eq!(stage.next(), Some(1));
    stage.answer(Ok(true));
    stage.rounds.recv_timeout(PATIENCE).unwrap();
    assert_eq!(stage.rounds.try_recv().ok(), None, "the failed one was none");
}
