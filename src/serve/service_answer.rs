//! What a Service's health check answers, byte for byte as kube-proxy does (reference §13.2). Any path, any
//! method.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::http::{Answer, Respond};
use super::{Moment, Readings};

/// The answer of one Service in one family.
pub(super) struct ServiceAnswer {
    namespace: Box<str>,
    name: Box<str>,
    readings: Readings,
    endpoints: AtomicUsize,
}

impl ServiceAnswer {
    pub(super) fn new(namespace: Box<str>, name: Box<str>, readings: Readings) -> Self {
        ServiceAnswer { namespace, name, readings, endpoints: AtomicUsize::new(0) }
    }

    /// How many ready endpoints this node has.
    pub(super) fn set_endpoints(&self, count: usize) {
        self.endpoints.store(count, Ordering::Relaxed);
    }
}

impl Respond for ServiceAnswer {
    fn respond(&self, _: &str) -> Answer {
        let is_healthy = self.readings.finding(Moment::now()).is_healthy;
        answer(&self.namespace, &self.name, self.endpoints.load(Ordering::Relaxed), is_healthy)
    }
}

fn answer(namespace: &str, name: &str, endpoints: usize, is_healthy: bool) -> Answer {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let (namespace, name) = (quoted(namespace), quoted(name));
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": {namespace},\n\t\t\"name\": {name}\n\t}},\n\
         \t\"localEndpoints\": {endpoints},\n\t\"serviceProxyHealthy\": {is_healthy}\n}}"
    );
    let mut answer = Answer::json(if endpoints > 0 && is_healthy { 200 } else { 503 }, body);
    answer.headers.push(("X-Load-Balancing-Endpoint-Weight", endpoints.to_string()));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_kube_proxys() {
        let answered = answer("ns", "svc", 1, true);
        assert_eq!(answered.status, 200);
        assert_eq!(
            answered.body,
            "{\n\t\"service\": {\n\t\t\"namespace\": \"ns\",\n\t\t\"name\": \"svc\"\n\t},\n\
             \t\"localEndpoints\": 1,\n\t\"serviceProxyHealthy\": true\n}"
        );
        assert_eq!(
            answered.headers,
            [
                ("Content-Type", "application/json".to_owned()),
                ("X-Content-Type-Options", "nosniff".to_owned()),
                ("X-Load-Balancing-Endpoint-Weight", "1".to_owned())
            ]
        );
    }

    #[test]
    fn both_endpoints_and_a_healthy_proxy_are_needed() {
        assert_eq!(answer("ns", "svc", 0, true).status, 503);
        assert_eq!(answer("ns", "svc", 3, false).status, 503);
        assert_eq!(answer("ns", "svc", 3, true).status, 200);
    }
}
