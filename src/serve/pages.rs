//! The metrics server (reference §14): metrics, and pages for people who want to know what runs here. No TLS and
//! no authentication, as in kube-proxy; by default only this host can reach it.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use prometheus::core::{AtomicF64, AtomicU64, GenericCounterVec, GenericGaugeVec};
use prometheus::{Opts, Registry, TextEncoder};

use super::Readings;
use super::http::{Answer, Respond};
use super::metrics::CONTENT_TYPE;

/// What the pages say that does not change while the process lives.
#[derive(Clone, Debug)]
pub struct Pages {
    /// `/proxyMode`: the mode that runs, in kube-proxy's word for it
    pub mode: &'static str,
    /// the answer of `/configz`: JSON
    pub configz: String,
    /// `/flagz`: command line flags and their values; None: not served
    pub flagz: Option<Vec<(String, String)>>,
    /// whether `/statusz` is served
    pub statusz: bool,
    /// when the process began
    pub started: SystemTime,
}

/// Answers on the metrics port.
pub(super) struct MetricsServer {
    readings: Readings,
    pages: Pages,
    slis: Slis,
}

impl MetricsServer {
    pub(super) fn new(readings: Readings, pages: Pages) -> prometheus::Result<Self> {
        Ok(MetricsServer { readings, pages, slis: Slis::new()? })
    }
}

impl Respond for MetricsServer {
    fn respond(&self, path: &str) -> Answer {
        match path {
            "/metrics" => exposition(self.readings.metrics.exposition()),
            "/metrics/slis" => exposition(self.slis.exposition()),
            "/healthz" | "/healthz/" | "/healthz/ping" => {
                self.slis.passed();
                Answer::text(200, "ok".into())
            }
            "/proxyMode" => Answer::text(200, self.pages.mode.into()),
            "/configz" => Answer::json(200, self.pages.configz.clone()),
            "/flagz" => match &self.pages.flagz {
                Some(flags) => Answer::text(200, flagz(flags)),
                None => Answer::not_found(),
            },
            "/statusz" if self.pages.statusz => Answer::text(200, statusz(&self.pages, SystemTime::now())),
            _ => Answer::not_found(),
        }
    }
}

fn exposition(text: prometheus::Result<String>) -> Answer {
    match text {
        Ok(body) => Answer { status: 200, headers: vec![("Content-Type", CONTENT_TYPE.into())], body },
        Err(error) => Answer::text(500, format!("metrics cannot be written: {error}\n")),
    }
}

/// A flag a line, below what components say above pages that are for people.
fn flagz(flags: &[(String, String)]) -> String {
    let lines = flags.iter().map(|(name, value)| format!("{name}={value}\n"));
    heading("flagz") + &lines.collect::<String>()
}

fn heading(page: &str) -> String {
    format!(
        "\nkube-proxy {page}\nWarning: This endpoint is not meant to be machine parseable, has no formatting \
         compatibility guarantees and is for debugging purposes only.\n"
    )
}

/// As components write it for people.
fn statusz(pages: &Pages, now: SystemTime) -> String {
    let up = uptime(now.duration_since(pages.started).unwrap_or_default());
    let started = Timestamp::try_from(pages.started).unwrap_or_default().strftime("%a %b %e %H:%M:%S UTC %Y");
    let version = env!("CARGO_PKG_VERSION");
    let flagz = if pages.flagz.is_some() { "/flagz " } else { "" };
    heading("statusz")
        + &format!(
            "\n\
         Started: {started}\nUp: {up}\nBinary version: kube-verdict {version}\n\
         Paths: /configz {flagz}/healthz /metrics /metrics/slis /proxyMode /statusz\n"
        )
}

/// `3 hr 04 min 05 sec`
fn uptime(up: Duration) -> String {
    let seconds = up.as_secs();
    format!("{} hr {:02} min {:02} sec", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `/metrics/slis`: how often this server was asked whether it is there, and was.
struct Slis {
    registry: Registry,
    last: GenericGaugeVec<AtomicF64>,
    total: GenericCounterVec<AtomicU64>,
}

impl Slis {
    fn new() -> prometheus::Result<Self> {
        let last = Opts::new(
            "kubernetes_healthcheck",
            "[STABLE] This metric records the result of a single healthcheck.",
        );
        let total = Opts::new(
            "kubernetes_healthchecks_total",
            "[STABLE] This metric records the results of all healthcheck.",
        );
        let slis = Slis {
            registry: Registry::new(),
            last: GenericGaugeVec::new(last, &["name", "type"])?,
            total: GenericCounterVec::new(total, &["name", "type", "status"])?,
        };
        slis.registry.register(Box::new(slis.last.clone()))?;
        slis.registry.register(Box::new(slis.total.clone()))?;
        Ok(slis)
    }

    fn passed(&self) {
        self.last.with_label_values(&["ping", "healthz"]).set(1.0);
        self.total.with_label_values(&["ping", "healthz", "success"]).inc();
    }

    fn exposition(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn server() -> MetricsServer {
        let (_, readings) = super::super::monitor(&config::defaults().effective, "n1", false).unwrap();
        let flagz = Some(vec![("config".to_owned(), "/etc/x".to_owned())]);
        let mode = "ipvs";
        let pages =
            Pages { mode, configz: "{}".into(), flagz, statusz: true, started: SystemTime::UNIX_EPOCH };
        MetricsServer::new(readings, pages).unwrap()
    }

    #[test]
    fn every_path_of_statusz_is_there() {
        let mut server = server();
        let statusz = server.respond("/statusz").body;
        let paths = statusz.lines().find_map(|line| line.strip_prefix("Paths: ")).unwrap();
        for path in paths.split(' ') {
            assert_eq!(server.respond(path).status, 200, "{path}");
        }
        server.pages = Pages { flagz: None, statusz: false, ..server.pages };
        for path in ["/", "/debug/pprof/", "/metrics/", "/livez", "/flagz", "/statusz"] {
            assert_eq!(server.respond(path).status, 404, "{path}");
        }
    }

    #[test]
    fn pages_say_what_they_should() {
        let server = server();
        assert_eq!(server.respond("/proxyMode"), Answer::text(200, "ipvs".into()));
        assert_eq!(server.respond("/healthz").body, "ok");
        assert!(server.respond("/flagz").body.ends_with("purposes only.\nconfig=/etc/x\n"));
        let slis = server.respond("/metrics/slis").body;
        assert!(slis.contains(
            "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"healthz\"} 1\n"
        ));
        let text = statusz(&server.pages, SystemTime::UNIX_EPOCH + Duration::from_secs(93_784));
        assert!(
            text.contains("\nStarted: Thu Jan  1 00:00:00 UTC 1970\nUp: 26 hr 03 min 04 sec\n"),
            "{text}"
        );
    }
}
