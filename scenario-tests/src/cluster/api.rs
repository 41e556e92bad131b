//! The API, as a test uses it: JSON objects in and out, without waiting to be told types.
//!
//! The connections belong to the control plane's namespace: they are opened by a thread that lives there.

use std::fmt;
use std::sync::mpsc;
use std::thread;

use futures::StreamExt;
use http::{Method, Request};
use kube::Client;
use kube::config::{AuthInfo, Config};
use serde_json::Value;
use tokio::sync::mpsc as queue;

use super::kubeconfig::Kubeconfig;
use crate::manifest::Objects;
use crate::netns::Netns;

/// How many requests are on their way at once, of those that are handed over together.
const AT_ONCE: usize = 32;

/// Why the API server did not do it.
#[derive(Debug)]
pub struct ApiError {
    /// the HTTP status, if there was an answer
    pub code: Option<u16>,
    /// what it said
    pub message: String,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

type Answer = Result<Value, ApiError>;

#[derive(Debug)]
struct Job {
    requests: Vec<Request<Vec<u8>>>,
    answers: mpsc::Sender<Vec<Answer>>,
}

/// A client. Every method waits for the answer.
#[derive(Clone, Debug)]
pub struct Api {
    jobs: queue::UnboundedSender<Job>,
}

impl Api {
    /// A client in a namespace. Nothing is sent yet.
    pub fn new(netns: &Netns, kubeconfig: &Kubeconfig) -> Api {
        let (jobs, inbox) = queue::unbounded_channel();
        let netns = netns.share();
        let mut config = Config::new(kubeconfig.url().parse().expect("a URL"));
        config.accept_invalid_certs = true;
        config.auth_info = AuthInfo { token: Some(kubeconfig.token.clone().into()), ..AuthInfo::default() };
        thread::spawn(move || {
            netns.enter();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(serve(config, inbox));
        });
        Api { jobs }
    }

    /// Sends requests, many at once; their answers, in order.
    ///
    /// # Panics
    /// When the client has died.
    pub fn all(&self, requests: Vec<Request<Vec<u8>>>) -> Vec<Answer> {
        let (answers, receiver) = mpsc::channel();
        self.jobs.send(Job { requests, answers }).expect("the client");
        receiver.recv().expect("the client")
    }

    fn one(&self, request: Request<Vec<u8>>) -> Answer {
        self.all(vec![request]).pop().expect("an answer to one request")
    }

    /// GET
    ///
    /// # Errors
    /// What the server says.
    pub fn get(&self, path: &str) -> Answer {
        self.one(request(Method::GET, path, "", Vec::new()))
    }

    /// POST
    ///
    /// # Errors
    /// What the server says.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.one(request(Method::POST, path, "application/json", body.to_string().into_bytes()))
    }

