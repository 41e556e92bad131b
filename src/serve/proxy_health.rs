//! `/healthz` and `/livez` (reference §13.1): what they answer, byte for byte as kube-proxy does; with one field more
//! while what is served was kept on disk, which kube-proxy never does.
//!
//! /livez is about the data path and meant for probes of the process; /healthz asks in addition whether this
//! node should get new connections, and is meant for load balancers. Any method will do.

use serde::Serialize;

use super::health::Finding;
use super::http::{Answer, Respond};
use super::moment::rfc3339;
use super::{Moment, Readings};

/// Answers on the health port.
pub(super) struct ProxyHealth {
    pub(super) readings: Readings,
}

impl Respond for ProxyHealth {
    fn respond(&self, path: &str) -> Answer {
        let now = Moment::now();
        let finding = self.readings.finding(now);
        match path {
            "/healthz" => {
                let answer = answer(&finding, Some(self.readings.is_eligible()), now);
                self.readings.metrics.answers.healthz(answer.status);
                answer
            }
            "/livez" => {
                let answer = answer(&finding, None, now);
                self.readings.metrics.answers.livez(answer.status);
                answer
            }
            _ => Answer::not_found(),
        }
    }
}

/// Field for field in the order of kube-proxy's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    last_updated: String,
    current_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_eligible: Option<bool>,
    healthy: bool,
    status: Status,
    /// when that was, on which we serve in place of the source of objects
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_table: Option<String>,
}

#[derive(Serialize)]
struct Status {
    #[serde(rename = "IPv4")]
    v4: OfFamily,
    #[serde(rename = "IPv6")]
    v6: OfFamily,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfFamily {
    last_updated: String,
    healthy: bool,
}

fn answer(finding: &Finding, node_eligible: Option<bool>, now: Moment) -> Answer {
    let is_good = finding.is_healthy && node_eligible != Some(false);
    let of = |family: &super::health::FamilyFinding| OfFamily {
        last_updated: rfc3339(Some(family.updated)),
        healthy: family.is_healthy,
    };
    let body = Body {
        // Who asked in the days when every proxy ran its loop anyway expects a recent time of a healthy one.
        last_updated: rfc3339(Some(if is_good { now.wall } else { finding.updated })),
        current_time: rfc3339(Some(now.wall)),
        node_eligible,
        healthy: finding.is_healthy,
        status: Status { v4: of(&finding.families.v4), v6: of(&finding.families.v6) },
        kept_table: finding.kept.map(|at| rfc3339(Some(at))),
    };
    let body = serde_json::to_string(&body).unwrap_or_default();
    Answer::json(if is_good { 200 } else { 503 }, body)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use kube_verdict_table::Family;

    use super::super::health::Health;
    use super::*;

    fn at(start: Instant, seconds: u64) -> Moment {
        let wall = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000 + seconds, 5_000_000);
        Moment { instant: start + Duration::from_secs(seconds), wall }
    }

    #[test]
    fn every_byte_is_kube_proxys() {
        let start = Instant::now();
        let mut health = Health::new(Duration::from_secs(30), at(start, 0));
        health.updated(Family::V4, at(start, 1));
        let answered = answer(&health.look(at(start, 2)), Some(true), at(start, 2));
        assert_eq!(answered.status, 200);
        assert_eq!(
            answered.body,
            "{\"lastUpdated\":\"2023-11-14T22:13:22.005Z\",\"currentTime\":\"2023-11-14T22:13:22.005Z\",\
             \"nodeEligible\":true,\"healthy\":true,\"status\":{\
             \"IPv4\":{\"lastUpdated\":\"2023-11-14T22:13:21.005Z\",\"healthy\":true},\
             \"IPv6\":{\"lastUpdated\":\"2023-11-14T22:13:20.005Z\",\"healthy\":true}}}"
        );
        assert_eq!(
            answered.headers,
            [("Content-Type", "application/json".into()), ("X-Content-Type-Options", "nosniff".into())]
        );
    }

    #[test]
    fn a_node_that_is_not_eligible_has_a_healthy_data_path_all_the_same() {
        let start = Instant::now();
        let health = Health::new(Duration::from_secs(30), at(start, 0));
        let answered = answer(&health.look(at(start, 9)), Some(false), at(start, 9));
        assert_eq!(answered.status, 503);
        assert!(
            answered.body.starts_with("{\"lastUpdated\":\"2023-11-14T22:13:20.005Z\""),
            "{}",
            answered.body
        );
        assert!(answered.body.contains("\"nodeEligible\":false,\"healthy\":true"), "{}", answered.body);
        assert_eq!(answer(&health.look(at(start, 9)), None, at(start, 9)).status, 200);
    }

    #[test]
    fn a_kept_table_is_told_and_is_no_illness() {
        let start = Instant::now();
        let mut health = Health::new(Duration::from_secs(30), at(start, 0));
        health.asked_of(Some(at(start, 0).wall));
        let answered = answer(&health.look(at(start, 9)), Some(true), at(start, 9));
        assert_eq!(answered.status, 200);
        assert!(
            answered.body.ends_with("}},\"keptTable\":\"2023-11-14T22:13:20.005Z\"}"),
            "{}",
            answered.body
        );
        health.asked_of(None);
        let answered = answer(&health.look(at(start, 9)), Some(true), at(start, 9));
        assert!(!answered.body.contains("kept"), "{}", answered.body);
    }

    #[test]
    fn livez_says_nothing_of_the_node() {
        let start = Instant::now();
        let mut health = Health::new(Duration::from_secs(30), at(start, 0));
        health.requested(at(start, 0));
        health.updated(Family::V4, at(start, 3));
        let answered = answer(&health.look(at(start, 60)), None, at(start, 60));
        assert_eq!(answered.status, 503);
        assert!(answered.body.contains("\"currentTime\":\"2023-11-14T22:14:20.005Z\",\"healthy\":false"));
        assert!(
            answered
                .body
                .contains("\"IPv4\":{\"lastUpdated\":\"2023-11-14T22:13:23.005Z\",\"healthy\":true}")
        );
        assert!(
            answered
                .body
                .contains("\"IPv6\":{\"lastUpdated\":\"2023-11-14T22:13:20.005Z\",\"healthy\":false}")
        );
    }
}
