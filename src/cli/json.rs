//! Log lines in JSON with the keys of Kubernetes' components (component-base/logs/json): `ts` in milliseconds
//! since 1970, `caller`, `msg`, `v` for information and its level, `err` for errors; then the event's own fields.
//! `level` is an addition: kube-proxy has none, and says by `err` alone what is wrong.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let milliseconds = now.as_micros() as f64 / 1000.0;
        writeln!(out, "{}", line(milliseconds, event))
    }
}

fn line(milliseconds: f64, event: &Event<'_>) -> Value {
    let metadata = event.metadata();
    let mut fields = Fields(Map::new());
    fields.0.insert("ts".into(), milliseconds.into());
    let file = metadata.file().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    fields.0.insert("caller".into(), format!("{file}:{}", metadata.line().unwrap_or(0)).into());
    fields.0.insert("level".into(), metadata.level().as_str().to_lowercase().into());
    let verbosity = match *metadata.level() {
        Level::DEBUG => Some(4),
        Level::TRACE => Some(6),
        Level::INFO => Some(0),
        _ => None,
    };
    if let Some(verbosity) = verbosity {
        fields.0.insert("v".into(), verbosity.into());
    }
    event.record(&mut fields);
    Value::Object(fields.0)
}

/// Collects the fields of an event.
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        let name = match field.name() {
            "message" => "msg",
            "error" => "err",
            name => name,
        };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn keys_are_those_of_kubernetes() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(Json)
            .with_max_level(Level::DEBUG)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(frontends = 3, "a \"quoted\" line");
            tracing::error!(error = %"why", "no");
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["msg"], "a \"quoted\" line");
        assert_eq!((&lines[0]["v"], &lines[0]["frontends"]), (&Value::from(0), &Value::from(3)));
        assert!(lines[0]["ts"].as_f64().is_some_and(|ts| ts > 1.7e12));
        assert!(lines[0]["caller"].as_str().is_some_and(|caller| caller.starts_with("json.rs:")));
        assert_eq!((&lines[1]["level"], &lines[1]["err"]), (&"error".into(), &"why".into()));
        assert!(lines[1].get("v").is_none());
    }
}
