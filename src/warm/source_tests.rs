//! When a kept table is handed on, and what becomes of it.

use kube_verdict_table::objects::Kind;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

/// What is known of the node.
#[derive(Default)]
struct Stage {
    has_rules: bool,
    objection: Option<String>,
}

impl Scene for Stage {
    fn has_rules(&mut self) -> io::Result<bool> {
        Ok(self.has_rules)
    }

    fn objection(&mut self, _: &[Object]) -> Option<String> {
        self.objection.clone()
    }
}

struct Bench {
    directory: tempfile::TempDir,
    metrics: WarmMetrics,
}

impl Bench {
    fn new() -> Self {
        Bench { directory: tempfile::tempdir().unwrap(), metrics: WarmMetrics::new().unwrap() }
    }

    /// A source whose directory has kept what the one before it was told.
    fn source(&self, scene: Stage) -> (mpsc::Sender<Batch>, Warm<mpsc::Receiver<Batch>>) {
        let (sender, receiver) = mpsc::channel(9);
        let state = State { directory: self.directory.path().into(), max_age: State::MAX_AGE };
        let origin = Origin { node: "n1".into(), source: "here".into() };
        (sender, Warm::new(receiver, state, origin, scene, self.metrics.clone()))
    }

    /// One life in which the source told this.
    async fn lived(&self, events: Vec<ObjectEvent>) {
        let (sender, mut source) = self.source(Stage::default());
        sender.send(Batch { events, ..Batch::default() }).await.unwrap();
        source.next().await.unwrap();
    }

    fn serving(&self) -> f64 {
        let families = self.metrics.collectors().iter().flat_map(|c| c.collect()).collect::<Vec<_>>();
        let serving = families.iter().find(|family| family.name().ends_with("_serving")).unwrap();
        serving.get_metric()[0].get_gauge().get_value()
    }
}

fn service(name: &str, ip: &str) -> ObjectEvent {
    let value = json!({"metadata": {"name": name}, "spec": {"clusterIP": ip}});
    ObjectEvent::Applied(Object::deserialize_as(Kind::Service, value).unwrap())
}

fn gone(name: &str) -> ObjectEvent {
    ObjectEvent::Deleted(service(name, "").key())
}

fn told(events: Vec<ObjectEvent>, has_gaps: bool) -> Batch {
    Batch { events, has_gaps, ..Batch::default() }
}

