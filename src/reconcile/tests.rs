//! The loop on a kernel in memory.

use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use kube_verdict_nftables::kernel::CommitError;
use kube_verdict_nftables::kernel::memory::MemoryKernel;
use kube_verdict_nftables::layout::Element;
use kube_verdict_nftables::{Figures, Heard, Nftables, Options};
use kube_verdict_table::objects::{Kind, Object, ObjectEvent, ObjectKey};
use kube_verdict_table::{Balancer, Change, Family, NodeState, PerFamily, ServiceTable, Settings};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    Backend, Ended, Input, News, Outcome, Pace, Reconciler, Report, Scope, Servers, Synced, Witness, run,
};

const SYNC_PERIOD: Duration = Duration::from_secs(30);

fn applied(value: Value) -> ObjectEvent {
    let mut object = match value["kind"].as_str() {
        Some("Service") => Object::Service(serde_json::from_value(value).unwrap()),
        _ => Object::EndpointSlice(serde_json::from_value(value).unwrap()),
    };
    object.apply_api_defaults();
    ObjectEvent::Applied(object)
}

fn service(n: u8) -> ObjectEvent {
    applied(json!({
        "kind": "Service", "metadata": {"name": format!("s{n}")},
        "spec": {"clusterIP": format!("10.96.0.{n}"), "ports": [{"port": 80}]},
    }))
}

fn slice(n: u8, endpoint: u8) -> ObjectEvent {
    applied(json!({
        "kind": "EndpointSlice",
        "metadata": {"name": format!("s{n}-x"), "labels": {"kubernetes.io/service-name": format!("s{n}")}},
        "addressType": "IPv4", "ports": [{"name": "", "port": 8080}],
        "endpoints": [{"addresses": [format!("10.0.{n}.{endpoint}")]}],
    }))
}

fn reconciler(now: Instant) -> Reconciler<Nftables<MemoryKernel>> {
    reconciler_with((), now)
}

fn reconciler_with<W: Witness>(witness: W, now: Instant) -> Reconciler<Nftables<MemoryKernel>, W> {
    let settings = Settings {
        node_name: "node".into(),
        detector: PerFamily::default(),
        masquerade_all: false,
        allow_external_ips: true,
        balancer: Balancer::Random,
    };
    let table = ServiceTable::new(settings, NodeState::default());
    let backend = Nftables::new(MemoryKernel::new(), Options::slots(0x4000));
    Reconciler::new(table, backend, witness, SYNC_PERIOD, now)
}

fn news(events: impl IntoIterator<Item = ObjectEvent>) -> Input {
    Input { events: events.into_iter().collect(), ..Input::default() }
}

fn backends(reconciler: &mut Reconciler<Nftables<MemoryKernel>>) -> Vec<String> {
    let state = reconciler.backend_mut().kernel_mut().contents(Family::V4);
    let elements = state.map_or(vec![], |state| state.elements);
    let of_slot = |element: Element| match element {
        Element::Slot(.., backend) => Some(backend.to_string()),
        _ => None,
    };
    elements.into_iter().filter_map(of_slot).collect()
}

#[test]
fn a_failure_is_retried_later_and_later_and_loses_nothing() {
    let now = Instant::now();
    let mut ours = reconciler(now);
    ours.take_in(news([service(1), slice(1, 1)]), now).unwrap();
    ours.backend_mut().kernel_mut().fault =
        Some(Box::new(|_| Some(CommitError::Io(io::Error::from_raw_os_error(libc::ENOMEM)))));
    assert_eq!(ours.take_in(news([slice(1, 2)]), now), None);
    assert!(!ours.is_in_sync());
    assert_eq!(backends(&mut ours), ["10.0.1.1:8080"]);
    let mut at = now;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        assert_eq!(ours.next_wake().min(at + Duration::from_secs(pause)), ours.next_wake());
        at += Duration::from_secs(pause);
        assert_eq!(ours.wake(at), None);
    }
    ours.backend_mut().kernel_mut().fault = None;
    ours.wake(at + SYNC_PERIOD).unwrap();
    assert!(ours.is_in_sync());
    assert_eq!(backends(&mut ours), ["10.0.1.2:8080"]);
}

#[test]
fn foreign_changes_are_mended_within_the_sync_period() {
    let now = Instant::now();
    let mut ours = reconciler(now);
    ours.take_in(news([service(1), slice(1, 1)]), now).unwrap();
    ours.backend_mut().kernel_mut().flush();
    assert!(ours.next_wake() <= now + SYNC_PERIOD);
    ours.wake(now + SYNC_PERIOD).unwrap();
    assert_eq!(backends(&mut ours), ["10.0.1.1:8080"]);
}

