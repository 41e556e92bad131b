//! The server as a client of HTTP/1.1 meets it.

use std::io::{BufRead, BufReader, Read, Write};

use kube_verdict_scenario_tests::topology::ip_batch;
use serde_json::Value;

use super::*;
use crate::workload::{NODE, Size};

const STREAMED: &str = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(netns: &Netns, api: &Api) -> Self {
        let stream = netns.run(|| TcpStream::connect(api.address())).expect("a connection");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a time limit");
        Client(BufReader::new(stream))
    }

    /// Asks, and reads the head: its status, and the length of what follows if it has one.
    fn ask(&mut self, target: &str) -> (u16, usize) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: api\r\nAccept: application/json\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).expect("a question");
        let status = self.line().split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        let mut length = 0;
        loop {
            match self.line() {
                line if line.is_empty() => return (status, length),
                line => {
                    let value = line.strip_prefix("Content-Length: ").map(str::parse);
                    length = value.map_or(length, |value| value.expect("a number"));
                }
            }
        }
    }

    fn get(&mut self, target: &str) -> (u16, Value) {
        let (status, length) = self.ask(target);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// The events of a watch's next chunk; none at its end.
    fn events(&mut self) -> Vec<(String, Value)> {
        let length = usize::from_str_radix(&self.line(), 16).expect("a length");
        let mut chunk = vec![0; length + 2];
        self.0.read_exact(&mut chunk).expect("a chunk");
        let lines = chunk.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{"));
        let event = |line: &[u8]| {
            let mut event: Value = serde_json::from_slice(line).expect("an event");
            (event["type"].as_str().expect("a type").to_owned(), event["object"].take())
        };
        lines.map(event).collect()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

fn server(services: u32) -> (Netns, Api) {
    let netns = Netns::new();
    netns.run(|| ip_batch("link set lo up\n"));
    let api = Api::start(&netns, &World::new(Size { services, endpoints: 3 })).expect("a server");
    (netns, api)
}

fn types(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(kind, _)| &**kind).collect()
}

#[test]
fn lists_and_objects_over_one_connection() {
    let (netns, api) = server(5);
    let mut client = Client::connect(&netns, &api);
    let (status, services) = client.get("/api/v1/services?limit=500&resourceVersion=0");
    assert_eq!((status, services["items"].as_array().map(Vec::len)), (200, Some(10)));
    let (status, node) = client.get(&format!("/api/v1/nodes/{NODE}"));
    assert_eq!((status, &node["metadata"]["name"]), (200, &NODE.into()));
    assert_eq!(client.get("/api/v1/nodes/another").0, 404);
    assert_eq!(client.get("/apis/x.example/v1/things").0, 404);
    assert_eq!(api.refused(), None);
    assert_eq!(client.get("/api/v1/services?labelSelector=app%3Da").0, 400);
    assert!(api.refused().is_some_and(|question| question.contains("labelSelector=app")));
    assert_eq!(client.get("/api/v1/services").0, 200);
}

#[test]
fn a_watch_is_told_of_changes_at_once_and_in_order() {
    let (netns, mut api) = server(2);
    let mut slices = Client::connect(&netns, &api);
    let path = "/apis/discovery.k8s.io/v1/endpointslices";
    assert_eq!(slices.ask(&format!("{path}?{STREAMED}")).0, 200);
    let first = slices.events();
    assert_eq!(types(&first), ["ADDED", "ADDED", "ADDED", "ADDED", "BOOKMARK"]);
    let revision = first[4].1["metadata"]["resourceVersion"].as_str().expect("a revision").to_owned();

    let (service, unborn) = (api.world().probes().start, api.world().unborn());
    let create = Change::Create { service: unborn };
    api.tell(&[Change::Replace { service, endpoint: 0 }, create, Change::Delete { service: unborn }]);
    let events = slices.events();
    assert_eq!(types(&events), ["MODIFIED", "ADDED", "DELETED"]);
    let replaced = api.world().endpoint(service, 0).to_string();
    assert_eq!(events[0].1["endpoints"][0]["addresses"][0], replaced);
    // A Service that is there already cannot be created, and nobody is told so.
    api.tell(&[Change::Create { service }]);

    // Another one goes on from where the first one was.
    let mut later = Client::connect(&netns, &api);
    assert_eq!(later.ask(&format!("{path}?watch=true&resourceVersion={revision}")).0, 200);
    assert_eq!(types(&later.events()), ["MODIFIED", "ADDED", "DELETED"]);

    drop(api);
    for mut client in [slices, later] {
        // The connection may be cut before the watch has been ended.
        let mut rest = String::new();
        client.0.read_to_string(&mut rest).expect("the end of the connection");
        assert!(["", "0\r\n\r\n"].contains(&&*rest), "{rest}");
    }
}

#[test]
fn who_asks_for_what_is_no_longer_known_begins_anew() {
    let (netns, api) = server(2);
    let (status, answer) = Client::connect(&netns, &api).get("/api/v1/services?watch=true&resourceVersion=2");
    assert_eq!((status, &answer["reason"]), (410, &"Expired".into()));
}
