//! How the endpoints of a Service are to be asked whether they are well, where nobody else asks: annotations of ours.
//! Pure spelling; who asks is not this crate's business, and the table knows nothing of it.

use std::time::Duration;

use super::FieldError;
use super::service::Service;

/// The annotation without which the others do nothing: `tcp`, or `http:/path`. Theirs begin with it and `-`.
pub const PROBE_ANNOTATION: &str = "kube-verdict.io/health-check";

/// An endpoint is asked at most so often, and at least so often.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));
/// The most answers that anything takes.
const MOST_ANSWERS: u32 = 1000;
/// The longest path.
const LONGEST_PATH: usize = 1024;

/// How endpoints are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// what is a good answer
    pub kind: ProbeKind,
    /// who is asked; None: the first TCP port of the endpoint's slice
    pub port: Option<u16>,
    /// from one question to the next
    pub interval: Duration,
    /// how long an answer may take, at most the interval
    pub timeout: Duration,
    /// so many good answers in a row bring an endpoint back
    pub rise: u32,
    /// so many bad ones take it out
    pub fall: u32,
    /// what there is when no endpoint is well
    pub all_down: AllDown,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// a connection is enough
    Tcp,
    /// a GET of this path, answered with 200 to 399
    Http(Box<str>),
}

/// What becomes of a Service whose endpoints are all unwell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllDown {
    /// those that were well last stay
    #[default]
    Keep,
    /// none is left: connections are refused
    Reject,
}

impl Probe {
    /// With what counts when nobody says otherwise.
    pub fn new(kind: ProbeKind) -> Self {
        Probe {
            kind,
            port: None,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
            all_down: AllDown::Keep,
        }
    }

    fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        match name {
            "" => self.kind = kind(text)?,
            "-port" => {
                let port = text.parse().ok().filter(|port| *port != 0);
                self.port = Some(port.ok_or_else(|| format!("{text:?} is not a port: write 1 to 65535"))?);
            }
            "-interval" => {
                let interval = duration(text)?;
                if !(INTERVALS.0..=INTERVALS.1).contains(&interval) {
                    return Err(format!("{text} is out of range: write {:?} to 1h", INTERVALS.0));
                }
                self.interval = interval;
            }
            "-timeout" => self.timeout = duration(text)?,
            "-rise" => self.rise = answers(text)?,
            "-fall" => self.fall = answers(text)?,
            "-all-down" => {
                self.all_down = match text {
                    "keep" => AllDown::Keep,
                    "reject" => AllDown::Reject,
                    _ => return Err(format!("{text:?} is neither keep nor reject")),
                }
            }
            _ => {
                return Err(
                    "there is no such annotation: there are -port, -interval, -timeout, -rise, -fall and \
                            -all-down"
                        .into(),
                );
            }
        }
        Ok(())
    }
}

fn kind(text: &str) -> Result<ProbeKind, String> {
    let is_path = |path: &str| {
        path.starts_with('/') && path.len() <= LONGEST_PATH && path.bytes().all(|b| b.is_ascii_graphic())
    };
    match text.strip_prefix("http:") {
        _ if text == "tcp" => Ok(ProbeKind::Tcp),
        Some(path) if is_path(path) && !path.contains('#') => Ok(ProbeKind::Http(path.into())),
        _ => {
            Err(format!("{text:?} is no health check: write tcp, or http: and a path, such as http:/healthz"))
        }
    }
}

fn answers(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_ANSWERS).contains(number));
    number.ok_or_else(|| format!("{text:?} is no number of answers: write 1 to {MOST_ANSWERS}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let total = milliseconds
        .and_then(|each| number.parse::<u64>().ok()?.checked_mul(each))
        .filter(|total| *total > 0);
    total.map(Duration::from_millis).ok_or_else(|| {
        format!("{text:?} is no duration: write a whole number and ms, s or m, such as 500ms or 2s")
    })
}

impl Service {
    /// How its endpoints are to be asked, if they are.
    ///
    /// # Errors
    /// What is wrong with its annotations, each by its name.
    pub fn probe(&self) -> Result<Option<Probe>, Vec<FieldError>> {
        let ours = self.metadata.annotations.ours.as_deref();
        let texts = ours.map_or(&[][..], |ours| &ours.health_check);
        let mut errors = Vec::new();
        let mut probe = Probe::new(ProbeKind::Tcp);
        let mut wrong = |name: &str, message: String| {
            errors.push(FieldError {
                field: format!("metadata.annotations[{PROBE_ANNOTATION}{name}]"),
                message,
            });
        };
        for (name, text) in texts {
            if let Err(message) = probe.set(name, text.trim()) {
                wrong(name, message);
            }
        }
        let is_asked_for = texts.iter().any(|(name, _)| name.is_empty());
        if let Some((name, _)) = texts.first().filter(|_| !is_asked_for) {
            wrong(name, format!("does nothing without {PROBE_ANNOTATION}: write that, too"));
        }
        if probe.timeout > probe.interval {
            wrong(
                "-timeout",
                format!("{:?} is longer than the interval, {:?}", probe.timeout, probe.interval),
            );
        }
        if errors.is_empty() { Ok(is_asked_for.then_some(probe)) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn probe(annotations: &[(&str, &str)]) -> Result<Option<Probe>, Vec<FieldError>> {
        let annotations: serde_json::Map<String, serde_json::Value> = annotations
            .iter()
            .map(|(name, text)| (format!("{PROBE_ANNOTATION}{name}"), json!(text)))
            .collect();
        let value = json!({"metadata": {"name": "web", "annotations": annotations}});
        serde_json::from_value::<Service>(value).unwrap().probe()
    }

    #[test]
    fn spellings() {
        assert_eq!(probe(&[]), Ok(None));
        assert_eq!(probe(&[("", "tcp")]), Ok(Some(Probe::new(ProbeKind::Tcp))));
        let all = [
            ("", "http:/healthz?full=1"),
            ("-port", "8081"),
            ("-interval", "500ms"),
            ("-timeout", "250ms"),
            ("-rise", "1"),
            ("-fall", "5"),
            ("-all-down", "reject"),
        ];
        let expected = Probe {
            kind: ProbeKind::Http("/healthz?full=1".into()),
            port: Some(8081),
            interval: Duration::from_millis(500),
            timeout: Duration::from_millis(250),
            rise: 1,
            fall: 5,
            all_down: AllDown::Reject,
        };
        assert_eq!(probe(&all), Ok(Some(expected)));
    }

    #[test]
    fn mistakes_are_named_and_there_is_no_health_check() {
        for (name, text) in [
            ("", "http"),
            ("", "http:healthz"),
            ("", "http:/a b"),
            ("", "https:/"),
            ("-port", "0"),
            ("-port", "http"),
            ("-interval", "2"),
            ("-interval", "1ms"),
            ("-interval", "99999999999999999999s"),
            ("-timeout", "0s"),
            ("-timeout", "3s"),
            ("-rise", "0"),
            ("-fall", "-1"),
            ("-all-down", "no"),
            ("-intervall", "2s"),
        ] {
            let mut annotations = vec![(name, text)];
            annotations.extend((!name.is_empty()).then_some(("", "tcp")));
            let errors = probe(&annotations).unwrap_err();
            assert_eq!(errors.len(), 1, "{name} {text}: {errors:?}");
            assert_eq!(errors[0].field, format!("metadata.annotations[kube-verdict.io/health-check{name}]"));
        }
        assert!(probe(&[("-rise", "2")]).unwrap_err()[0].message.contains("does nothing without"));
    }
}