#[test]
fn what_a_source_with_gaps_does_not_know_stays_until_it_knows_everything() {
    let now = Instant::now();
    let mut before = reconciler(now);
    before.take_in(news([service(1), slice(1, 1), service(2), slice(2, 1)]), now).unwrap();
    let kernel = std::mem::take(before.backend_mut().kernel_mut());

    // Started anew, and service 2 is in a file that is broken.
    let mut ours = reconciler(now);
    *ours.backend_mut().kernel_mut() = kernel;
    let with_gaps = |events: Vec<ObjectEvent>| Input { has_gaps: true, ..news(events) };
    ours.take_in(with_gaps(vec![service(1), slice(1, 7)]), now).unwrap();
    assert_eq!(backends(&mut ours), ["10.0.1.7:8080", "10.0.2.1:8080"]);
    ours.take_in(with_gaps(vec![slice(1, 8)]), now).unwrap();
    assert_eq!(backends(&mut ours), ["10.0.1.8:8080", "10.0.2.1:8080"]);
    // The file is mended, with another endpoint; then a service that nobody defines any more goes.
    ours.take_in(with_gaps(vec![service(2), slice(2, 9)]), now).unwrap();
    assert_eq!(backends(&mut ours), ["10.0.1.8:8080", "10.0.2.9:8080"]);
    let key = ObjectKey { kind: Kind::Service, namespace: "default".into(), name: "s2".into() };
    ours.take_in(with_gaps(vec![ObjectEvent::Deleted(key)]), now).unwrap();
    ours.take_in(news([]), now);
    assert_eq!(ours.next_wake(), now);
    ours.wake(now);
    assert_eq!(backends(&mut ours), ["10.0.1.8:8080"]);
}

#[test]
fn unused_chains_go_a_while_after_the_change() {
    let now = Instant::now();
    let mut ours = reconciler(now);
    ours.take_in(news([service(1), slice(1, 1)]), now).unwrap();
    let chains = |ours: &mut Reconciler<Nftables<MemoryKernel>>| {
        let state = ours.backend_mut().kernel_mut().contents(Family::V4).unwrap();
        state.chains.contains_key("pick-1")
    };
    assert!(chains(&mut ours));
    let key = ObjectKey { kind: Kind::Service, namespace: "default".into(), name: "s1".into() };
    ours.take_in(news([ObjectEvent::Deleted(key)]), now).unwrap();
    assert!(chains(&mut ours));
    ours.wake(now + Duration::from_secs(5));
    assert!(!chains(&mut ours));
}

/// News that are all there at once, and then none for ever.
struct Waiting(Option<Input>);