/// Nothing comes, however long one waits.
async fn is_silent(source: &mut Warm<mpsc::Receiver<Batch>>) -> bool {
    timeout(GRACE * 10, source.next()).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_late_is_stood_in_for_until_it_speaks() {
    let bench = Bench::new();
    bench.lived(vec![service("stays", "10.96.0.1"), service("goes", "10.96.0.2")]).await;
    let (sender, mut source) = bench.source(Stage::default());
    assert!(timeout(GRACE - Duration::from_millis(10), source.next()).await.is_err());
    let mut batch = source.next().await.unwrap();
    assert!(batch.kept.is_some() && bench.serving() == 1.0);
    batch.events.sort_by_key(ObjectEvent::key);
    assert_eq!(batch.events, [service("goes", "10.96.0.2"), service("stays", "10.96.0.1")]);

    // With gaps nothing is taken back, and what comes goes before what was kept.
    sender.send(told(vec![service("new", "10.96.0.3")], true)).await.unwrap();
    let batch = source.next().await.unwrap();
    assert_eq!((batch.events, batch.kept.is_some()), (vec![service("new", "10.96.0.3")], true));

    sender.send(told(vec![service("stays", "10.96.0.9")], false)).await.unwrap();
    let batch = source.next().await.unwrap();
    assert_eq!((batch.events, batch.kept), (vec![service("stays", "10.96.0.9"), gone("goes")], None));
    assert_eq!(bench.serving(), 0.0);
    assert!(is_silent(&mut source).await);

    // And that is what is kept now.
    drop((source, sender));
    let (_sender, mut source) = bench.source(Stage::default());
    let mut events = source.next().await.unwrap().events;
    events.sort_by_key(ObjectEvent::key);
    assert_eq!(events, [service("new", "10.96.0.3"), service("stays", "10.96.0.9")]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_in_time_is_all_that_counts() {
    let bench = Bench::new();
    bench.lived(vec![service("old", "10.96.0.1")]).await;
    let (sender, mut source) = bench.source(Stage::default());
    tokio::time::sleep(GRACE - Duration::from_millis(10)).await;
    sender.send(told(vec![], false)).await.unwrap();
    assert_eq!(source.next().await, Some(Batch::default()));
    assert!(is_silent(&mut source).await);
}

#[tokio::test(start_paused = true)]
async fn rules_of_an_earlier_run_go_before_the_file() {
    let bench = Bench::new();
    bench.lived(vec![service("old", "10.96.0.1")]).await;
    let (_sender, mut source) = bench.source(Stage { has_rules: true, ..Stage::default() });
    assert!(is_silent(&mut source).await);
    let (sender, mut source) = bench.source(Stage { has_rules: true, ..Stage::default() });
    sender.send(told(vec![service("new", "10.96.0.2")], true)).await.unwrap();
    let batch = source.next().await.unwrap();
    assert_eq!((batch.events.len(), batch.kept), (1, None));
    // What has gaps is not kept.
    drop((source, sender));
    let (_sender, mut source) = bench.source(Stage::default());
    assert_eq!(source.next().await.unwrap().events, [service("old", "10.96.0.1")]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_at_first_is_taken_from_the_file() {
    let bench = Bench::new();
    bench.lived(vec![service("readable", "10.96.0.1"), service("broken", "10.96.0.2")]).await;
    let (sender, mut source) = bench.source(Stage::default());
    sender.send(told(vec![service("readable", "10.96.0.7")], true)).await.unwrap();
    let batch = source.next().await.unwrap();
    assert!(batch.kept.is_some());
    assert_eq!(batch.events, [service("broken", "10.96.0.2"), service("readable", "10.96.0.7")]);
    sender.send(told(vec![service("mended", "10.96.0.3")], false)).await.unwrap();
    let batch = source.next().await.unwrap();
    assert_eq!(batch.events, [service("mended", "10.96.0.3"), gone("broken")]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_leaves_everything_as_without_it() {
    let bench = Bench::new();
    let (_sender, mut source) = bench.source(Stage::default());
    assert!(is_silent(&mut source).await, "there is none");
    bench.lived(vec![service("old", "10.96.0.1")]).await;
    let scene = Stage { objection: Some("elsewhere".into()), ..Stage::default() };
    let (_sender, mut source) = bench.source(scene);
    assert!(is_silent(&mut source).await);
    std::fs::write(bench.directory.path().join(super::super::FILE), "nonsense").unwrap();
    let (sender, mut source) = bench.source(Stage::default());
    assert!(is_silent(&mut source).await);
    sender.send(told(vec![service("new", "10.96.0.2")], false)).await.unwrap();
    assert_eq!(source.next().await.unwrap().events, [service("new", "10.96.0.2")]);
}

#[test]
fn a_cluster_asks_for_a_node_that_is_still_here() {
    let node = |address: &str| {
        let value = json!({"metadata": {"name": "n1"},
            "status": {"addresses": [{"type": "InternalIP", "address": address}]}});
        vec![Object::deserialize_as(Kind::Node, value).unwrap()]
    };
    let objection = |objects: &[Object]| Reliance::Required.objection(objects);
    assert_eq!(objection(&node("127.0.0.1")), None);
    assert!(objection(&node("192.0.2.77")).unwrap().contains("192.0.2.77"));
    assert!(objection(&[]).unwrap().contains("does not know"));
    assert_eq!(Reliance::Optional.objection(&[]), None);
}