    /// A merge patch; of a subresource too (`…/status`).
    ///
    /// # Errors
    /// What the server says.
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.one(merge(path, body))
    }

    /// DELETE
    ///
    /// # Errors
    /// What the server says.
    pub fn delete(&self, path: &str) -> Answer {
        self.one(request(Method::DELETE, path, "", Vec::new()))
    }

    /// Server-side apply of objects, each with its status if it has one.
    ///
    /// # Panics
    /// When the server refuses one.
    pub fn apply(&self, objects: &[Value]) {
        let main = objects.iter().map(|object| {
            let mut object = object.clone();
            object.as_object_mut().expect("an object").remove("status");
            apply(&path_of(&object), &object)
        });
        self.expect(objects, self.all(main.collect()));
        let with_status: Vec<Value> = objects.iter().filter(|o| o["status"].is_object()).cloned().collect();
        // Not applied but merged: two addresses of one type are a duplicate to server-side apply.
        let statuses = with_status.iter().map(|object| {
            let status = serde_json::json!({ "status": object["status"] });
            merge(&format!("{}/status", path_of(object)), &status)
        });
        self.expect(&with_status, self.all(statuses.collect()));
    }

    /// Deletes objects; those that are not there are as good as deleted.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn remove(&self, objects: &[Value]) {
        let requests = objects.iter().map(|o| request(Method::DELETE, &path_of(o), "", Vec::new()));
        let answers = self.all(requests.collect());
        let missing = |answer: &Answer| matches!(answer, Err(ApiError { code: Some(404), .. }));
        let (objects, answers): (Vec<Value>, Vec<Answer>) =
            objects.iter().cloned().zip(answers).filter(|(_, answer)| !missing(answer)).unzip();
        self.expect(&objects, answers);
    }

    /// Makes the API's Services and slices of the default namespace those among `objects`, and applies the
    /// others: what is there and not wanted goes, except the API server's own Service.
    pub fn replace(&self, objects: &Objects) {
        self.apply(objects);
        let wanted: Vec<String> = objects.iter().map(path_of).collect();
        for (path, kind) in [
            ("/api/v1/namespaces/default/services", "Service"),
            ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", "EndpointSlice"),
        ] {
            let list = self.get(path).expect("a list");
            let unwanted: Vec<Value> = list["items"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|item| serde_json::json!({ "kind": kind, "metadata": item["metadata"] }))
                .filter(|item| item["metadata"]["name"] != "kubernetes" && !wanted.contains(&path_of(item)))
                .collect();
            self.remove(&unwanted);
        }
    }

    fn expect(&self, objects: &[Value], answers: Vec<Answer>) {
        for (object, answer) in objects.iter().zip(answers) {
            if let Err(error) = answer {
                panic!("the API server refuses {}: {error}\n{object:#}", path_of(object));
            }
        }
    }
}

/// Where an object lives: `/api/v1/namespaces/default/services/web`.
///
/// # Panics
/// When its kind is unknown here.
pub fn path_of(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default();
    let (group, plural, is_namespaced) = match kind {
        "Service" => ("api/v1", "services", true),
        "EndpointSlice" => ("apis/discovery.k8s.io/v1", "endpointslices", true),
        "ServiceAccount" => ("api/v1", "serviceaccounts", true),
        "ConfigMap" => ("api/v1", "configmaps", true),
        "Node" => ("api/v1", "nodes", false),
        "Namespace" => ("api/v1", "namespaces", false),
        "ServiceCIDR" => ("apis/networking.k8s.io/v1", "servicecidrs", false),
        "ClusterRole" => ("apis/rbac.authorization.k8s.io/v1", "clusterroles", false),
        "ClusterRoleBinding" => ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", false),
        other => panic!("no path is known for a {other:?}"),
    };
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().expect("a name");
    match is_namespaced {
        true => {
            let namespace = metadata["namespace"].as_str().unwrap_or("default");
            format!("/{group}/namespaces/{namespace}/{plural}/{name}")
        }
        false => format!("/{group}/{plural}/{name}"),
    }
}

fn apply(path: &str, object: &Value) -> Request<Vec<u8>> {
    let path = format!("{path}?fieldManager=test&force=true");
    request(Method::PATCH, &path, "application/apply-patch+yaml", object.to_string().into_bytes())
}

fn merge(path: &str, body: &Value) -> Request<Vec<u8>> {
    request(Method::PATCH, path, "application/merge-patch+json", body.to_string().into_bytes())
}

fn request(method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Request<Vec<u8>> {
    let mut request = Request::builder().method(method).uri(path).header("accept", "application/json");
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    request.body(body).expect("a request")
}

async fn serve(config: Config, mut inbox: queue::UnboundedReceiver<Job>) {
    let client = Client::try_from(config).expect("a client");
    while let Some(Job { requests, answers }) = inbox.recv().await {
        let results = futures::stream::iter(requests)
            .map(|request| answer(&client, request))
            .buffered(AT_ONCE)
            .collect::<Vec<Answer>>()
            .await;
        let _ = answers.send(results);
    }
}

async fn answer(client: &Client, request: Request<Vec<u8>>) -> Answer {
    let failed = |error: &dyn fmt::Display, code| Err(ApiError { code, message: error.to_string() });
    match client.request_text(request).await {
        // Not everything that an API server says is JSON: /readyz is "ok".
        Ok(text) => Ok(serde_json::from_str(&text).unwrap_or(Value::String(text))),
        Err(kube::Error::Api(status)) => failed(&status.message, Some(status.code)),
        Err(error) => failed(&error, None),
    }
}