impl News for Waiting {
    async fn next(&mut self) -> Option<Input> {
        match self.0.take() {
            Some(input) => Some(input),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_out_together_and_stopping_leaves_the_rules() {
    let mut ours = reconciler(Instant::now());
    ours.sync(Instant::now()).unwrap();
    let committed = ours.backend_mut().kernel_mut().committed.len();
    let mut news = Waiting(Some(Input {
        events: vec![service(1), slice(1, 1), slice(1, 2), service(2)],
        ..Input::default()
    }));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        stop.send(()).unwrap();
    };
    let stopped = async {
        stopped.await.unwrap();
    };
    let mut silence = ();
    let running = run(&mut ours, &mut news, &mut silence, Pace::default(), stopped);
    let (ended, ()) = tokio::join!(running, stopping);
    assert_eq!(ended, Ended::Stopped);
    assert_eq!(ours.backend_mut().kernel_mut().committed.len(), committed + 1, "one batch for all");
    assert_eq!(backends(&mut ours), ["10.0.1.2:8080"]);
}

/// So many changes of a Service without endpoints, without a pause.
struct Endless(u32);

impl News for Endless {
    async fn next(&mut self) -> Option<Input> {
        self.0 = self.0.checked_sub(1)?;
        // Time passes when this is begun, and nobody else has a turn.
        let mut passing = std::pin::pin!(tokio::time::advance(Duration::from_millis(100)));
        let begun = |context: &mut Context<'_>| Poll::Ready(passing.as_mut().poll(context));
        assert!(std::future::poll_fn(begun).await.is_pending());
        let key = ObjectKey { kind: Kind::Service, namespace: "default".into(), name: "s2".into() };
        Some(news([if self.0.is_multiple_of(2) { service(2) } else { ObjectEvent::Deleted(key) }]))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_done_while_news_never_pause() {
    let now = tokio::time::Instant::now().into_std();
    let mut ours = reconciler(now);
    ours.take_in(news([service(1), slice(1, 1)]), now).unwrap();
    let key = ObjectKey { kind: Kind::Service, namespace: "default".into(), name: "s1".into() };
    ours.take_in(news([ObjectEvent::Deleted(key)]), now).unwrap();
    let never = std::future::pending();
    let ended = run(&mut ours, &mut Endless(100), &mut (), Pace::default(), never).await;
    assert_eq!(ended, Ended::NoMoreNews);
    let state = ours.backend_mut().kernel_mut().contents(Family::V4).unwrap();
    assert!(!state.chains.contains_key("pick-1"), "nothing uses it any more");
}

/// Notes what it is told.
#[derive(Default)]
struct Notes(std::rc::Rc<std::cell::RefCell<Vec<String>>>);

impl Witness for Notes {
    fn requested(&mut self, _: &Input) {
        self.0.borrow_mut().push("requested".into());
    }

    fn synced(&mut self, sync: &Synced<'_>) {
        let (scope, is_ok, checks) =
            (sync.scope, sync.outcome.is_ok(), sync.update.map_or(0, |update| update.health_checks.len()));
        self.0.borrow_mut().push(format!("{scope:?} {is_ok} {checks}"));
    }
}

#[test]
fn a_witness_hears_of_every_update_even_while_the_kernel_refuses() {
    let now = Instant::now();
    let notes = Notes::default();
    let heard = std::rc::Rc::clone(&notes.0);
    let mut ours = reconciler_with(notes, now);
    ours.backend_mut().kernel_mut().fault =
        Some(Box::new(|_| Some(CommitError::Io(io::Error::from_raw_os_error(libc::ENOMEM)))));
    ours.take_in(news([service(1)]), now);
    // Nothing to programme, and a sync that failed before.
    ours.take_in(news([service(1)]), now);
    ours.backend_mut().kernel_mut().fault = None;
    ours.wake(now + SYNC_PERIOD);
    let heard: Vec<String> = heard.borrow().clone();
    assert_eq!(heard, ["requested", "Change false 0", "requested", "Nothing false 0", "Everything true 0"]);
}

/// One that hears what others do, and is in sync.
fn listening(now: Instant) -> Reconciler<Nftables<MemoryKernel>, Repairs> {
    let mut ours = reconciler_with(Repairs::default(), now);
    ours.backend_mut().kernel_mut().hears = Some(true);
    ours.start(news([service(1), slice(1, 1)]), now).unwrap();
    assert_eq!(ours.listen(now), None);
    ours
}

/// Counts comparisons and repairs, the delayed ones too.
#[derive(Clone, Default)]
struct Repairs(std::rc::Rc<std::cell::Cell<(usize, usize, usize)>>);

impl Witness for Repairs {
    fn requested(&mut self, _: &Input) {}

    fn synced(&mut self, sync: &Synced<'_>) {
        let (mut compared, mut repaired, mut delayed) = self.0.get();
        compared += usize::from(sync.scope == Scope::Everything);
        repaired += usize::from(sync.repair.is_some());
        delayed += usize::from(sync.repair.is_some_and(|repair| repair.was_delayed));
        self.0.set((compared, repaired, delayed));
    }
}

fn counts(ours: &Reconciler<Nftables<MemoryKernel>, Repairs>) -> (usize, usize, usize) {
    ours.witness().0.get()
}

fn endpoints_of(ours: &mut Reconciler<Nftables<MemoryKernel>, Repairs>) -> usize {
    let state = ours.backend_mut().kernel_mut().contents(Family::V4);
    let elements = state.map_or(vec![], |state| state.elements);
    elements.iter().filter(|element| matches!(element, Element::Slot(..))).count()
}

#[test]
fn what_is_heard_to_have_changed_is_mended_at_once() {
    let now = Instant::now();
    let mut ours = listening(now);
    ours.backend_mut().kernel_mut().flush();
    let report = ours.listen(now).unwrap();
    assert!(report.operations > 0);
    assert_eq!(endpoints_of(&mut ours), 1);
    assert_eq!(counts(&ours), (2, 1, 0));
    // The repair itself is nothing to be heard of, and does not make deaf: without a look at the generation the
    // next change is heard too.
    assert_eq!(ours.listen(now), None);
    assert_eq!(counts(&ours), (2, 1, 0));
    let later = now + SYNC_PERIOD / 2;
    ours.backend_mut().kernel_mut().flush();
    assert!(ours.listen(later).is_some_and(|report| report.operations > 0));
    assert_eq!(ours.wake(later + SYNC_PERIOD), None);
    assert_eq!(counts(&ours), (3, 2, 0));
}

#[test]
fn what_others_change_elsewhere_is_never_compared() {
    let now = Instant::now();
    let mut ours = listening(now);
    for n in 2..50 {
        ours.backend_mut().kernel_mut().change_elsewhere();
        if n % 3 == 0 {
            assert_eq!(ours.listen(now), None);
        }
        ours.take_in(news([slice(1, n)]), now).unwrap();
        assert_eq!(ours.listen(now), None);
    }
    ours.wake(now + SYNC_PERIOD);
    assert_eq!(counts(&ours), (1, 0, 0));
}

#[test]
fn what_was_missed_while_we_wrote_is_looked_for_once() {
    let now = Instant::now();
    let mut ours = listening(now);
    let deafly = |ours: &mut Reconciler<Nftables<MemoryKernel>, Repairs>, change: fn(&mut MemoryKernel)| {
        let kernel = ours.backend_mut().kernel_mut();
        kernel.hears = Some(false);
        change(kernel);
        kernel.hears = Some(true);
    };
    // In the same moment as a batch of ours: only the generation tells.
    deafly(&mut ours, MemoryKernel::change_elsewhere);
    ours.take_in(news([slice(1, 2)]), now).unwrap();
    assert!(ours.listen(now).is_some_and(|report| report.operations == 0));
    assert_eq!(counts(&ours), (2, 0, 0));
    let element = ours.backend_mut().kernel_mut().contents(Family::V4).unwrap().elements;
    let slot = *element.iter().find(|element| matches!(element, Element::Slot(..))).unwrap();
    let kernel = ours.backend_mut().kernel_mut();
    kernel.hears = Some(false);
    kernel.snatch(&slot);
    kernel.hears = Some(true);
    ours.take_in(news([service(2)]), now).unwrap();
    let later = now + SYNC_PERIOD / 2;
    ours.listen(now);
    ours.wake(later);
    assert_eq!(endpoints_of(&mut ours), 1);
    assert_eq!(counts(&ours).1, 1);
    // Notes were dropped: one look.
    let before = counts(&ours).0;
    ours.backend_mut().kernel_mut().lose_notes();
    let much_later = later + SYNC_PERIOD / 2;
    ours.listen(much_later);
    ours.listen(much_later);
    assert_eq!(counts(&ours).0, before + 1);
}

#[test]
fn a_fight_is_fought_more_and_more_slowly() {
    let now = Instant::now();
    let mut ours = listening(now);
    let mut at = now;
    // For a minute somebody flushes everything every ten milliseconds.
    for _ in 0..6000 {
        at += Duration::from_millis(10);
        ours.backend_mut().kernel_mut().flush();
        ours.listen(at);
        if ours.next_wake() <= at {
            ours.wake(at);
        }
    }
    let (compared, repaired, delayed) = counts(&ours);
    assert!((8..16).contains(&repaired), "{repaired} repairs in a minute");
    assert_eq!((compared, delayed), (repaired + 1, repaired - 1));
    // It goes away; we come back within a sync period, and then are as quick as ever.
    ours.wake(at + SYNC_PERIOD);
    assert_eq!(endpoints_of(&mut ours), 1);
    let peace = at + SYNC_PERIOD * 5;
    ours.wake(peace);
    ours.backend_mut().kernel_mut().flush();
    assert!(ours.listen(peace).is_some_and(|report| report.operations > 0));
}

#[test]
fn a_change_that_meets_a_foreign_one_mends_it_and_it_is_counted() {
    let now = Instant::now();
    let mut ours = listening(now);
    ours.backend_mut().kernel_mut().flush();
    ours.take_in(news([service(2), slice(2, 1)]), now).unwrap();
    assert_eq!(endpoints_of(&mut ours), 2);
    ours.listen(now);
    assert_eq!(counts(&ours).1, 1);
}

/// Rings once a second, and knows how often it was waited for.
struct Seconds(u32);

impl super::Alarm for Seconds {
    async fn rings(&mut self) {
        self.0 += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_waits_for_the_alarm_between_two_changes_as_well() {
    let mut ours = reconciler(Instant::now());
    let mut news = Waiting(Some(Input::default()));
    let mut seconds = Seconds(0);
    let pace = Pace { min_sync_period: Some(Duration::from_secs(100)) };
    let stop = tokio::time::sleep(Duration::from_secs(50));
    assert_eq!(run(&mut ours, &mut news, &mut seconds, pace, stop).await, Ended::Stopped);
    assert!(seconds.0 >= 49, "{}", seconds.0);
}

/// One that fails for as long as it is told to, and finds nothing amiss when it only looks.
struct Failing {
    fails: bool,
    looks: usize,
}

impl Failing {
    fn outcome(&self) -> Outcome {
        let error = kube_verdict_nftables::Error::Commit {
            family: Family::V4,
            error: CommitError::Io(io::Error::from_raw_os_error(libc::ENOMEM)),
            hint: "",
        };
        if self.fails { Err(vec![error.into()]) } else { Ok(Report::default()) }
    }
}

impl Backend for Failing {
    fn sync(&mut self, _: &ServiceTable, _: Instant) -> Outcome {
        self.outcome()
    }
    fn apply(&mut self, _: &ServiceTable, _: &Change, _: Instant) -> Outcome {
        self.outcome()
    }
    fn verify(&mut self, _: &ServiceTable, _: Instant) -> Option<Outcome> {
        self.looks += 1;
        Some(Ok(Report::default()))
    }
    fn listen(&mut self) -> Heard {
        Heard::default()
    }
    fn next_tend(&self) -> Option<Instant> {
        None
    }
    fn tend(&mut self, _: &ServiceTable, _: Instant) -> (Scope, Outcome) {
        (Scope::Upkeep, Ok(Report::default()))
    }
    fn collect_garbage(&mut self) -> Report {
        Report::default()
    }
    fn keep_unknown(&mut self, _: bool) -> bool {
        false
    }
    fn figures(&self) -> PerFamily<Figures<'_>> {
        PerFamily::default()
    }
    fn servers(&self) -> Option<Servers> {
        Some(Servers::default())
    }
    fn quarantined(&self) -> usize {
        0
    }
}

#[test]
fn a_look_that_finds_nothing_does_not_end_a_failure() {
    let mut now = Instant::now();
    let notes = Notes::default();
    let heard = std::rc::Rc::clone(&notes.0);
    let table = ServiceTable::new(reconciler(now).table().settings().clone(), Default::default());
    let backend = Failing { fails: true, looks: 0 };
    let mut ours = Reconciler::new(table, backend, notes, SYNC_PERIOD, now);
    ours.start(news([service(1)]), now);
    let end = now + SYNC_PERIOD * 10;
    while now < end {
        now = ours.next_wake().max(now + Duration::from_millis(1));
        ours.wake(now);
        ours.listen(now);
    }
    assert!(!ours.is_in_sync());
    assert!(heard.borrow().iter().skip(1).all(|said| said.contains("false")), "{:?}", heard.borrow());
    ours.backend_mut().fails = false;
    ours.wake(ours.next_wake());
    assert!(ours.is_in_sync());
    ours.wake(ours.next_wake());
    assert_eq!(ours.backend_mut().looks, 1);
}

#[test]
fn a_change_of_something_else_does_not_end_a_failure_of_ipvs() {
    use kube_verdict_ipvs::kernel::memory::{Call, MemoryKernel as Servers};
    use kube_verdict_ipvs::{Director, Ipvs, Marks, Scheduler};

    let now = Instant::now();
    let table = ServiceTable::new(reconciler(now).table().settings().clone(), Default::default());
    let director = Director::new(Servers::default(), Marks::DEFAULT, Scheduler::configured("").unwrap());
    let balancer = kube_verdict_nftables::layout::Balancer::Ipvs(Marks::DEFAULT);
    let backend =
        Ipvs::new(MemoryKernel::new(), Options { masquerade_mark: 0x4000, balancer, own: false }, director);
    let mut ours = Reconciler::new(table, backend, (), SYNC_PERIOD, now);
    ours.start(news([service(1)]), now).unwrap();
    fn servers(ours: &mut Reconciler<Ipvs<MemoryKernel, Servers>>) -> &mut Servers {
        ours.backend_mut().director_mut().unwrap().kernel_mut()
    }
    servers(&mut ours).fault = Some(Box::new(|call| matches!(call, Call::Run(_)).then_some(0)));
    assert_eq!(ours.take_in(news([slice(1, 1)]), now), None);
    // A Service without endpoints wants no virtual server.
    assert_eq!(ours.take_in(news([service(2)]), now), None);
    assert!(!ours.is_in_sync());
    assert!(servers(&mut ours).contents().is_empty());
    servers(&mut ours).fault = None;
    assert!(ours.take_in(news([service(3)]), now).is_some_and(|report| report.orders == 2));
    assert!(ours.is_in_sync());
}
