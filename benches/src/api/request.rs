//! What is asked for: a request line as one of the few questions that proxies have. What is not understood is refused,
//! never guessed at.

use std::time::Duration;

use kube_verdict_table::objects::Kind;

use super::objects::Resource;

/// For how long a watch goes on of which nothing is said; an API server's least.
const WATCH: Duration = Duration::from_secs(1800);
/// Selectors that hold for every object of the benchmark.
const TRUE_OF_ALL: [&str; 3] = [
    "!service.kubernetes.io/service-proxy-name",
    "!service.kubernetes.io/headless",
    "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name",
];

/// How an answer is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JSON
    Json,
    /// Kubernetes' protobuf
    Protobuf,
}

impl Encoding {
    /// What the header `Accept` wants.
    pub fn of(accept: &str) -> Self {
        match accept.contains("application/vnd.kubernetes.protobuf") {
            true => Encoding::Protobuf,
            false => Encoding::Json,
        }
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// all objects of a kind
    List(Kind),
    /// an object
    Get(Kind, String),
    /// what happens to the objects of a kind
    Watch(Watch),
    /// to keep an Event; nobody does
    Event,
}

/// From where a watch is to go on, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// of what
    pub kind: Kind,
    /// from where; None: first comes everything that there is
    pub since: Option<u64>,
    /// whether the end of everything that there is is marked by a bookmark (KEP-3157)
    pub marks_end: bool,
    /// whether bookmarks are wanted in quiet times
    pub bookmarks: bool,
    /// when it ends by itself
    pub timeout: Duration,
}

/// Why a question is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP's status
    pub status: u16,
    /// in words
    pub message: String,
}

/// Understands a method and a target.
pub fn parse(method: &str, target: &str) -> Result<Request, Refusal> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if method == "POST" && path.ends_with("/events") {
        return Ok(Request::Event);
    }
    let name_of = |kind: Kind| path.strip_prefix(kind.path())?.strip_prefix('/').map(str::to_owned);
    if method != "GET" {
        return Err(Refusal { status: 405, message: format!("{method} {path} is not for this server") });
    }
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.path() == path) {
        return of_kind(kind, query);
    }
    let named = Kind::ALL.into_iter().find_map(|kind| Some(Request::Get(kind, name_of(kind)?)));
    named.ok_or_else(|| Refusal { status: 404, message: format!("there is no {path} here") })
}

fn of_kind(kind: Kind, query: &str) -> Result<Request, Refusal> {
    let mut watch = Watch { kind, since: None, marks_end: false, bookmarks: false, timeout: WATCH };
    let mut is_watch = false;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = || Refusal { status: 400, message: format!("{name}={value} is not understood") };
        let is_true = matches!(&*value, "true" | "1");
        match &*name {
            "watch" => is_watch = is_true,
            "sendInitialEvents" => watch.marks_end = is_true,
            "allowWatchBookmarks" => watch.bookmarks = is_true,
            "timeoutSeconds" => {
                watch.timeout = Duration::from_secs(value.parse().map_err(|_| wrong())?);
            }
            // Everything is never older than something.
            "resourceVersion" if matches!(&*value, "" | "0") => {}
            "resourceVersion" => watch.since = Some(value.parse().map_err(|_| wrong())?),
            "labelSelector" if TRUE_OF_ALL.contains(&&*value) => {}
            "fieldSelector" if selects_all(kind, &value) => {}
            // Lists are one page, which a server may make of any limit. client-go says `timeout` beside
            // `timeoutSeconds`, and servers do not look at it.
            "resourceVersionMatch" | "limit" | "timeout" => {}
            _ => return Err(wrong()),
        }
    }
    if watch.marks_end {
        watch.since = None;
    }
    Ok(if is_watch { Request::Watch(watch) } else { Request::List(kind) })
}

/// Whether a field selector holds for every object of the kind.
fn selects_all(kind: Kind, selector: &str) -> bool {
    match kind {
        Kind::Service => selector == "spec.clusterIP!=None",
        Kind::Node => selector == format!("metadata.name={}", crate::workload::NODE),
        Kind::EndpointSlice | Kind::ServiceCidr => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streamed_list() {
        let target = "/apis/discovery.k8s.io/v1/endpointslices?allowWatchBookmarks=true&labelSelector=%21service.\
                      kubernetes.io%2Fheadless&resourceVersion=7&resourceVersionMatch=NotOlderThan&\
                      sendInitialEvents=true&timeout=5m0s&timeoutSeconds=300&watch=true";
        let watch = Watch {
            kind: Kind::EndpointSlice,
            since: None,
            marks_end: true,
            bookmarks: true,
            timeout: Duration::from_secs(300),
        };
        assert_eq!(parse("GET", target), Ok(Request::Watch(watch)));
    }

    #[test]
    fn a_watch_that_goes_on() {
        let Ok(Request::Watch(watch)) = parse("GET", "/api/v1/services?watch=1&resourceVersion=12") else {
            panic!("it is no watch");
        };
        assert_eq!((watch.since, watch.marks_end, watch.bookmarks), (Some(12), false, false));
    }

    #[test]
    fn one_object_and_an_event() {
        assert_eq!(parse("GET", "/api/v1/nodes/node-0"), Ok(Request::Get(Kind::Node, "node-0".into())));
        let events = "/apis/events.k8s.io/v1/namespaces/default/events";
        assert_eq!(parse("POST", events), Ok(Request::Event));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let status = |method, target| parse(method, target).map_err(|refusal| refusal.status);
        assert_eq!(status("GET", "/api/v1/pods"), Err(404));
        assert_eq!(status("DELETE", "/api/v1/services"), Err(405));
        assert_eq!(status("GET", "/api/v1/services?labelSelector=app%3Da"), Err(400));
        assert_eq!(status("GET", "/api/v1/nodes?fieldSelector=metadata.name%3Dother"), Err(400));
        assert_eq!(status("GET", "/api/v1/services?watch=true&resourceVersion=x"), Err(400));
    }
}
