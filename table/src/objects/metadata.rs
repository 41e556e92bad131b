//! The part of an object's metadata that matters (reference §1.1, §1.3, §1.4).
//!
//! Labels are distilled while decoding: of the whole map only the keys that kube-proxy's selectors and the
//! slice's owner need survive.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::leaf::{optional_text, or_default, text};
use super::probe::PROBE_ANNOTATION;
use crate::scheduler::SCHEDULER_ANNOTATION;

/// Names, age and the few labels that count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// empty for cluster-scoped objects, and before defaulting
    #[serde(default, deserialize_with = "text")]
    pub namespace: Box<str>,
    /// the object's name
    #[serde(default, deserialize_with = "text")]
    pub name: Box<str>,
    /// RFC 3339, as the API server writes it (UTC, whole seconds), so that text order is time order
    #[serde(default, deserialize_with = "optional_text")]
    pub creation_timestamp: Option<Box<str>>,
    /// set while the object waits for its finalizers
    #[serde(default, deserialize_with = "optional_text")]
    pub deletion_timestamp: Option<Box<str>>,
    /// what an API server counts versions with; a source that watches one takes it out of the object, so that
    /// nobody takes another version for another object
    #[serde(default, deserialize_with = "optional_text")]
    pub resource_version: Option<Box<str>>,
    /// the labels that count
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    /// the annotations that count
    #[serde(default, deserialize_with = "or_default")]
    pub annotations: Annotations,
}

/// The annotations that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// `endpoints.kubernetes.io/last-change-trigger-time`: when the change happened that an EndpointSlice was written
    /// for, RFC 3339 with a fraction of a second (reference §14.1, network programming latency)
    pub last_change_trigger_time: Option<Box<str>>,
    /// ours; in a box: few objects have any, and each object has the room for it
    pub ours: Option<Box<OurAnnotations>>,
}

/// The annotations of `kube-verdict.io`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OurAnnotations {
    /// how IPVS is to balance a Service, as it was written: see [`crate::parse_scheduler`]
    pub ipvs_scheduler: Option<Box<str>>,
    /// how the endpoints of a Service are to be asked whether they are well: what follows
    /// `kube-verdict.io/health-check` in the names of annotations, and their values; see
    /// [`Service::probe`](super::Service::probe)
    pub health_check: Vec<(Box<str>, Box<str>)>,
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of annotation names to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Annotations, A::Error> {
        let mut annotations = Annotations::default();
        while let Some(key) = entries.next_key::<String>()? {
            match key.as_str() {
                "endpoints.kubernetes.io/last-change-trigger-time" => {
                    annotations.last_change_trigger_time = entries.next_value::<OptionalText>()?.0;
                }
                SCHEDULER_ANNOTATION => {
                    if let Some(Text(text)) = entries.next_value()? {
                        annotations.ours.get_or_insert_default().ipvs_scheduler = Some(text);
                    }
                }
                other => match other.strip_prefix(PROBE_ANNOTATION).filter(|name| is_rest(name)) {
                    Some(name) => {
                        if let Some(text) = entries.next_value::<OptionalText>()?.0 {
                            annotations.ours.get_or_insert_default().health_check.push((name.into(), text));
                        }
                    }
                    None => drop(entries.next_value::<IgnoredAny>()?),
                },
            }
        }
        Ok(annotations)
    }
}

/// Whether a name goes on as those of a health check do.
fn is_rest(name: &str) -> bool {
    name.is_empty() || name.starts_with('-')
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnnotationsVisitor)
    }
}

#[derive(Deserialize)]
struct Text(#[serde(deserialize_with = "text")] Box<str>);

/// The labels that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// `service.kubernetes.io/service-proxy-name` is there, with whatever value: another proxy's Service
    pub has_proxy_name: bool,
    /// `service.kubernetes.io/headless` is there: not for proxies
    pub is_headless: bool,
    /// `kubernetes.io/service-name`: the Service that a slice belongs to
    pub service_name: Option<Box<str>>,
    /// `topology.kubernetes.io/zone` of a Node
    pub zone: Option<Box<str>>,
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of label names to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Labels, A::Error> {
        let mut labels = Labels::default();
        while let Some(key) = entries.next_key::<String>()? {
            match key.as_str() {
                "kubernetes.io/service-name" => labels.service_name = entries.next_value::<OptionalText>()?.0,
                "topology.kubernetes.io/zone" => labels.zone = entries.next_value::<OptionalText>()?.0,
                other => {
                    labels.has_proxy_name |= other == "service.kubernetes.io/service-proxy-name";
                    labels.is_headless |= other == "service.kubernetes.io/headless";
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(labels)
    }
}

#[derive(Deserialize)]
struct OptionalText(#[serde(deserialize_with = "optional_text")] Option<Box<str>>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LabelsVisitor)
    }
}
